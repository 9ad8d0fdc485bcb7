"""What a step is made of: the batches of GPQ and of the pretraining, and how the learning rate falls."""
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT, options
from forgery import batch_bytes, published

from gpq.config import GPQ, Pretraining
from gpq.model import training
from gpq.model.tf1 import tf
from gpq.utils.data import cifar10, cifar100, splits
from gpq.utils.errors import UserError
from gpq.utils.training import task as tasks
from gpq.utils.training.task import Task


@pytest.fixture(scope="module")
def gpq():
    return Task(GPQ(data_dir=str(ROOT / "cifar10" / "sample"), batch_size=50, total_epochs=3, seed=7))


@pytest.fixture(scope="module")
def cifar100_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar100")
    for split, count in {"train": 23, "test": 9}.items():
        (folder / split).write_bytes(batch_bytes(published(split, count)))
    return folder


def pretraining(folder, **settings):
    return Task(Pretraining(data_dir=str(folder), batch_size=5, **settings))


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
    assert gpq.labels[data.labelled].any() and not gpq.labels[data.unlabelled].any()
    assert not gpq.labels[data.query].any()


def test_classes_that_are_known_are_numbered_in_their_order():
    config = GPQ(data_dir=str(ROOT / "cifar10" / "sample"), batch_size=50, protocol=2, known_classes=(9, 2, 4),
                    n_CLASSES=3)
    task, data = Task(config), cifar10.load(config.data_dir, 2, (9, 2, 4))
    for label, number in ((2, 0), (4, 1), (9, 2)):
        assert task.labels[data.labelled[data.labels[data.labelled, label]], number].all()
    assert task.labels.shape[1] == 3 and set(task.labels.sum(1)) == {0, 1}
    with pytest.raises(UserError, match="n_CLASSES is 2, but the labelled images are of 3 classes"):
        Task(config.model_copy(update={"n_CLASSES": 2}))


def test_held_back_images_are_in_no_batch():
    config = GPQ(data_dir=str(ROOT / "cifar10" / "sample"), batch_size=50, eval_term=1, n_validation=100)
    task = Task(config)
    assert task.epoch_steps == 8 and task.labels.sum() == 400
    assert task.labels[task.indices(0)[0]].any(1).all()


def test_an_epoch_of_pretraining_shows_each_image_once(cifar100_dir):
    task = pretraining(cifar100_dir)
    assert task.epoch_steps == 4
    first, second = (np.concatenate([task.indices(4 * epoch + k)[0] for k in range(4)]) for epoch in (0, 1))
    for seen in (first, second):
        assert len(set(seen)) == 20 and set(seen) <= set(range(23))
    assert (first != second).any()


def test_a_batch_of_pretraining_must_fit(cifar100_dir):
    with pytest.raises(UserError, match="batch_size is 24, but there are 23 labelled images"):
        Task(Pretraining(data_dir=str(cifar100_dir), batch_size=24))


def test_accuracy_on_the_test_images(cifar100_dir, session):
    """A network whose last layer only has a bias says one class; the accuracy is that class's share."""
    task = pretraining(cifar100_dir)
    assert task.measure == "test_accuracy"
    judge = task.judge(session)
    session.run(tf.global_variables_initializer())
    weights = {v.op.name: v for v in tf.global_variables()}
    data = cifar100.load(cifar100_dir)
    known, labels = splits.known_classes(data), data.labels[data.validation].argmax(1)
    weights["Fixed_VGG/dense/kernel"].load(np.zeros([768, 100], np.float32), session)
    for number in range(20):
        weights["Fixed_VGG/dense/bias"].load(np.eye(100, dtype=np.float32)[number], session)
        assert judge() == pytest.approx(np.mean(labels == known[number]))


def test_the_cosine_falls_from_the_rate_to_nothing(session):
    config = GPQ(decay="cosine", learning_rate=0.2)
    rates = session.run([training.learning_rate(tf.constant(step), config, 1000) for step in (0, 250, 500, 750, 1000)])
    expected = 0.1 * (1 + np.cos(np.pi * np.array([0, 0.25, 0.5, 0.75, 1])))
    np.testing.assert_allclose(rates, expected, atol=1e-7)


def test_the_releases_log_line():
    values = {"total": np.float32(2.36288), "n_pair": np.float32(2.24234), "classification": np.float32(2.36367),
              "entropy": np.float32(1.15827)}
    task = Task(GPQ(total_epochs=40, data_dir=str(ROOT / "cifar10" / "sample"), batch_size=50))
    line = task.log_line(3, 30, values, np.float32(1.9e-4))
    assert line == ("epoch: 3/40, iter: 30 - (Batch) loss: 2.3629, hash: 2.2423, cls: 2.3637, ent: -1.1583, "
                    "lr: 0.00019")


def test_the_next_step_is_drawn_while_one_runs(monkeypatch):
    begun = [threading.Event() for _ in range(4)]
    monkeypatch.setattr(tasks, "draw", lambda task, step: begun[step].set() or step)
    coming = tasks.drawn(SimpleNamespace(n_steps=3), 1)
    assert next(coming) == 1 and begun[2].wait(timeout=10)
    assert list(coming) == [2] and not begun[0].is_set() and not begun[3].is_set()


def test_a_batch_of_all_labelled_images_is_what_is_left_beside_those_held_back(data_dir, capsys):
    """Half of each class of five is held back at most."""
    task = Task(options(None, f"--data_dir={data_dir}", "--batch_size=50", "--eval_term=1", "--total_epochs=3"))
    assert (task.batch_size, task.counts[0], task.epoch_steps, task.n_steps) == (30, 30, 1, 3)
    assert "batch_size is 50: a step has 30, all that is left beside the 20 held back" in capsys.readouterr().out
    assert len(set(task.indices(0)[0])) == 30
    with pytest.raises(UserError, match="batch_size is 51, but there are 50 labelled images"):
        Task(options(None, f"--data_dir={data_dir}", "--batch_size=51", "--eval_term=1"))
