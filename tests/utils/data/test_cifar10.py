"""CIFAR-10: its split, its sample, and where the data may lie."""
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from split_rule import FULL, ORDER, ROLES, SAMPLE, at, needs_full, published_roles

from gpq.utils.data import cifar10
from gpq.utils.errors import UserError


def test_sample_is_every_tenth_image_of_each_role_of_the_full_split(sample):
    for role, places in zip(("query", "labelled", "gallery"), published_roles(), strict=True):
        assert at(sample, role).tolist() == places[::10]
    assert at(sample, "unlabelled").tolist() == at(sample, "gallery").tolist()


def test_sample_arrays_and_counts(sample):
    assert sample.source.part == "the sample"
    assert sample.images.shape == (6000, 32, 32, 3) and sample.images.dtype == np.uint8
    assert sample.labels.dtype == bool and sample.labels.shape == (6000, 10) and sample.positions.dtype == np.int32
    for role, count in zip(ROLES, (10, 50, 540, 540), strict=True):
        index = getattr(sample, role)
        assert index.dtype == np.int32
        assert sample.labels[index].argmax(1).tolist() == np.repeat(np.arange(10), count).tolist()
    everything = np.concatenate([sample.query, sample.labelled, sample.gallery])
    assert sorted(everything) == list(range(6000))


