"""Files that are written whole or not at all, and arrays that are mapped from files."""
import contextlib
import mmap
import os
import platform
from pathlib import Path

from utils.errors import UserError


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
