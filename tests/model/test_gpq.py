"""GPQ's graph: the signs of the mini-max, the choices that settings give, and how a step varies its batches."""
from types import SimpleNamespace

import numpy as np
import pytest

from gpq.config import GPQ
from gpq.model import quantizer
from gpq.model.augmentation import view
from gpq.model.backbone import Backbone
from gpq.model.gpq import GPQ as Method
from gpq.model.method import weighted
from gpq.model.tf1 import tf
from gpq.model.training import Batch

M, D, C = 4, 3, 5
FORMS = ("release", "paper")


def losses_of(method, labelled, labels, unlabelled):
    """(losses, towers) of two batches of images."""
    seen, unseen, _ = method.features(labelled, unlabelled)
    towers = method.towers(seen, unseen)
    return weighted(method.terms(towers, labels)), towers


@pytest.fixture(scope="module", params=FORMS)
def network(request):
    """The loss graph of 4 + 4 random images with unequal weights: what it gives, and a Session."""
    config = GPQ(follow=request.param, lam_1=0.3, lam_2=0.7, n_book=M, len_code=D, n_CLASSES=C)
    images = np.random.default_rng(0).standard_normal((2, 4, 32, 32, 3), dtype=np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        labelled, unlabelled = map(tf.constant, images)
        values, _ = losses_of(Method(config), labelled, tf.one_hot([0, 1, 1, 3], C), unlabelled)
        session.run(tf.global_variables_initializer())
        yield SimpleNamespace(config=config, session=session, losses=SimpleNamespace(**values),
                              variables={v.op.name: v for v in tf.trainable_variables()})


def test_total_weighs_the_losses(network):
    """The paper's lambda_1 belongs to classification; the release's lam_1, 0.3 here, to entropy."""
    found = SimpleNamespace(**network.session.run(vars(network.losses)))
    on_classes, on_entropy = (0.7, 0.3) if network.config.follow == "release" else (0.3, 0.7)
    expected = found.n_pair + on_classes * found.classification - on_entropy * found.entropy
    assert found.total == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name, sign", [("Fixed_VGG/dense/bias", -1), ("C", 1)])
def test_features_minimise_the_entropy_that_prototypes_maximise(network, name, sign):
    """Against the slope of the loss itself, which reversal leaves alone, along its graph's gradient."""
    session, variable, loss = network.session, network.variables[name], network.losses.entropy
    start, gradient = session.run([variable, tf.gradients(loss, variable)[0]])
    length = np.linalg.norm(gradient)
    step = 0.01 * gradient / length
    values = []
    for moved in (start + step, start - step):
        variable.load(moved, session)
        values.append(float(session.run(loss)))
    variable.load(start, session)
    slope = (values[0] - values[1]) / 0.02
    assert slope == pytest.approx(sign * length, rel=0.02)


def test_each_batch_is_normalised_by_its_own_statistics(compute):
    def graph(labelled, unlabelled):
        method = Method(GPQ(n_book=M, len_code=D, n_CLASSES=C))
        _, towers = losses_of(method, labelled, tf.one_hot([0, 1, 1, 3], C), unlabelled)
        alone = (method.F.train(x, "")[0] for x in (labelled, unlabelled))
        return towers.labelled, towers.unlabelled, *(quantizer.intra_normalise(quantizer.split(x, M)) for x in alone)

    images = np.random.default_rng(0).standard_normal((2, 4, 32, 32, 3), dtype=np.float32)
    images[1] = 2 * images[1] + 1
    labelled, unlabelled, *alone = compute(graph, *images)
    np.testing.assert_allclose([labelled, unlabelled], alone, atol=1e-5)


def test_codewords_learn_from_n_pair_alone(network):
    z = network.variables["Z"]
    assert tf.gradients(network.losses.n_pair, z) != [None]
    assert tf.gradients([network.losses.classification, network.losses.entropy], z) == [None]


def views(monkeypatch, *steps, **settings):
    """What the losses are made of at some steps of grey images: float32 [steps, 2, 50, 32, 32, 3], the labelled and
    the unlabelled."""
    made = []

    def train(self, images, name):
        made.append(images)
        return tf.zeros([50, 144]), lambda after=None: tf.no_op()

    monkeypatch.setattr(Backbone, "train", train)
    with tf.Graph().as_default(), tf.Session() as session:
        batch = Batch(tf.fill([50, 32, 32, 3], np.uint8(200)), tf.zeros([50, 10], tf.bool))
        step = tf.placeholder(tf.int32, [])
        Method(GPQ(**settings)).losses({"labelled": batch, "unlabelled": batch}, step)
        return np.array([session.run(made, {step: each}) for each in steps])


def test_each_batch_is_distorted_in_its_own_way(monkeypatch):
    """Of grey images distortion leaves the brightness."""
    brightness = views(monkeypatch, 0, 1, 2, augmentation="strong").max(axis=(3, 4, 5)).reshape(6, 50)
    assert np.abs(np.corrcoef(brightness) - np.eye(6)).max() < 0.6


def test_both_batches_are_distorted_where_augmentation_is_strong(monkeypatch):
    (plain,), (strong,) = (views(monkeypatch, 4, augmentation=which) for which in ("release", "strong"))
    assert (np.abs(strong - plain).max(axis=(2, 3, 4)) > 0).all()
    assert len(np.unique(plain)) <= 4  # one number a channel, and the crop's zeros


def test_a_step_is_the_loss_of_its_varied_batches(compute):
    """And the labels of the unlabelled are never looked at."""
    def graph(images, labels):
        batches = {"labelled": Batch(images[0], labels), "unlabelled": Batch(images[1], tf.zeros_like(labels))}
        method = Method(GPQ(seed=5, n_book=M, len_code=D, n_CLASSES=C))
        found, _ = method.losses(batches, 3)
        varied = [view(each, role, method.config, 3)[0] for each, role in zip(tf.unstack(images), batches, strict=True)]
        expected, _ = losses_of(method, varied[0], tf.cast(labels, tf.float32), varied[1])
        return list(found.values()), list(expected.values())

    images = np.random.default_rng(0).integers(0, 256, (2, 4, 32, 32, 3), np.uint8)
    found, expected = compute(graph, images, np.eye(C, dtype=bool)[[0, 1, 1, 3]])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
