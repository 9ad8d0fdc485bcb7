"""CIFAR-10's batches, damaged, foreign and malicious."""
import os
import pickle
import shutil

import numpy as np
import pytest
from forgery import ATTACKS, Executes, rewrite
from split_rule import SAMPLE

from gpq.utils.data import cifar10
from gpq.utils.errors import UserError


@pytest.fixture(scope="module")
def sample():
    return cifar10.load(SAMPLE)


@pytest.fixture
def folder(tmp_path):
    """A sample of one's own, to be spoilt."""
    for file in SAMPLE.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


def refused(folder, match="data_batch_2"):
    with pytest.raises(UserError, match=match) as caught:
        cifar10.load(folder)
    assert "\n" not in str(caught.value)


def test_a_rewritten_batch_is_read_as_before(folder, sample):
    """The tool of the tests below spoils nothing by itself, and numpy 2's own module name is admitted."""
    rewrite(folder / "data_batch_2")
    assert np.array_equal(cifar10.load(folder).images, sample.images)


@pytest.mark.parametrize("keep", [0, 1, 1000, 2_000_000, -1])
def test_truncated_batch(folder, keep):
    path = folder / "data_batch_2"
    path.write_bytes(path.read_bytes()[:keep])
    refused(folder)


@pytest.mark.parametrize("content", [
    b"<html>404 Not Found</html>", b"\x1f\x8b\x08" + bytes(100), bytes(5000),
    pickle.dumps([1, 2, 3], 2), pickle.dumps({b"data": 3, b"labels": []}, 2), pickle.dumps({}, 2)])
def test_foreign_batch(folder, content):
    (folder / "data_batch_2").write_bytes(content)
    refused(folder)


def test_batch_of_another_shape(folder):
    path = folder / "data_batch_2"
    pixels = pickle.loads(path.read_bytes(), encoding="bytes")[b"data"]
    for wrong in (pixels[:-1], pixels[:, :-3], pixels.reshape(-1), pixels.astype(np.int16),
                  np.asfortranarray(pixels), pixels[:9].tolist()):
        rewrite(path, data=wrong)
        refused(folder)


def test_bad_labels(folder):
    path = folder / "data_batch_2"
    good = pickle.loads(path.read_bytes(), encoding="bytes")[b"labels"]
    rewrite(path, labels=good[:-1])
    refused(folder)
    for wrong in ("3", 3.0, None, [3]):
        rewrite(path, labels=[wrong, *good[1:]])
        refused(folder)
    for outside in (10, -1, 2**40):
        rewrite(path, labels=[outside, *good[1:]])
        refused(folder, "outside 0 to 9")
    rewrite(path, labels=[(good[0] + 1) % 10, *good[1:]])
    refused(folder, "not the published ones")


@pytest.mark.parametrize("spoil", [
    lambda p: p[:-1], lambda p: p[::-1], lambda p: p.astype(np.int64), lambda p: p + 60_000, lambda p: p[:0],
    lambda p: p.reshape(2, -1), lambda p: p.astype(object)])
def test_bad_positions(folder, spoil):
    np.save(folder / "positions.npy", spoil(np.load(folder / "positions.npy")))
    refused(folder, "positions.npy|test_batch")


@pytest.mark.parametrize("attack", ATTACKS)
def test_malicious_batch_executes_nothing(folder, attack):
    (folder / "data_batch_2").write_bytes(attack(folder / "was executed"))
    refused(folder)
    assert not (folder / "was executed").exists()


def test_the_attacks_above_are_real(tmp_path):
    """The plain unpickler does execute them."""
    pickle.loads(pickle.dumps(Executes(os.mkdir, str(tmp_path / "was executed")), 2))
    assert (tmp_path / "was executed").exists()
