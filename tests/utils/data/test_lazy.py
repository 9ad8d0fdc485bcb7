"""Pictures that are decoded as they are asked for, and what cannot be read."""
import io

import numpy as np
import pytest
from made_up_pictures import jpeg
from PIL import Image

from gpq.utils.data import lazy
from gpq.utils.errors import UserError


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def files(folder, *contents):
    for k, content in enumerate(contents):
        (folder / str(k)).write_bytes(content)
    return [lazy.Stored(folder / str(k)) for k in range(len(contents))]


def test_it_indexes_like_an_array(tmp_path):
    pictures = lazy.Pictures(files(tmp_path, *(jpeg(20 + k, 40, k) for k in range(5))), 32)
    array = np.stack([pictures[k] for k in range(5)])
    assert pictures.shape == array.shape == (5, 32, 32, 3) and pictures.dtype == array.dtype and pictures.ndim == 4
    for index in (slice(1, 4), np.array([[3, 1], [0, 0]]), np.array([True, False, True, False, False]), -1, [2, 2],
                  np.array([], int)):
        assert np.array_equal(pictures[index], array[index])


def test_what_cannot_be_read_is_named_counted_and_left_out(tmp_path, capsys):
    stored = files(tmp_path, jpeg(), jpeg()[:400], b"", b"text", png(np.zeros((3, 3), np.uint8)))
    stored.append(lazy.Stored(tmp_path / "absent"))
    found = lazy.readable(stored, list("abcdef"), "SET")
    assert found.tolist() == [True, False, False, False, True, False]
    said = capsys.readouterr().err
    assert "SET: 4 of 6 pictures are left out" in said
    assert all(f"{name} cannot be read and is left out" in said for name in "bcdf") and "f cannot be read" in said
    with pytest.raises(UserError, match="none of the 2 pictures of SET"):
        lazy.readable(stored[1:3], ["b", "c"], "SET")


def test_a_picture_that_becomes_unreadable(tmp_path):
    pictures = lazy.Pictures(files(tmp_path, jpeg(), jpeg()), 32)
    (tmp_path / "1").unlink()
    assert pictures[:1].shape == (1, 32, 32, 3)
    with pytest.raises(UserError, match="there is no file .*1; put it back as it was"):
        pictures[[0, 1]]


def test_no_archive(tmp_path):
    (tmp_path / "t.tar").write_bytes(b"no")
    for name in ("t.tar", "absent.tar"):
        with pytest.raises(UserError, match="no tar archive"):
            lazy.in_tar(tmp_path / name)