def test_sample_files_are_of_the_published_format():
    """What a stranger's reader of CIFAR-10 sees, and that nothing but pixels takes room."""
    positions = np.load(SAMPLE / "positions.npy")
    for number, name in enumerate(cifar10.BATCHES):
        with open(SAMPLE / name, "rb") as file:
            raw = file.read()
        batch = pickle.loads(raw, encoding="bytes")
        count = np.count_nonzero(positions // 10_000 == number)
        assert raw[:2] == b"\x80\x02" and b"numpy._core" not in raw[:5000]
        assert set(batch) == {b"batch_label", b"labels", b"data", b"filenames"}
        assert batch[b"data"].shape == (count, 3072) and batch[b"data"].dtype == np.uint8
        assert len(batch[b"labels"]) == len(batch[b"filenames"]) == count
        assert batch[b"filenames"][0].endswith(b".png")
    meta = pickle.loads((SAMPLE / "batches.meta").read_bytes(), encoding="bytes")
    assert tuple(name.decode() for name in meta[b"label_names"]) == cifar10.CLASS_NAMES
    assert 6000 * 3072 < sum(file.stat().st_size for file in SAMPLE.iterdir()) < 6000 * 3072 * 1.02


@pytest.mark.parametrize("known", [range(7), (9, 0, 4), {1, 2}])
def test_protocol_2_in_the_sample(sample, known):
    data = cifar10.load(SAMPLE, protocol=2, known_classes=known)
    rank = np.argsort(ORDER)[data.positions]
    train, seen = rank % 6000 < 3000, np.isin(data.labels.argmax(1), list(known))
    wanted = {"labelled": train & seen, "query": ~train & ~seen, "gallery": (train & ~seen) | (~train & seen)}
    for role, mask in wanted.items():
        index = getattr(data, role)
        assert np.all(np.diff(rank[index]) > 0) and sorted(index) == np.flatnonzero(mask).tolist()
    n = len(known)
    assert [len(data.labelled), len(data.query), len(data.gallery)] == [300 * n, 300 * (10 - n), 3000]
    assert data.unlabelled.tolist() == data.gallery.tolist()


def test_protocol_3_in_the_sample_is_the_published_division(sample):
    data = cifar10.load(SAMPLE, protocol=3)
    assert np.all(np.diff(at(data, "gallery")) > 0) and np.all(np.diff(at(data, "query")) > 0)
    assert at(data, "gallery").max() < 50_000 <= at(data, "query").min()
    assert len(data.query) + len(data.gallery) == 6000 and len(data.query) > 900 and data.query.dtype == np.int32
    assert len(data.labelled) == 0 and data.training.tolist() == data.unlabelled.tolist() == data.gallery.tolist()
    assert data.source == sample.source and data.training.dtype == np.int32


@pytest.mark.parametrize("protocol, known", [
    (4, (0,)), (2, ()), (2, range(10)), (2, (1, 10)), (2, (-1, 2)), (2, (3, 3)), (2, (0, 1, 2, 1))])
def test_impossible_protocol_is_refused(protocol, known):
    with pytest.raises(UserError):
        cifar10.load(SAMPLE, protocol, tuple(known))


@needs_full
def test_full_split_follows_the_rule(full):
    assert full.source.part == "all" and full.positions.tolist() == list(range(60_000))
    for role, places in zip(("query", "labelled", "gallery"), published_roles(), strict=True):
        assert at(full, role).tolist() == places
    assert [len(getattr(full, role)) for role in ROLES] == [1000, 5000, 54_000, 54_000]
    for role in ROLES:
        assert len(set(full.labels[getattr(full, role)].sum(0))) == 1
    everything = np.concatenate([full.query, full.labelled, full.gallery])
    assert np.bincount(everything, minlength=60_000).tolist() == [1] * 60_000


@needs_full
def test_full_protocol_2_counts_of_table_1():
    data = cifar10.load(FULL, protocol=2)
    assert [len(getattr(data, role)) for role in ROLES] == [9000, 21_000, 30_000, 30_000]
    everything = np.concatenate([data.query, data.labelled, data.gallery])
    assert np.bincount(everything, minlength=60_000).tolist() == [1] * 60_000


@needs_full
def test_full_protocol_3_is_the_published_division():
    data = cifar10.load(FULL, protocol=3)
    for role, places in (("training", range(50_000)), ("gallery", range(50_000)), ("query", range(50_000, 60_000))):
        assert at(data, role).tolist() == list(places)


@needs_full
def test_sample_images_are_the_full_sets(full, sample):
    assert np.array_equal(full.images[sample.positions], sample.images)
    assert np.array_equal(full.labels[sample.positions], sample.labels)
    for role in ROLES:
        assert set(at(sample, role)) <= set(at(full, role))
    tenths = np.concatenate([getattr(full, role)[::10] for role in ("query", "labelled", "gallery")])
    assert np.array_equal(np.sort(full.positions[tenths]), np.sort(sample.positions))


@needs_full
def test_images_are_upright_rgb(full):
    """Every pixel of two batches against the published layout: a row of red, then of green, then of blue."""
    for name, start in (("data_batch_3", 20_000), ("test_batch", 50_000)):
        rows = pickle.loads((Path(FULL) / name).read_bytes(), encoding="bytes")[b"data"]
        for y, x, channel in ((0, 0, 0), (0, 31, 2), (31, 0, 1), (5, 17, 2)):
            got = full.images[start:start + 10_000, y, x, channel]
            assert np.array_equal(got, rows[:, 1024 * channel + 32 * y + x])


# ---------------------------------------------------------------- where the data lies

def test_sample_is_used_and_said_so_in_one_line(tmp_path, capsys):
    """An empty folder takes the repository's sample, one with a sample of its own takes that."""
    assert cifar10.load(tmp_path).source.part == "the sample"
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "6,000" in said and str(SAMPLE) in said
    assert f"python -m utils.data fetch cifar10 --data_dir={tmp_path}" in said
    shutil.copytree(SAMPLE, tmp_path / "sample")
    assert cifar10.load(tmp_path).source.part == "the sample"
    assert str(tmp_path / "sample") in capsys.readouterr().err
    assert cifar10.load(tmp_path / "sample").source.part == "the sample"
    assert capsys.readouterr().err == ""  # asked for by name


@needs_full
def test_full_set_is_found_beside_the_sample_and_in_the_archives_folder(tmp_path, capsys, sample):
    (tmp_path / "sample").symlink_to(SAMPLE)
    (tmp_path / "cifar-10-batches-py").symlink_to(Path(FULL).resolve())
    data = cifar10.load(tmp_path)
    assert data.source.part == "all" and capsys.readouterr().err == ""
    assert np.array_equal(data.images[sample.positions], sample.images)


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-py"])
def test_partly_present_set_names_what_is_missing(tmp_path, inner):
    folder = tmp_path / inner
    folder.mkdir(exist_ok=True)
    for name in ("data_batch_1", "data_batch_2", "data_batch_4", "data_batch_5"):
        shutil.copy(SAMPLE / name, folder)
    with pytest.raises(UserError, match=f"lacks data_batch_3, test_batch; .*--data_dir={tmp_path}`"):
        cifar10.load(tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="no folder"):
        cifar10.load(tmp_path / "nowhere")
