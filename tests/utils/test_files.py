"""Files are opened without trust: what is no regular file, or cannot be read, is one sentence."""
import os

import pytest

from utils import files
from utils.errors import UserError


def test_a_regular_file_is_yielded(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    with files.opened(tmp_path / "a", "text") as file:
        assert file.read() == b"abc"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, make):
    path = str(tmp_path / "x")
    make(path)
    with pytest.raises(UserError, match=f"^{path} is a folder, a pipe or a device, and no text; give another$"):
        with files.opened(path, "text"):
            pass


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=f"there is no file {tmp_path / 'x'}; give the path of a text"):
        with files.opened(tmp_path / "x", "text"):
            pass


@pytest.mark.parametrize("error, said", [
    (EOFError(), "EOFError"), (KeyError("a"), "KeyError: 'a'"), (RecursionError("too deep a file"), "too deep a file"),
    (MemoryError(), "MemoryError"), (OSError(5, "Input/output error"), "Input/output error"),
    (SystemError("two\nlines"), "two lines"), (ValueError("x " * 200), "x " * 58 + "x...")])
def test_whatever_is_raised_becomes_one_sentence(tmp_path, error, said):
    (tmp_path / "a").touch()
    with pytest.raises(UserError) as raised:
        with files.opened(tmp_path / "a", "text", "mend it"):
            raise error
    assert str(raised.value) == f"{tmp_path / 'a'} is damaged or no text ({said}); mend it"


def test_a_sentence_and_an_interruption_pass_through(tmp_path):
    (tmp_path / "a").touch()
    for error in UserError("so it is"), KeyboardInterrupt():
        with pytest.raises(type(error)) as raised:
            with files.opened(tmp_path / "a", "text"):
                raise error
        assert raised.value is error
