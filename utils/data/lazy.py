"""Pictures that are decoded when they are asked for: many more than memory holds, of any size."""
import io
import os
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from utils.data import pictures
from utils.errors import UserError


class Stored(NamedTuple):
    """Where the bytes of a picture's file lie: a file, or a part of one."""

    path: Path
    offset: int = 0
    size: int = -1  # bytes; -1 for all that follow

    def open(self):
        """The file, in memory. Raises OSError."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            return io.BytesIO(file.read(self.size))


class Pictures:
    """Stands in for uint8 [N, side, side, 3], RGB: `pictures[index]` decodes what it is asked for, in threads.

    stored: a `Stored` for each. A picture is turned upright and brought to a square, its sides each in its own measure,
    by bilinear interpolation between the four pixels about a place, as the released program does by OpenCV. An index
    raises UserError where a picture has become unreadable since.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, stored, side):
        self._stored, self._side = list(stored), side
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1)

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
            return decode(self._stored[row].open(), self._side)
        except (OSError, *WRONG) as error:
            raise UserError(f"{self._stored[row].path} can no longer be read ({error}); put it back as it was"
                            ) from error


WRONG = ValueError, SyntaxError, Image.DecompressionBombError  # what Pillow raises of a damaged file, besides OSError


def decode(file, side):
    """The picture in an open file as uint8 [side, side, 3], as `Pictures` has it. Raises OSError or one of WRONG."""
    with Image.open(file) as picture:
        picture = pictures.to_rgb(ImageOps.exif_transpose(picture))
    width, height = picture.size
    return np.asarray(picture.transform((side, side), Image.Transform.AFFINE,
                                        (width / side, 0, 0, 0, height / side, 0), Image.Resampling.BILINEAR))


def readable(stored, names, title):
    """Which of the pictures can be read, bool [N]; those that cannot are named and counted on stderr.

    stored: a `Stored` for each; names: str [N]; title: what they are called. Every picture is read to its end, a JPEG
    at an eighth of its size. Raises UserError where none can be read.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        faults = list(tqdm(pool.map(_fault, stored), f"checking {title}", len(stored), unit="picture", disable=None,
                           leave=False))
    bad = [place for place, fault in enumerate(faults) if fault]
    for place in bad:
        print(f"{names[place]} cannot be read and is left out: {faults[place]}", file=sys.stderr)
    if bad and len(bad) == len(faults):
        raise UserError(f"none of the {len(bad)} pictures of {title} can be read, {names[0]} for one ({faults[0]}); "
                        "set data_dir to the folder that has them")
    if bad:
        print(f"{title}: {len(bad)} of {len(faults)} pictures are left out", file=sys.stderr)
    return ~np.isin(np.arange(len(faults)), bad)


def _fault(stored):
    """What is wrong with a picture, in words, or None."""
    try:
        with Image.open(stored.open()) as picture:
            picture.draft("RGB", (1, 1))
            picture.load()
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, *WRONG) as error:
        return str(error)


def in_tar(path):
    """{name: Stored} of the files in an archive that is not compressed. Raises UserError where it is none."""
    try:
        with tarfile.open(path, "r:") as archive:
            return {member.name: Stored(Path(path), member.offset_data, member.size)
                    for member in archive if member.isreg()}
    except (OSError, tarfile.TarError) as error:
        raise UserError(f"{path} is absent or no tar archive; put it back, or set data_dir to the folder that has it"
                        ) from error
