"""Pictures that are decoded when they are asked for: many more than memory holds, of any size."""
import hashlib
import io
import os
import sys
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from gpq.utils import files
from gpq.utils.data import pictures
from gpq.utils.errors import UserError
from gpq.utils.reading.pictures import check, cropped, squashed

decode = squashed  # how the published data sets' pictures are brought to a square


class Stored(NamedTuple):
    """Where the bytes of a picture's file lie: a file, or a part of one."""

    path: Path
    offset: int = 0
    size: int = -1  # bytes; -1 for all that follow

    def __call__(self, decode, mend):
        """What `decode` makes of the open file. Raises UserError as `files.opened`, which takes `mend`."""
        with files.opened(self.path, "picture", mend) as file:
            file.seek(self.offset)
            return decode(file if self.size < 0 else io.BytesIO(file.read(self.size)))


class Below(Sequence):
    """A `Stored` for each of the files `names`, str [N], below `folder`, made when it is asked for."""

    def __init__(self, folder, names):
        self._folder, self._names = Path(folder), names

    def __len__(self):
        return len(self._names)

    def __getitem__(self, row):
        return Stored(self._folder / str(self._names[row]))

    def digest(self, labels):
        """SHA-256, an object of hashlib, of the names, the files' sizes and labels, bool [N, L]."""
        found = hashlib.sha256("\n".join(self._names).encode(errors="surrogateescape") + labels.tobytes())
        found.update(str([picture.path.stat().st_size for picture in self]).encode())
        return found


class Pictures:
    """Stands in for uint8 [N, side, side, 3], RGB: `pictures[index]` decodes what it is asked for, in threads.

    stored: a sequence of a `Stored` for each. decode: `squashed` or `cropped` of utils.reading.pictures. An index
    raises UserError where a picture cannot be read; or with `leave_out` it is black, and `faults`, {row: a sentence},
    has it from then on. threads: None for one a core.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, stored, side, decode=decode, leave_out=False, threads=None):
        self._stored, self._side, self._decode, self._leave_out = stored, side, decode, leave_out
        self.faults = {}
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)

    @property
    def shape(self):
        return len(self._stored), self._side, self._side, 3

    def __len__(self):
        return len(self._stored)

    def __getitem__(self, index):
        """index: as of an array's first axis, a number, a slice, or int or bool of any shape."""
        rows = np.arange(len(self))[index]
        decoded = self._pool.map(self._decoded, rows.ravel())
        flat = np.empty((rows.size, *self.shape[1:]), np.uint8)
        for place, picture in enumerate(decoded):
            flat[place] = picture
        return flat.reshape(*rows.shape, *self.shape[1:])

    def _decoded(self, row):
        try:
            return self._stored[row](lambda file: self._decode(file, self._side), "put it back as it was")
        except UserError as error:
            if not self._leave_out:
                raise
            self.faults[row] = _left_out(self.name(row), _in_words(error))
            return np.zeros(self.shape[1:], np.uint8)

    def name(self, row):
        """The path of the file that holds picture `row`."""
        return self._stored[row].path

    def digest(self):
        """SHA-256, hexadecimal, of side, way to decode, and each file's path, place, size and time of change."""
        found = hashlib.sha256(f"{self._side} {self._decode.__name__}".encode())
        for stored in self._stored:
            try:
                about = stored.path.stat()
                found.update(f"\n{stored} {about.st_size} {about.st_mtime_ns}".encode())
            except OSError:
                found.update(f"\n{stored} cannot be read".encode())
        return found.hexdigest()


def read_all(source, size, leave_out=False, prepare=cropped):
    """Every picture of a folder and its subfolders, in the order of their paths, or an array file.

    source: a folder, or a .npy file of uint8 [N, size, size, 3]. leave_out: of `Pictures`, and prepare, its `decode`.
    Returns (what stands for uint8 [N, size, size, 3], names str [N], paths from the folder, or None for an array).
    Raises UserError where there is nothing to read or something else is found.
    """
    if not Path(source).is_dir():
        return pictures.read_array(source, size), None
    names = pictures.listed(source)[0]
    return Pictures(Below(source, names), size, prepare, leave_out), names


def read_readable(source, size, prepare=cropped):
    """The images of `read_all` alone, without the pictures that cannot be read, which are named as by `readable`."""
    images, names = read_all(source, size, prepare=prepare)
    if names is None:
        return images
    names = names[readable(Below(source, names), names, str(source))]
    return Pictures(Below(source, names), size, prepare)


def readable(stored, names, title):
    """Which of the pictures can be read, bool [N]; those that cannot are named and counted on stderr.

    stored: a `Stored` for each; names: str [N]; title: what they are called. Every picture is read to its end, a JPEG
    at an eighth of its size. Raises UserError where none can be read.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        faults = list(tqdm(pool.map(fault, stored), f"checking {title}", len(stored), unit="picture", disable=None,
                           leave=False))
    bad = [place for place, fault in enumerate(faults) if fault]
    for place in bad:
        print(_left_out(names[place], faults[place]), file=sys.stderr)
    if bad and len(bad) == len(faults):
        raise UserError(f"none of the {len(bad)} pictures of {title} can be read, {names[0]} for one ({faults[0]}); "
                        "give the folder that has them")
    if bad:
        print(f"{title}: {len(bad)} of {len(faults)} pictures are left out", file=sys.stderr)
    return ~np.isin(np.arange(len(faults)), bad)


def fault(stored):
    """What is wrong with a `Stored` picture, in words, or None where it can be read to its end."""
    try:
        stored(check, None)
    except UserError as error:
        return _in_words(error)


def _left_out(name, fault):
    return f"{name} cannot be read and is left out: {fault}"


def _in_words(error):
    """What a UserError of `files.opened` says but for the file's name."""
    return files.reason(error.__cause__) if error.__cause__ else "it is a folder, a pipe or a device"


def in_tar(path):
    """{name: Stored} of the files in an archive that is not compressed. Raises UserError where it is none."""
    try:
        with tarfile.open(path, "r:") as archive:
            return {member.name: Stored(Path(path), member.offset_data, member.size)
                    for member in archive if member.isreg()}
    except (OSError, tarfile.TarError) as error:
        raise UserError(f"{path} is absent or no tar archive; put it back, or set data_dir to the folder that has it"
                        ) from error
