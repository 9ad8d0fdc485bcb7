"""Held-back images are in nothing that training sees, whatever the data, the protocol and the method."""
import numpy as np
import pytest
from made_up import file, tags, vectors
from made_up_pictures import corel, jpeg

from gpq.config import GPQ, WSDHQ
from gpq.utils.data import pseudo_labels, sets, splits
from gpq.utils.methods import METHODS
from gpq.utils.training.task import Task


def photographs(folder):
    for number in range(24):
        place = folder / f"class{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.jpg").write_bytes(jpeg(seed=number))
    return folder


def with_roles(path):
    """Vectors whose labelled ones are unlabelled ones too."""
    everything = np.arange(300)
    return file(path, query=everything[:30], gallery=everything[30:], labelled=everything[30:200],
                unlabelled=everything[30:])


DATA = {
    **{f"protocol {number}": lambda tmp, sample, number=number: {"data_dir": str(sample), "protocol": number}
       for number in (1, 2, 3)},
    "corel5k": lambda tmp, _: {"dataset": "corel5k", "data_dir": str(corel(tmp)), "image_size": 32},
    "folder": lambda tmp, _: {"dataset": "folder", "data_dir": str(photographs(tmp / "p")), "image_size": 32},
    "vectors": lambda tmp, _: {"embeddings": file(tmp / "v.npz"), "tags": tags(tmp / "t.npz", vectors()[1])},
    "vectors with roles": lambda tmp, _: {"embeddings": with_roles(tmp / "v.npz")}}


@pytest.mark.parametrize("kind", DATA)
def test_no_role_of_any_method_has_one(kind, tmp_path, data_dir):
    settings, held = DATA[kind](tmp_path, data_dir), set()
    config = WSDHQ(**settings)
    data = sets.load(config, tags=kind in ("corel5k", "vectors"))
    if data.tags is None:
        data = data._replace(tags=np.arange(len(data.images))[:, np.newaxis] % 5 == np.arange(4))
    for role in {"training", *(row.roles[0] for row in METHODS.values())}:
        images = getattr(data, role)
        counts = data.labels[images][:, data.labels[images].any(0)].sum(0)
        if not len(images) or counts.min() < 2:
            continue
        rest = splits.hold_back(data, config.model_copy(update={"n_validation": len(counts)}), role)
        assert len(rest.validation)
        held.add(role)
        for seen in {"training", *(role for row in METHODS.values() for role in row.roles)}:
            left = set(getattr(data, seen)) - set(rest.validation)
            assert set(getattr(rest, seen)) == left and len(getattr(rest, seen)) == len(left), (role, seen)
    assert held >= {"training", "examples"}


def test_pseudo_labels_leave_held_back_and_labelled_ones_alone(tmp_path):
    """Of vectors, whose unlabelled ones have the labelled among them; a teacher that is wrong of everything."""
    config = GPQ(embeddings=file(tmp_path / "v.npz"), n_CLASSES=3, eval_term=1, n_validation=30, batch_size=10)
    data = sets.load(config)
    held = splits.hold_back(data, config)
    wrong = (data.labels.argmax(1) + 1) % 3
    found = pseudo_labels.PseudoLabels(data.unlabelled, wrong[data.unlabelled],
                                       np.ones(len(data.unlabelled), np.float32), held.labelled, data.source.sha256)
    np.savez(tmp_path / "p.npz", **found._asdict())
    task = Task(config.model_copy(update={"pseudo_labels": str(tmp_path / "p.npz")}))
    assert not task.labels[held.validation].any()
    assert not np.isin(held.validation, np.concatenate(task.roles)).any()
    np.testing.assert_array_equal(task.labels[held.labelled], data.labels[held.labelled])
