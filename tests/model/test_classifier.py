"""The classifier: its loss against numpy, and what ranking by predicted class and by softmax inner product mean."""
from types import SimpleNamespace

import numpy as np
import pytest

from gpq.model.augmentation import view
from gpq.model.classifier import Classifier
from gpq.model.tf1 import tf
from gpq.model.training import Batch
from gpq.utils.data.relevance import SharedLabels
from gpq.utils.retrieval import metrics
from gpq.utils.retrieval.database import Database

C = 5


def settings(**others):
    usual = {"backbone": "modified_vgg", "n_CLASSES": C, "seed": 7, "augmentation": "release", "hidden": (),
             "input_side": 224, "freeze": False}
    return SimpleNamespace(**{**usual, **others})


def test_losses(session):
    """Against numpy: equal logits except one that is log 4 higher, so that its class has half of the probability."""
    images = tf.constant(np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32))
    losses, _ = Classifier(settings()).loss_graph(images, tf.one_hot([3, 3, 3, 1], C))
    session.run(tf.global_variables_initializer())
    weights = {v.op.name: v for v in tf.global_variables()}
    weights["Fixed_VGG/dense/kernel"].load(np.zeros([768, C], np.float32), session)
    weights["Fixed_VGG/dense/bias"].load(np.float32(np.log(4) * np.eye(C)[3]), session)
    total, accuracy = session.run(losses).values()
    assert total == pytest.approx((3 * np.log(2) + np.log(8)) / 4, rel=1e-5) and accuracy == 0.75


@pytest.mark.parametrize("augmentation", ["release", "strong"])
def test_a_step_is_the_loss_of_its_varied_batch(compute, augmentation):
    def graph(images, labels):
        method = Classifier(settings(augmentation=augmentation))
        found, _ = method.losses({"labelled": Batch(images, labels)}, 3)
        varied = view(images, "labelled", method.config, 3)[augmentation == "strong"]
        expected, _ = method.loss_graph(varied, tf.one_hot([4, 0, 2, 2], C))
        return list(found.values()), list(expected.values())

    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    found, expected = compute(graph, images, np.eye(C, dtype=bool)[[4, 0, 2, 2]])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_retrieval(compute):
    """By code an image counts what the query gives to its class; by features, what both give to each class."""
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    p, codes, codebooks = compute(Classifier(settings()).retrieval, images)
    assert p.shape == (6, C) and codes.shape == (6, 1) and codes.dtype == np.uint8 and codebooks.shape == (1, 8, C)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(codes[:, 0], p.argmax(axis=1))
    for query in p:
        np.testing.assert_array_equal(codebooks[0, codes[:, 0]] @ query, query[codes[:, 0]])
    np.testing.assert_array_equal(codebooks[0, C:], 0)


def test_with_perfect_labels_nothing_wrong_comes_before_what_is_right(session):
    """F tells the five classes of 200 vectors without a mistake: mAP 1, by predicted class and by softmax."""
    labels = np.arange(200)[:, np.newaxis] % C == np.arange(C)
    graph = Classifier(settings(backbone="embeddings")).retrieval(tf.constant(labels.astype(np.float32)))
    session.run(tf.global_variables_initializer())
    weights = {v.op.name: v for v in tf.global_variables()}
    weights["Embeddings/dense/kernel"].load(3 * np.eye(C, dtype=np.float32), session)
    p, codes, codebooks = session.run(graph)
    relevance = SharedLabels(labels[:20], labels[20:])
    database = Database(codes[20:], codebooks, None, {})
    assert metrics.mean_average_precision(database, p[:20], relevance, 180) == pytest.approx(1)
    assert metrics.mean(metrics.unquantised_average_precision(p[:20], p[20:], relevance, 180)) == pytest.approx(1)


@pytest.mark.parametrize("classes, codewords", [(2, 2), (4, 4), (10, 16), (100, 128), (256, 256)])
def test_codewords_number_a_power_of_two(classes, codewords):
    with tf.Graph().as_default():
        found = Classifier(settings(n_CLASSES=classes)).retrieval(tf.zeros([1, 32, 32, 3], tf.uint8))
    assert found.codebooks.shape.as_list() == [1, codewords, classes]


def test_a_byte_numbers_no_more_than_256_classes():
    with pytest.raises(ValueError, match="256 classes apart, not 257"):
        Classifier(settings(n_CLASSES=257)).retrieval(tf.zeros([1, 32, 32, 3], tf.uint8))
