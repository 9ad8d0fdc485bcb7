"""CIFAR-100: its published files, bad files, and the download, from a server on loopback."""
import functools
import os
import pickle
import shutil
import tarfile

import forgery
import numpy as np
import pytest
from forgery import ATTACKS, batch_bytes, meta, published, rewrite

from gpq.utils.data import cifar10, cifar100
from gpq.utils.errors import UserError

FULL = os.environ.get("CIFAR100_DIR")
FOLDER = "cifar-100-python"
COUNTS = {"train": 7, "test": 3}


@pytest.fixture
def folder(tmp_path):
    """The two batches, to be read or spoilt."""
    for split, count in COUNTS.items():
        (tmp_path / split).write_bytes(batch_bytes(published(split, count)))
    return tmp_path


def refused(folder, match="train is damaged or no CIFAR-100 batch"):
    with pytest.raises(UserError, match=match) as caught:
        cifar100.load(folder)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- the reader

def test_every_pixel_and_label_is_the_published_one(folder):
    data = cifar100.load(folder)
    for split, role in (("train", data.labelled), ("test", data.validation)):
        batch, count = published(split, COUNTS[split]), COUNTS[split]
        images, labels = data.images[role], data.labels[role]
        assert images.shape == (count, 32, 32, 3) and images.dtype == np.uint8
        assert labels.shape == (count, 100) and labels.dtype == bool and (labels.sum(1) == 1).all()
        assert labels.argmax(1).tolist() == batch[b"fine_labels"]
        for (i, y, x, channel), value in np.ndenumerate(images):
            assert value == batch[b"data"][i, 1024 * channel + 32 * y + x]


def test_files_lie_in_the_archives_folder_or_in_data_dir_itself(folder, tmp_path_factory):
    outer = tmp_path_factory.mktemp("outer")
    shutil.copytree(folder, outer / FOLDER)
    here, inside, itself = map(cifar100.load, (folder, outer, str(outer / FOLDER)))
    for other in (inside, itself):
        assert other.source.same_data(here.source)
        assert all(map(np.array_equal, other._replace(source=here.source), here))


def test_training_images_are_searched_and_test_images_ask(folder):
    data = cifar100.load(folder)
    assert data.labelled.tolist() == data.gallery.tolist() == list(range(7)) and len(data.unlabelled) == 0
    assert data.validation.tolist() == data.query.tolist() == [7, 8, 9] and data.positions is None
    assert {role.dtype for role in data[2:7]} == {np.dtype(np.int32)}


def test_classes_are_called_as_meta_says_or_by_their_numbers(folder):
    assert cifar100.load(folder).class_names == tuple(map(str, range(100)))
    (folder / "meta").write_bytes(meta())
    assert cifar100.load(folder).class_names[:2] == ("class 0", "class 1")


def test_one_image_is_enough_and_none_is_not(folder):
    (folder / "train").write_bytes(batch_bytes(published("train", 1)))
    data = cifar100.load(folder)
    assert data.labels[data.labelled].argmax(1).tolist() == [99]
    (folder / "train").write_bytes(batch_bytes(published("train", 0)))
    refused(folder)


def test_a_stranger_reads_what_the_published_pickler_writes(folder):
    """Plain pickle gives the dict back, and neither numpy 2 nor Python 3 is in the file."""
    raw = (folder / "train").read_bytes()
    batch, wanted = pickle.loads(raw, encoding="bytes"), published("train", COUNTS["train"])
    assert batch.keys() == wanted.keys() and np.array_equal(batch[b"data"], wanted[b"data"])
    assert all(batch[key] == wanted[key] for key in wanted if key != b"data")
    assert raw.startswith(b"\x80\x02") and b"numpy.core.multiarray" in raw
    assert b"numpy._core" not in raw and b"_codecs" not in raw


@pytest.mark.skipif(not FULL, reason="CIFAR100_DIR does not name the full set")
def test_full_set_has_500_and_100_images_a_class():
    data = cifar100.load(FULL)
    assert data.images.shape == (60_000, 32, 32, 3) and len(data.labelled) == 50_000 and len(data.validation) == 10_000
    assert data.labels[data.labelled].sum(0).tolist() == [500] * 100
    assert data.labels[data.validation].sum(0).tolist() == [100] * 100


# ---------------------------------------------------------------- bad input

def test_missing_folder_or_files_name_the_command(folder):
    nowhere = folder / "no where"
    refused(nowhere, f"no folder .*python -m utils.data fetch cifar100 --data_dir='{nowhere}'`")
    nowhere.mkdir()
    refused(nowhere, f"no CIFAR-100 in .*--data_dir='{nowhere}'`")
    (folder / "test").unlink()
    refused(folder, f"lacks test; .*--data_dir={folder}`")
    (folder / "train").rename(nowhere / "train")
    nowhere.rename(folder / FOLDER)
    refused(folder / FOLDER, f"lacks test; .*--data_dir={folder}`")


@pytest.mark.parametrize("keep", [0, 1, 200, 5000, -1])
def test_truncated_batch(folder, keep):
    path = folder / "train"
    path.write_bytes(path.read_bytes()[:keep])
    refused(folder)


