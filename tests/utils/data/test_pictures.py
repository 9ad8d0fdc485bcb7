"""Reading a user's pictures, and drawing a ranked list of them."""
import os
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gpq import Demo
from gpq.utils import figures
from gpq.utils.data import lazy, pictures
from gpq.utils.errors import UserError


def test_what_is_no_picture_is_said(tmp_path):
    (tmp_path / "words.png").write_text("these are words")
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    for name in ("words.png", "cut.png"):
        with pytest.raises(UserError, match=rf"{name} is damaged or no picture \(it is empty or"):
            pictures.read(tmp_path / name, 32)
    with pytest.raises(UserError, match="there is no file .*absent.png; give the path of a picture"):
        pictures.read(tmp_path / "absent.png", 32)
    with pytest.raises(UserError, match="cut.png is damaged or no picture .*; put it back as it was"):
        lazy.read_all(tmp_path, 32)[0][:]


def test_a_folder_and_its_subfolders_are_read_in_the_order_of_its_names(tmp_path):
    for level, name in ((2, "b.png"), (1, "a.bmp"), (3, "C.JPG")):
        Image.new("RGB", (8, 8), (level * 50,) * 3).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("left alone")
    (tmp_path / "b").mkdir()
    Image.new("RGB", (8, 8), (200,) * 3).save(tmp_path / "b" / "0.png")
    images, names = lazy.read_all(tmp_path, 32)
    assert list(names) == ["C.JPG", "a.bmp", "b.png", "b/0.png"]
    np.testing.assert_allclose(images[:].mean((1, 2, 3)), [150, 50, 100, 200], atol=2)


def test_what_a_folder_leaves_out_is_told_of_once(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "mine"
    for inner in ("closed", "open"):
        (folder / inner).mkdir(parents=True)
    for name in ("a.png", "open/b.png", "c.xyz"):
        Image.new("RGB", (8, 8)).save(folder / name, "PNG")
    (folder / "linked").symlink_to(folder / "open", target_is_directory=True)
    for name in ("d.HEIC", "open/e.heic"):
        (folder / name).touch()
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    for _ in range(2):
        assert pictures.listed(folder)[0].tolist() == ["a.png", "open/b.png"]
    said = capsys.readouterr().err.splitlines()
    assert sorted(said) == sorted([
        f"{folder}/closed cannot be read and is left out: Permission denied",
        f"{folder}/linked is a link to a folder and is left out; put the folder itself there",
        f"{folder}: 2 pictures that end in .heic are left out, which Pillow does not read here"])


@pytest.mark.parametrize("array", [
    np.zeros((4, 32, 32, 3), np.float32), np.zeros((4, 3, 32, 32), np.uint8), np.zeros((32, 32, 3), np.uint8),
    np.zeros((0, 32, 32, 3), np.uint8), np.zeros((4, 64, 64, 3), np.uint8)])
def test_an_array_of_another_kind_is_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=r"must be uint8 \[N, 32, 32, 3\]"):
        lazy.read_all(tmp_path / "a.npy", 32)


def test_what_is_neither_folder_nor_array_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.npy").write_text("these are words")
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(UserError, match="holds no pictures"):
        lazy.read_all(tmp_path / "empty", 32)
    for name in ("words.npy", "objects.npy"):
        with pytest.raises(UserError, match="no folder of pictures or .npy file|dtype=object"):
            lazy.read_all(tmp_path / name, 32)
    with pytest.raises(UserError, match="there is no file .*folder of pictures"):
        lazy.read_all(tmp_path / "absent", 32)


def _has(picture, colour):
    target = [int(colour[i:i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(picture[..., :3].astype(int) - target).sum(-1) < 6).sum() > 500  # a frame, not a soft edge


def test_a_ranked_list_frames_right_and_wrong(tmp_path):
    images = [np.full((32, 32, 3), 60, np.uint8)] * 9

    def draw(right):
        figures.ranked_list(tmp_path / "list.png", images[0], "a $query", images, ["0.1"] * 9, right)
        return np.asarray(Image.open(tmp_path / "list.png"))

    mixed, unknown = draw([True] + [False] * 8), draw([None] * 9)
    assert _has(mixed, figures.RIGHT) and _has(mixed, figures.WRONG) and not _has(mixed, figures.UNKNOWN)
    assert _has(unknown, figures.UNKNOWN) and not _has(unknown, figures.RIGHT)
    with pytest.raises(UserError, match="cannot be written"):
        figures.ranked_list(tmp_path / "list.png" / "list.png", images[0], "", [], [], [])


def test_a_list_of_names_that_are_no_utf_8_or_very_long(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = np.zeros((32, 32, 3), np.uint8)
    for name in "caf\udce9.png", "x" * 245 + ".png":
        figure = Demo.draw_own(SimpleNamespace(image=f"{tmp_path}/{name}"), image, [image] * 3, [f"{name}\n0.1"] * 3)
        assert (tmp_path / figure).stat().st_size and len(figure) < 100
