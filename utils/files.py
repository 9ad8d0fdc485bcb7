"""Files: written whole or not at all, never over what was read, and opened to be read without trust.

What is being written is called OURS: that it is a part, or an unfinished folder, its name, and who writes it. It is
removed by the next that writes there when that process has ended. A folder whose files are all whole is called saved
until each of them has its name in the folder that it is in; whoever comes next goes on with that.
"""
import contextlib
import fcntl
import itertools
import mmap
import os
import platform
import re
import stat
import time
from pathlib import Path

from gpq.utils import errors
from gpq.utils.errors import UserError

GIVE = "give another"
OURS = re.compile(r"\.(part|unfinished|saved)-.*~(.*)~(\d+)~\d+", re.DOTALL)  # kind, name, machine, process, number
DAY = 24 * 3600
_read, _written = set(), set()  # marks of what this process has read, and of what it wrote itself, no input
_numbers = itertools.count()


@contextlib.contextmanager
def whole(path, over_input=False):
    """Yield a binary file that takes the name `path` when the block ends; until then what was there stays.

    Args:
        path: str or Path; its folder is made where it is absent, and where it is a link the file goes to its target.
        over_input: whether what this process has read may be replaced, as a file that is kept between runs.
    Yields: a binary file.
    Raises: UserError where the disk refuses, and as `check_target`, before and after the block.
    """
    place = os.path.realpath(path)
    check_target(path, over_input)
    with _refusal(path), _unfinished("part", place) as part:
        with open(part, "wb") as file:
            yield file
        check_target(path, over_input)
        os.replace(part, place)
        _written.add(_mark(os.stat(place)))


@contextlib.contextmanager
def whole_folder(path, over_input=False):
    """Yield a new folder, whose files take their names in the folder `path` when the block ends, in their order.

    Args:
        path: str or Path; made where it is absent, and then there at once with all that is in it.
        over_input: as of `whole`.
    Yields: a Path.
    Raises: UserError as `whole`.
    """
    place = os.path.realpath(path)
    inside = os.path.isdir(place)
    named = os.path.join(place, os.path.basename(place)) if inside else place
    with _refusal(path), _unfinished("unfinished", named) as part:
        os.mkdir(part)
        yield Path(part)
        for name in os.listdir(part) if inside else ():
            check_target(os.path.join(place, name), over_input)
        saved = ".saved-".join(part.rsplit(".unfinished-", 1)) if inside else place
        os.replace(part, saved)
        if inside:
            _take_names(saved)


@contextlib.contextmanager
def held(path, refusal):
    """Yield the file `path`, made where it is absent and open to append, which no other process holds meanwhile.

    Raises UserError, the sentence `refusal`, where another does.
    """
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                raise BlockingIOError  # it had another name a moment ago
        except BlockingIOError:
            raise UserError(refusal) from None
        yield file


def check_target(path, over_input=False):
    """UserError where writing to `path` would replace a pipe, a device or, but with `over_input`, what was read."""
    there = _stat(path)
    if there is None:
        return
    if not stat.S_ISREG(there.st_mode) and not stat.S_ISDIR(there.st_mode):
        raise UserError(f"{path} is a pipe or a device, and no file can take its place; choose another path")
    if (mark := _mark(there)) in _read and mark not in _written and not over_input:
        raise UserError(f"{path} is what this command reads, and would be lost; choose another path to write to")


def was_read(path):
    """Let nothing be written over the file or folder at `path`, by whatever name."""
    if there := _stat(path):
        _read.add(_mark(there))


def _stat(path):
    """`os.stat` of a path, None where nothing is there."""
    with contextlib.suppress(OSError):
        return os.stat(path)


def _mark(about):
    """What tells a file from others and from later ones in its place: a number, as there may be millions of them."""
    return hash((about.st_dev, about.st_ino, about.st_ctime_ns))


def tidy(folder):
    """Remove what processes that have ended left unfinished in `folder`, and give what they left whole its names."""
    with contextlib.suppress(OSError, OverflowError):  # a folder that is not ours to list, a number that is no process
        for entry in list(os.scandir(folder)):
            kind, machine, process = ours.groups() if (ours := OURS.fullmatch(entry.name)) else (None, None, None)
            if kind == "saved":
                _take_names(entry.path)
            elif kind and not _being_written(entry, machine, int(process)):
                errors.remove(entry.path)


def _take_names(saved):
    """Move the files in the folder `saved` to the folder that it is in. Several processes may do it at once."""
    for name in sorted(os.listdir(saved)):
        with contextlib.suppress(FileNotFoundError):
            os.replace(os.path.join(saved, name), os.path.join(os.path.dirname(saved), name))
    with contextlib.suppress(OSError):
        os.rmdir(saved)


def _being_written(entry, machine, process):
    """Whether that process lives and may write what lies at `entry`, an os.DirEntry. Of another machine's, or another
    container's, only the time is known at which it was changed."""
    if machine != _machine():
        return time.time() - entry.stat().st_mtime < DAY
    if process == os.getpid():
        return os.path.realpath(entry.path) in errors.unfinished
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


def _machine():
    """What tells this machine from others on a shared disk, and this container from others on this machine."""
    with contextlib.suppress(OSError):
        return f"{platform.node()}-{os.stat('/proc/self/ns/pid').st_ino}"
    return platform.node()


@contextlib.contextmanager
def _unfinished(kind, place):
    """Yields where that is written which is to become `place`, in the same folder; what is left there is removed."""
    folder, name = os.path.split(place)
    os.makedirs(folder, exist_ok=True)
    tidy(folder)
    name = name.encode(errors="surrogateescape")[:60].decode(errors="ignore")  # longer ones find no room for the rest
    part = os.path.join(folder, f".{kind}-{name}~{_machine()}~{os.getpid()}~{next(_numbers)}")
    errors.unfinished.add(part)
    try:
        yield part
    finally:
        errors.remove(part)
        errors.unfinished.discard(part)


@contextlib.contextmanager
def _refusal(path):
    """What the disk refuses becomes a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another path or make room") from error


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
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            os.close(descriptor)
            raise UserError(f"{path} is a folder, a pipe or a device, and no {what}; {mend or GIVE}")
        _read.add(_mark(about))
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
    stats = [(str(file), there) for file in found if (there := _stat(file)) and stat.S_ISREG(there.st_mode)]
    return tuple((name, each.st_ino, each.st_mtime_ns, each.st_size) for name, each in stats)
