"""Soft labels: a teacher's probabilities of its own classes, and how a classifier learns them."""
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT

from gpq.config import Pretraining
from gpq.model import losses
from gpq.model.tf1 import tf
from gpq.utils import settings
from gpq.utils.checkpoints import imagenet
from gpq.utils.data import cifar10, soft_labels
from gpq.utils.errors import UserError
from gpq.utils.training import soft_labels as command
from gpq.utils.training.task import Task

SAMPLE = ROOT / "cifar10" / "sample"


@pytest.fixture(scope="module")
def data():
    return cifar10.load(SAMPLE)


@pytest.fixture(scope="module")
def logits(data):
    """A teacher of 30 classes, of which it finds only every second one in any image."""
    found = np.random.default_rng(0).normal(size=(len(data.images), 30)).astype(np.float32)
    found[:, 1::2] -= 20
    return found


@pytest.fixture(scope="module")
def file(data, logits, tmp_path_factory):
    path = tmp_path_factory.mktemp("soft") / "labels.npz"
    np.savez(path, **soft_labels.soften(logits, data, 2.0)._asdict())
    return path


def asked(file, **others):
    return Pretraining(**{"data_dir": str(SAMPLE), "dataset": "cifar10", "soft_labels": str(file), "n_CLASSES": 15,
                          "n_validation": 100, **others})


def test_they_are_the_softmax_over_the_classes_that_are_found(data, logits):
    found = soft_labels.soften(logits, data, 2.0)
    np.testing.assert_array_equal(found.classes, np.arange(0, 30, 2))
    powers = np.exp(logits[:, ::2].astype(np.float64) / 2)
    np.testing.assert_allclose(found.probabilities[data.training],
                               (powers / powers.sum(1, keepdims=True))[data.training], rtol=2e-3, atol=1e-6)
    assert not found.probabilities[data.query].any()  # nobody may learn from them


def test_queries_that_a_training_is_judged_by_have_them_too(data, logits):
    """CIFAR-100's test images."""
    found = soft_labels.soften(logits, data._replace(validation=data.query), 2.0)
    np.testing.assert_allclose(found.probabilities.astype(np.float32).sum(1), 1, rtol=5e-3)


def test_the_commonest_classes_are_kept(data, logits, monkeypatch):
    counts = np.bincount(logits[data.training].argmax(1), minlength=30)
    monkeypatch.setattr(soft_labels, "MOST", 4)
    np.testing.assert_array_equal(soft_labels.soften(logits, data, 1.0).classes,
                                  np.sort(np.argsort(-counts, kind="stable")[:4]))


def test_a_task_learns_them_of_all_images_but_queries_and_held_back_ones(data, file):
    task = Task(asked(file))
    seen = np.concatenate([task.indices(step)[0] for step in range(task.epoch_steps)])
    assert task.counts == [5900 - 100] and not np.isin(seen, data.query).any()
    assert task.measure == "held_back_teacher_agreement"  # of training images, and no truth
    assert task.labels.shape == (6000, 15) and task.labels.dtype == np.float16
    np.testing.assert_allclose(task.labels[seen].astype(np.float32).sum(1), 1, rtol=5e-3)


def test_where_no_image_is_labelled_held_back_ones_are_taken_of_all(data, logits, tmp_path):
    """SPQ's protocol, whose training images have no label: as many of each class are held back nevertheless."""
    official = cifar10.load(SAMPLE, protocol=3)
    np.savez(tmp_path / "labels.npz", **soft_labels.soften(logits, official, 2.0)._asdict())
    task = Task(asked(tmp_path / "labels.npz", protocol=3))
    seen = np.concatenate([task.indices(step)[0] for step in range(task.epoch_steps)])
    assert task.counts == [len(official.training) - 100] and not np.isin(seen, official.query).any()
    with pytest.raises(UserError, match="was made with another protocol, under which some of these images are queri"):
        Task(asked(tmp_path / "labels.npz"))


