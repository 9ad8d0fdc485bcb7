"""What a step is made of: the batches of GPQ and of the pretraining, and how the learning rate falls."""
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from forgery import published

from config import Config, Pretraining
from model import classifier, training
from model.gpq import Losses
from model.tf1 import tf
from utils.data import archives, cifar10
from utils.errors import UserError
from utils.training import task as tasks


@pytest.fixture(scope="module")
def gpq():
    return tasks.GPQ(Config(data_dir=str(ROOT / "cifar10" / "sample"), batch_size=50, total_epochs=3, seed=7))


@pytest.fixture(scope="module")
def cifar100_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar100")
    for split, count in {"train": 23, "test": 9}.items():
        (folder / split).write_bytes(archives.batch_bytes(published(split, count)))
    return folder


def pretraining(folder, **settings):
    return tasks.Pretraining(Pretraining(data_dir=str(folder), batch_size=5, **settings))


def test_batches_are_of_their_role_and_without_repetition(gpq):
    data = cifar10.load(ROOT / "cifar10" / "sample")
    assert (gpq.epoch_steps, gpq.n_steps) == (10, 30)
    for step in (0, 1, 29):
        labelled, unlabelled = gpq.indices(step)
        assert len(set(labelled)) == len(set(unlabelled)) == 50
        assert set(labelled) <= set(data.labelled) and set(unlabelled) <= set(data.unlabelled)
    np.testing.assert_array_equal(gpq.indices(3), gpq.indices(3))
    assert (gpq.indices(3) != gpq.indices(4)).any()


def test_no_label_of_an_unlabelled_image_or_a_query_is_handed_on(gpq):
    data = cifar10.load(ROOT / "cifar10" / "sample")
    np.testing.assert_array_equal(gpq.labels[data.labelled], data.labels[data.labelled])
    assert (gpq.labels[data.unlabelled] == -1).all() and (gpq.labels[data.query] == -1).all()


def views(monkeypatch, *steps, **settings):
    """What the losses are made of at some steps of images that are all grey: float32 [steps, 3, 50, 32, 32, 3], the
    labelled, the unlabelled and the distorted."""
    task = tasks.GPQ(Config(data_dir=str(ROOT / "cifar10" / "sample"), batch_size=50, **settings))
    batches = []

    def stand_in(labelled, labels, unlabelled, config, fast, distorted):
        batches[:] = labelled, unlabelled, distorted
        return Losses(*[tf.get_variable("weight", [])] * 5), None, tf.no_op()

    monkeypatch.setattr("model.gpq.loss_graph", stand_in)
    with tf.Graph().as_default(), tf.Session() as session:
        feeds, _ = tasks.build(task)
        grey, labels = np.full([2, 50, 32, 32, 3], 200, np.uint8), np.zeros([2, 50])
        return np.array([session.run(batches, dict(zip(feeds, (grey, labels, step), strict=True))) for step in steps])


@pytest.mark.parametrize("batch_size, gpus, fast", [(50, [], True), (49, [], False), (500, ["a GPU"], False)])
def test_winograds_method_is_for_large_batches_on_processors(session, monkeypatch, batch_size, gpus, fast):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    task = SimpleNamespace(images=np.zeros([1, 32, 32, 3], np.uint8), n_batches=2, batch_size=batch_size,
                           graph=lambda images, labels, step, fast: fast)
    assert tasks.build(task)[1] is fast


def test_each_batch_is_distorted_in_its_own_way(monkeypatch):
    """Of grey images distortion leaves the brightness."""
    brightness = views(monkeypatch, 0, 1, 2, augmentation="strong")[:, :2].max(axis=(3, 4, 5)).reshape(6, 50)
    assert np.abs(np.corrcoef(brightness) - np.eye(6)).max() < 0.6


