"""The file of features: what is in it, cut and gone on with, and whose it is."""
import fcntl
import json
import mmap
from pathlib import Path

import numpy as np
import pytest

from gpq.config import GPQ
from gpq.model.backbone import NETWORKS
from gpq.model.tf1 import tf
from gpq.utils.errors import UserError
from gpq.utils.retrieval import feature_file

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), np.uint8)
CONFIG = GPQ(backbone="efficientnet_lite0", input_side=32)


@pytest.fixture(scope="module", autouse=True)
def quick():
    """A network of one product in the place of EfficientNet-Lite, and no weights."""
    kernel = np.random.default_rng(1).normal(size=(32 * 32 * 3, 1280)).astype(np.float32) / 50

    def build(images, forward):
        return tf.matmul(tf.reshape(images, [-1, 32 * 32 * 3]), kernel)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(NETWORKS, "efficientnet_lite0", NETWORKS["efficientnet_lite0"]._replace(build=build))
        monkeypatch.setattr(feature_file.imagenet, "load", lambda *_: None)
        monkeypatch.setattr(feature_file.imagenet, "weight_file", lambda variant: Path("lite.pth"))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Features of IMAGES, float16, and the path of their file."""
    path = tmp_path_factory.mktemp("features") / "whole.npy"
    return feature_file.kept(path, IMAGES, CONFIG), path


def test_a_cut_run_goes_on_and_ends_like_an_uncut_one(whole, tmp_path, monkeypatch, capsys):
    """Cut after two blocks, in the middle of a third; only what is missing is seen again."""
    monkeypatch.setattr(feature_file, "BLOCK", 2)
    path, seen, by_batch = tmp_path / "new" / "cut.npy", [], feature_file.by_batch

    def watched(*arguments, first):
        seen.append(first)
        for number, found in enumerate(by_batch(*arguments, first=first)):
            if len(seen) == 1 and number == 2:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(feature_file, "by_batch", watched)
    with pytest.raises(KeyboardInterrupt):
        feature_file.kept(path, IMAGES, CONFIG)
    assert not path.exists()
    with open(f"{path}.part", "ab") as file:
        file.write(b"torn")
    found = feature_file.kept(path, IMAGES, CONFIG)
    assert seen == [0, 4] and found.shape == (10, 1280) and found.dtype == np.float16
    np.testing.assert_allclose(found.astype(float), whole[0].astype(float), atol=2e-3)
    assert {file.name for file in path.parent.iterdir()} == {"cut.npy", "cut.npy.json"}
    said = capsys.readouterr().out
    assert "cut.npy.part: goes on after 4 of 10 images" in said and "images/s" in said
    again = feature_file.kept(path, IMAGES, CONFIG)
    assert len(seen) == 2 and (again == found).all() and isinstance(again.base, mmap.mmap)


def test_the_mirrored_view_is_averaged(whole, tmp_path):
    both = np.concatenate([IMAGES, IMAGES[:, :, ::-1]])
    each = feature_file.kept(tmp_path / "each.npy", both, CONFIG, dtype=np.float32)
    mean = feature_file.kept(tmp_path / "mean.npy", IMAGES, CONFIG, mirrored=True)
    np.testing.assert_allclose(mean, (each[:10] + each[10:]) / 2, atol=2e-3)
    np.testing.assert_allclose(whole[0], each[:10], atol=2e-3)
    assert np.abs(each[:10] - each[10:]).max() > 0.1


def test_a_file_of_others_is_made_anew(whole, tmp_path, monkeypatch):
    path = tmp_path / "old.npy"
    np.save(path, whole[0][:3])
    (tmp_path / "old.npy.json").write_text(whole[1].with_name("whole.npy.json").read_text())
    monkeypatch.setattr(feature_file, "_features", lambda images, *_: [np.ones((len(images), 1280), np.float32)])
    assert feature_file.kept(path, IMAGES[:5], CONFIG).shape == (5, 1280)
    assert json.loads((tmp_path / "old.npy.json").read_text())["dtype"] == "float16"


def test_mistakes_are_said(whole, tmp_path):
    part = tmp_path / "f.npy.part"
    part.write_bytes(b"begun")
    part.with_name("f.npy.part.json").write_text(whole[1].with_name("whole.npy.json").read_text())
    with pytest.raises(UserError, match="f.npy.part was begun with mirrored=False and now it is True; remove it"):
        feature_file.kept(tmp_path / "f.npy", IMAGES, CONFIG, mirrored=True)
    with open(part, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is writing .*f.npy.part; wait for it"):
            feature_file.kept(tmp_path / "f.npy", IMAGES, CONFIG)
    with pytest.raises(UserError, match="no weights of ImageNet for backbone=modified_vgg; set --backbone="):
        feature_file.kept(tmp_path / "f.npy", IMAGES, GPQ())
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="g.npy cannot be written .*; choose another path"):
        feature_file.kept(tmp_path / "file" / "g.npy", IMAGES, CONFIG)
