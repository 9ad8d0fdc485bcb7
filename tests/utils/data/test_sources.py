"""What a run knows of its data: their digest, where they came from, and the words that old checkpoints kept."""
import hashlib
import json
import shutil

import numpy as np
import pytest
from forgery import batch_bytes, published, rewrite
from split_rule import FULL, SAMPLE, needs_full

from gpq.utils.data import archives, cifar10, cifar100
from gpq.utils.data.data import Source

HASHED = Source("CIFAR-10", "the sample", "ab" * 32, "the repository's sample")


def test_the_shipped_sample_is_known_as_such():
    assert cifar10.load(SAMPLE).source == ("CIFAR-10", "the sample", cifar10.SAMPLE_SHA256, "the repository's sample")


def test_one_changed_pixel_is_another_source(tmp_path):
    """Among all of 18,432,000 bytes."""
    shutil.copytree(SAMPLE, tmp_path, dirs_exist_ok=True)
    pixels = archives.read_batch(cifar10.ARCHIVE, SAMPLE / "data_batch_4", "")[b"data"].copy()
    pixels[70, 1000] ^= 1
    rewrite(tmp_path / "data_batch_4", data=pixels)
    source = cifar10.load(tmp_path).source
    assert source.sha256 != cifar10.SAMPLE_SHA256 and not source.same_data(cifar10.load(SAMPLE).source)
    assert source.origin == f"a sample that is not the repository's, in {tmp_path}"


@needs_full
def test_the_published_batches_are_known_as_such():
    data = cifar10.load(FULL)
    assert data.source[:2] == ("CIFAR-10", "all") and data.source.origin == "the published batches"
    assert data.source.sha256 == hashlib.sha256(data.images.tobytes() + data.labels.tobytes()).hexdigest()


def test_published_means_every_batch_byte_for_byte(tmp_path, monkeypatch):
    """With what is there declared published, and then any one batch other than that."""
    for split, count in (("train", 7), ("test", 3)):
        (tmp_path / split).write_bytes(batch_bytes(published(split, count)))
    assert cifar100.load(tmp_path).source.origin == f"batches that are not the published ones, in {tmp_path}"
    md5 = {name: hashlib.md5((tmp_path / name).read_bytes()).hexdigest() for name in cifar100.ARCHIVE.batches}
    monkeypatch.setattr(cifar100, "ARCHIVE", cifar100.ARCHIVE._replace(batches=md5))
    before = cifar100.load(tmp_path).source
    assert before.origin == "the published batches"
    rewrite(tmp_path / "test", fine_labels=[5, 6, 7])
    after = cifar100.load(tmp_path).source
    assert "not the published ones" in after.origin and not after.same_data(before)
    assert np.array_equal(cifar100.load(tmp_path).labels[7:].argmax(1), [5, 6, 7])


def test_a_source_survives_json():
    assert Source.from_json(json.loads(json.dumps(HASHED._asdict()))) == HASHED


@pytest.mark.parametrize("words, name, part", [
    ("CIFAR-10", "CIFAR-10", "all"), ("CIFAR-100", "CIFAR-100", "all"),
    ("CIFAR-10, the sample", "CIFAR-10", "the sample")])
def test_the_words_of_old_checkpoints(words, name, part):
    old = Source.from_json(words)
    assert old == Source(name, part) and str(old) == words
    now = Source(name, part, "ab" * 32, "somewhere")
    assert old.same_data(now) and now.same_data(old) and old.same_data(old)
    assert not old.same_data(now._replace(part="another")) and not old.same_data(now._replace(name="another"))


def test_digests_decide_where_both_are_known_and_origins_never():
    assert HASHED.same_data(HASHED._replace(origin="elsewhere"))
    assert not HASHED.same_data(HASHED._replace(sha256="cd" * 32))
    assert str(HASHED) == "CIFAR-10, the sample (the repository's sample, SHA-256 abababababab)"


@pytest.mark.parametrize("kept", [7, None, ["CIFAR-10"], {"part": "all"}, {"name": "CIFAR-10", "more": 1}])
def test_damaged_json_is_a_type_error(kept):
    with pytest.raises(TypeError):
        Source.from_json(kept)