@pytest.mark.parametrize("content", [
    b"<html>404 Not Found</html>", bytes(5000), pickle.dumps([1, 2, 3], 2), pickle.dumps({}, 2),
    (cifar10.HOME / "sample" / "test_batch").read_bytes()])
def test_foreign_batch(folder, content):
    (folder / "train").write_bytes(content)
    refused(folder)


def test_pixels_of_another_shape_or_type(folder):
    pixels = published("train", COUNTS["train"])[b"data"]
    for wrong in (pixels[:-1], pixels[:, :-3], pixels.reshape(-1)):
        rewrite(folder / "train", data=wrong)
        refused(folder, "must hold 7 images of 3,072 bytes")
    for wrong in (pixels.astype(np.int16), np.asfortranarray(pixels), pixels.tolist(), b"pixels"):
        rewrite(folder / "train", data=wrong)
        refused(folder)


def test_bad_labels(folder):
    path, good = folder / "train", published("train", COUNTS["train"])[b"fine_labels"]
    rewrite(path, fine_labels=good[:-1])
    refused(folder, "must hold 6 images .* holds an array of shape \\(7, 3072\\) and 6 labels")
    for outside in (100, -1, 2**70):
        rewrite(path, fine_labels=[outside, *good[1:]])
        refused(folder, "outside 0 to 99, so it is not CIFAR-100")
    for wrong in ("3", 3.0, True, None, [3]):
        rewrite(path, fine_labels=[wrong, *good[1:]])
        refused(folder)
    for wrong in (b"\1" * 7, dict.fromkeys(range(7)), np.arange(7), 7):
        rewrite(path, fine_labels=wrong)
        refused(folder)


@pytest.mark.parametrize("attack", ATTACKS)
def test_malicious_batch_executes_nothing(folder, attack):
    (folder / "meta").write_bytes(attack(folder / "was executed"))
    refused(folder, "meta is damaged")
    (folder / "train").write_bytes(attack(folder / "was executed"))
    refused(folder)
    assert not (folder / "was executed").exists()


@pytest.mark.parametrize("names", [[b"apple"] * 99, [b"apple"] * 101, ["\xe4".encode()] * 100, [1] * 100, 7])
def test_meta_that_does_not_name_the_classes(folder, names):
    (folder / "meta").write_bytes(meta(names))
    refused(folder, "meta is damaged or no list of the 100 fine classes .*; .*python -m utils.data fetch cifar100")


# ---------------------------------------------------------------- fetch

FILES = {split: batch_bytes(published(split, count)) for split, count in COUNTS.items()}
FILES |= {"meta": meta(), "file.txt~": os.urandom(200_000)}
tar = functools.partial(forgery.tar, FOLDER, FILES)
fetch = functools.partial(forgery.fetch, cifar100)
complete = functools.partial(forgery.complete, FOLDER, FILES)


@pytest.fixture
def server(server):
    server.content = tar()
    server.url += "/cifar-100-python.tar.gz"
    return server


def test_fetch_whole_then_nothing_more(server, folder, tmp_path_factory, capsys):
    root = tmp_path_factory.mktemp("new") / "cifar100"
    fetch(server, root)
    assert complete(root) and f"CIFAR-100 is complete in {root}" in capsys.readouterr().out
    assert cifar100.load(root).source.sha256 == cifar100.load(folder).source.sha256
    fetch(server, root)
    fetch(server, folder)
    assert server.asked == [None] and capsys.readouterr().out.count("already complete") == 2


def test_fetch_mends_a_partial_set(server, folder):
    (folder / "test").unlink()
    fetch(server, folder)
    assert len(cifar100.load(folder).validation) == COUNTS["test"]


def test_fetch_goes_on_after_a_cut(server, tmp_path):
    server.at_most = 100_000
    with pytest.raises(UserError, match="goes on where it stopped"):
        fetch(server, tmp_path)
    have, server.at_most = (tmp_path / "cifar-100-python.tar.gz.part").stat().st_size, 10**9
    fetch(server, tmp_path)
    assert 0 < have <= 100_000 and server.asked == [None, f"bytes={have}-"] and complete(tmp_path)


@pytest.mark.parametrize("spoil, says", [
    (lambda a: a[:5000] + b"?" + a[5001:], "not the official archive"),
    (lambda a: a + b"more", "not the official archive"),
    (lambda a: a[:-1000], "ended after")])
def test_fetch_corrupted_or_truncated(server, tmp_path, spoil, says):
    archive, server.content = server.content, spoil(server.content)
    with pytest.raises(UserError, match=says):
        fetch(server, tmp_path, archive)
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.parametrize("archive", [
    tar(("../evil", b"evil")),
    tar((FOLDER + "/other", b"evil")),
    tar((FOLDER + "/train", b"", tarfile.SYMTYPE, "/etc/passwd"), leave_out=["train"]),
    tar(leave_out=["meta"]),
    forgery.tar("cifar-10-batches-py", FILES),
    b"no archive at all"])
def test_fetch_hostile_archive_writes_nothing(server, tmp_path, archive):
    server.content = archive
    with pytest.raises(UserError, match="CIFAR-100's 4 files"):
        fetch(server, tmp_path / "in" / "data")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["in", "in/data"]


def test_fetch_refused(server, tmp_path):
    server.status = 404
    with pytest.raises(UserError, match="HTTP 404"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []
