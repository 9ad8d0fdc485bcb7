"""Files: written whole or not at all, and opened to be read without trust."""
import contextlib
import mmap
import os
import platform
import stat
from pathlib import Path

from utils.errors import UserError

GIVE = "give another"


@contextlib.contextmanager
def whole(path):
    """Yields a binary file that takes the name `path` when the block ends; until then what was there stays.

    Makes the folder of `path` where it is absent. Raises UserError where the disk refuses.
    """
    part = f"{path}.{platform.node()}.{os.getpid()}.part"  # several machines may write to one disk
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            yield file
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another path or make room") from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(part)


@contextlib.contextmanager
def opened(path, what, mend=None):
    """Yield the regular file at `path`, open to be read; whatever its reading raises becomes one sentence.

    Args:
        path: str or Path.
        what: what the file should be, in a few words that follow "no", such as "NumPy array".
        mend: what to do where there is no such file, in a few words, or None for giving another.
    Yields: a binary file.
    Raises: UserError where there is no file, it is a folder, pipe or device, the disk refuses, or the block raises
        anything but UserError.
    """
    with sound(path, what, mend):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer would wait
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UserError(f"{path} is a folder, a pipe or a device, and no {what}; {mend or GIVE}")
        with open(descriptor, "rb") as file:
            yield file


@contextlib.contextmanager
def sound(path, what, mend=None):
    """Whatever the block raises but UserError is one on the file `path`; what and mend: as of `opened`."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}; {mend or f'give the path of a {what}'}") from error
    except Exception as error:  # a damaged or forged file makes a reader raise nearly anything
        raise UserError(f"{path} is damaged or no {what} ({reason(error)}); {mend or GIVE}") from error


def reason(error):
    """What an exception says, in at most 120 characters of one line.

    Args:
        error: an Exception.
    Returns: str, its own words for a refusing disk or a sentence, its type's name besides where these are few.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = " ".join(str(error).split())
    said = f"{said[:117]}..." if len(said) > 120 else said
    return said if " " in said else f"{type(error).__name__}: {said}".removesuffix(": ")


def let_go(array):
    """Of an array that is mapped from a file, give back the memory that reading took; it is read again where it is
    needed. Another array stays as it is."""
    if isinstance(getattr(array, "base", None), mmap.mmap):
        array.base.madvise(mmap.MADV_DONTNEED)


def state(*paths):
    """What tells whether the files at `paths`, and those in folders among these, are as they were: a tuple that changes
    where one does."""
    found = [file for path in map(Path, paths) for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    stats = [(str(file), file.stat()) for file in found if file.is_file()]
    return tuple((name, each.st_ino, each.st_mtime_ns, each.st_size) for name, each in stats)
