"""Pseudo-labels: what a classifier on a teacher's features says of unlabelled images, and how training takes it."""
import sys

import numpy as np
import pytest
from conftest import ROOT

from gpq.config import GPQ
from gpq.utils.data import cifar10, pseudo_labels, splits
from gpq.utils.errors import UserError
from gpq.utils.training import pseudo_labels as command
from gpq.utils.training.task import Task

SAMPLE = ROOT / "cifar10" / "sample"


@pytest.fixture(scope="module")
def data():
    return cifar10.load(SAMPLE)


def features_of(data, noise=0.1):
    """A teacher that sees the class of every image, and some noise: float16 [N, 10]."""
    generator = np.random.default_rng(0)
    return (data.labels + noise * generator.standard_normal(data.labels.shape)).astype(np.float16)


@pytest.fixture(scope="module")
def file(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("pseudo") / "labels.npz"
    np.savez(path, **pseudo_labels.fit(features_of(data), data)._asdict())
    return path


def test_a_teacher_that_sees_the_class_labels_rightly(data):
    found = pseudo_labels.fit(features_of(data), data)
    np.testing.assert_array_equal(found.indices, data.unlabelled)
    assert np.mean(found.labels == data.labels[data.unlabelled].argmax(1)) > 0.99
    assert ((found.confidences > 0.1) & (found.confidences <= 1)).all()


def test_no_label_but_those_of_the_labelled_is_used(data):
    """The truth of the others may be anything."""
    forged = data._replace(labels=np.where(np.isin(np.arange(len(data.labels)), data.labelled)[:, np.newaxis],
                                           data.labels, False))
    one, other = pseudo_labels.fit(features_of(data), data), pseudo_labels.fit(features_of(data), forged)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.confidences, other.confidences)


def test_sure_ones_become_labelled_and_the_truth_stays(data, file):
    plain = splits.training_labels(data, 10)
    found = pseudo_labels.read(file, data)
    middle = float(np.median(found.confidences))
    more, labels = pseudo_labels.add(data, plain, file, middle)
    sure = found.confidences >= middle
    assert 0.4 < sure.mean() < 0.6
    assert set(more.labelled) == {*data.labelled, *found.indices[sure]} and more.labels is data.labels
    np.testing.assert_array_equal(labels[data.labelled], plain[data.labelled])
    np.testing.assert_array_equal(labels[found.indices[sure]].argmax(1), found.labels[sure])
    assert not labels[found.indices[~sure]].any() and not labels[data.query].any()
    assert not plain[data.unlabelled].any()  # what was handed in is not changed


def test_a_task_trains_on_them_and_judges_by_the_truth(data, file, tmp_path):
    config = GPQ(data_dir=str(SAMPLE), batch_size=50, pseudo_labels=str(file), pseudo_confidence=0)
    task = Task(config)
    assert task.epoch_steps == (500 + 5400) // 50 and task.labels.any(1).sum() == 5900
    seen = np.concatenate([task.indices(step)[0] for step in range(40)])
    assert np.isin(seen, data.unlabelled).any() and not np.isin(seen, data.query).any()
    with pytest.raises(UserError, match="was fitted on images that are held back; make it again with the same eval"):
        Task(config.model_copy(update={"eval_term": 1, "n_validation": 100}))
    held = splits.hold_back(data, GPQ(n_validation=100))
    np.savez(tmp_path / "held.npz", **pseudo_labels.fit(features_of(data), held)._asdict())
    task = Task(config.model_copy(update={"eval_term": 1, "n_validation": 100,
                                          "pseudo_labels": str(tmp_path / "held.npz")}))
    assert not task.labels[held.validation].any()


def test_the_command_writes_what_training_reads(data, tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "features.npy", features_of(data))
    monkeypatch.setattr(sys, "argv", ["pseudo_labels", f"--data_dir={SAMPLE}", f"--features={tmp_path}/features.npy",
                                      f"--out={tmp_path}/labels.npz", "--eval_term=1", "--n_validation=100"])
    command.main()
    said = capsys.readouterr().out
    assert "labels.npz: 5400 images, " in said and "right on 100 held-back images: 1.0000" in said
    held = splits.hold_back(data, GPQ(n_validation=100))
    assert len(pseudo_labels.read(tmp_path / "labels.npz", held).fitted_on) == 400


def test_bad_input_ends_in_a_sentence(data, file, tmp_path):
    features = features_of(data)
    with pytest.raises(UserError, match=r"the features are \[10, 10\], but there are 6000 images"):
        pseudo_labels.fit(features[:10], data)
    broken = features.copy()
    broken[data.labelled[3], 2] = np.nan
    with pytest.raises(UserError, match="not finite; make them again"):
        pseudo_labels.fit(broken, data)
    with pytest.raises(UserError, match="there is no file nowhere; make it by python -m utils.training.pseudo_labels"):
        pseudo_labels.read("nowhere", data)
    (tmp_path / "foreign.npz").write_text("mine")
    with pytest.raises(UserError, match="damaged or no file of pseudo-labels"):
        pseudo_labels.read(tmp_path / "foreign.npz", data)
    with pytest.raises(UserError, match="was made of other data than CIFAR-10, the sample"):
        pseudo_labels.read(file, data._replace(source=data.source._replace(sha256="0" * 64)))


@pytest.mark.parametrize("change, says", [
    ({"indices": lambda held, _: held - 6000}, "indices .* goes from"),
    ({"indices": lambda held, _: held + 6000}, "0 to 5999"),
    ({"indices": lambda held, data: np.resize(data.query, len(held))}, "one that training may not see"),
    ({"indices": lambda held, _: np.full_like(held, held[0])}, "labels an image twice"),
    ({"labels": lambda held, _: held - 1}, "labels .* must be int .U., 0 to 9"),
    ({"labels": lambda held, _: held + 9}, "0 to 9"),
    ({"labels": lambda held, _: held[:5]}, "U = 5400"), ({"labels": lambda held, _: held.astype(float)}, "is float64"),
    ({"confidences": lambda held, _: held * np.nan}, "0 to 1"), ({"confidences": lambda held, _: -held}, "0 to 1"),
    ({"fitted_on": lambda held, _: held - 7000}, "fitted_on")])
def test_labels_that_cannot_be_are_refused(data, file, tmp_path, change, says):
    held = dict(np.load(file))
    held |= {name: spoil(held[name], data) for name, spoil in change.items()}
    np.savez(tmp_path / "p.npz", **held)
    with pytest.raises(UserError, match=says):
        pseudo_labels.add(data, splits.training_labels(data, 10), tmp_path / "p.npz", 0.5)