def test_pseudo_labels_are_of_undistorted_images(monkeypatch):
    (plain,), (strong,), (both,) = (views(monkeypatch, 4, **settings) for settings in (
        {}, {"augmentation": "strong"}, {"augmentation": "strong", "lam_u": 1}))
    assert (np.abs(strong[:2] - plain[:2]).max(axis=(2, 3, 4)) > 0).all()
    assert len(np.unique(plain[:2])) <= 4  # one number a channel, and the crop's zeros
    np.testing.assert_array_equal(both, [strong[0], plain[1], strong[1]])


def test_classes_that_are_known_are_numbered_in_their_order():
    config = Config(data_dir=str(ROOT / "cifar10" / "sample"), batch_size=50, protocol=2, known_classes=(9, 2, 4),
                    n_CLASSES=3)
    task, data = tasks.GPQ(config), cifar10.load(config.data_dir, 2, (9, 2, 4))
    for label, number in ((2, 0), (4, 1), (9, 2)):
        assert (task.labels[data.labelled[data.labels[data.labelled] == label]] == number).all()
    assert set(task.labels) == {-1, 0, 1, 2}
    with pytest.raises(UserError, match="n_CLASSES is 2, but the labelled images are of 3 classes"):
        tasks.GPQ(config.model_copy(update={"n_CLASSES": 2}))


def test_held_back_images_are_in_no_batch():
    config = Config(data_dir=str(ROOT / "cifar10" / "sample"), batch_size=50, eval_term=1, n_validation=100)
    task = tasks.GPQ(config)
    assert task.epoch_steps == 8 and (task.labels >= 0).sum() == 400
    assert (task.labels[task.indices(0)[0]] >= 0).all()


def test_an_epoch_of_pretraining_shows_each_image_once(cifar100_dir):
    task = pretraining(cifar100_dir)
    assert task.epoch_steps == 4
    first, second = (np.concatenate([task.indices(4 * epoch + k)[0] for k in range(4)]) for epoch in (0, 1))
    for seen in (first, second):
        assert len(set(seen)) == 20 and set(seen) <= set(range(23))
    assert (first != second).any()


def test_a_batch_of_pretraining_must_fit(cifar100_dir):
    with pytest.raises(UserError, match="batch_size is 24, but there are 23 training images"):
        tasks.Pretraining(Pretraining(data_dir=str(cifar100_dir), batch_size=24))


def test_accuracy_on_the_test_images(cifar100_dir, session):
    """A network whose last layer only has a bias says one class; the accuracy is that class's share."""
    task = pretraining(cifar100_dir)
    judge = task.judge(session)
    session.run(tf.global_variables_initializer())
    weights = {v.op.name: v for v in tf.global_variables()}
    labels = task._data.test_labels
    weights["Fixed_VGG/dense/kernel"].load(np.zeros([768, 100], np.float32), session)
    for label in (labels[0], labels[5]):
        weights["Fixed_VGG/dense/bias"].load(np.eye(100, dtype=np.float32)[label], session)
        assert judge() == pytest.approx(np.mean(labels == label))


def test_losses_of_the_classifier(session):
    """Against numpy: equal logits but for one raised by log 99, so that its class has half the mass."""
    images = tf.constant(np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype(np.float32))
    losses, _ = classifier.loss_graph(images, tf.constant([3, 3, 3, 8]), Pretraining())
    session.run(tf.global_variables_initializer())
    weights = {v.op.name: v for v in tf.global_variables()}
    weights["Fixed_VGG/dense/kernel"].load(np.zeros([768, 100], np.float32), session)
    weights["Fixed_VGG/dense/bias"].load(np.float32(np.log(99) * np.eye(100)[3]), session)
    total, accuracy = session.run(losses)
    assert total == pytest.approx((3 * np.log(2) + np.log(198)) / 4, rel=1e-5) and accuracy == 0.75


def test_the_cosine_falls_from_the_rate_to_nothing(session):
    config = Config(decay="cosine", learning_rate=0.2)
    rates = session.run([training.learning_rate(tf.constant(step), config, 1000) for step in (0, 250, 500, 750, 1000)])
    expected = 0.1 * (1 + np.cos(np.pi * np.array([0, 0.25, 0.5, 0.75, 1])))
    np.testing.assert_allclose(rates, expected, atol=1e-7)