def test_the_loss_is_least_where_the_probabilities_are_met(compute):
    wanted = np.float16([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])

    def graph(probabilities):
        logits = tf.math.log(tf.cast(probabilities, tf.float32))
        loss = losses.cross_entropy(probabilities, logits)
        return loss, tf.gradients(loss, logits)[0]

    loss, gradient = compute(graph, wanted)
    shares = wanted.astype(np.float64)
    assert loss == pytest.approx(-(shares * np.log(shares)).sum(1).mean(), rel=1e-3)
    np.testing.assert_allclose(gradient, 0, atol=2e-4)


def test_the_command_softens_what_imagenets_classifier_says(data, tmp_path, monkeypatch, capsys):
    features = np.random.default_rng(1).normal(size=(len(data.images), 1280)).astype(np.float16)
    kernel, bias = np.random.default_rng(2).normal(size=(1280, 40)), np.zeros(40)
    monkeypatch.setattr(imagenet, "classifier", lambda variant: (kernel, bias))
    np.save(tmp_path / "features.npy", features)
    options = ["soft_labels", f"--data_dir={SAMPLE}", f"--features={tmp_path}/features.npy",
               "--teacher=efficientnet_lite0", f"--out={tmp_path}/labels.npz"]
    monkeypatch.setattr(sys, "argv", options)
    command.main()
    assert "5900 images to learn from; set n_CLASSES=40" in capsys.readouterr().out
    _, found = soft_labels.add(data, asked(tmp_path / "labels.npz", n_CLASSES=40))
    expected = soft_labels.soften(features.astype(np.float32) @ kernel, data, 2.0).probabilities
    np.testing.assert_array_equal(found, expected)
    np.save(tmp_path / "features.npy", features[:, :8])
    with pytest.raises(UserError, match=r"the features are \[6000, 8\], but there are 6000 images and the teacher see"):
        command.main()
    (tmp_path / "features.npy").write_text("mine")
    with pytest.raises(UserError, match="features.npy is damaged or no file of features"):
        command.main()


def test_bad_input_ends_in_a_sentence(data, logits, file, tmp_path):
    with pytest.raises(UserError, match="has 15 classes, the settings ask for 100; set n_CLASSES=15"):
        soft_labels.add(data, SimpleNamespace(soft_labels=file, n_CLASSES=100))
    with pytest.raises(UserError, match="there is no file nowhere; make it by python -m utils.training.s"):
        soft_labels.add(data, asked("nowhere"))
    (tmp_path / "foreign.npz").write_text("mine")
    with pytest.raises(UserError, match="no file of soft labels .*; make it by python -m utils.trainin"):
        soft_labels.add(data, asked(tmp_path / "foreign.npz"))
    with pytest.raises(UserError, match="was made of other data than CIFAR-10, the sample"):
        soft_labels.add(data._replace(source=data.source._replace(sha256="0" * 64)), asked(file))
    with pytest.raises(UserError, match="the teacher finds 0 of its classes in 20 or more of 10 training"):
        few = data._replace(labelled=data.labelled[:10], unlabelled=data.unlabelled[:0])
        soft_labels.soften(logits, few, 1.0)
    with pytest.raises(UserError, match="pseudo_labels has no effect while soft_labels is"):
        settings.refuse_idle(asked(file, pseudo_labels="p.npz"))


@pytest.mark.parametrize("change, says", [
    ({"probabilities": lambda held: held[:10]}, "N = 6000"),
    ({"probabilities": lambda held: held[:, 0]}, "must be float .N, K."),
    ({"probabilities": lambda held: held * np.nan}, "0 to 1"), ({"probabilities": lambda held: -held}, "0 to 1"),
    ({"probabilities": lambda held: held[:, :2]}, "K = 2"),
    ({"classes": lambda held: held[0]}, "classes .* is int64 ..;")])
def test_probabilities_that_cannot_be_are_refused(data, file, tmp_path, change, says):
    held = dict(np.load(file))
    np.savez(tmp_path / "s.npz", **{**held, **{name: spoil(held[name]) for name, spoil in change.items()}})
    with pytest.raises(UserError, match=says):
        soft_labels.add(data, asked(tmp_path / "s.npz"))
