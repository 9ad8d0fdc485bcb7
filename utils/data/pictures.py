"""A user's own pictures: those in a folder, or in an array."""
import collections
import functools
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from utils.errors import UserError
from utils.reading import arrays
from utils.reading.pictures import WRONG, cropped, read  # noqa: F401

OTHERS = {".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jxl", ".nef", ".raf", ".svg"}  # Pillow may lack


def below(folder):
    """The pictures in a folder and its subfolders, by the ending of their names: str [N], paths from the folder, in
    order. Folders that are links or cannot be entered, and pictures of a kind that Pillow does not read, are left out
    and told of on stderr, once. Raises UserError where there are none."""
    kinds, names, others = Image.registered_extensions(), [], collections.Counter()
    for place, folders, files in os.walk(folder, onerror=lambda error: _tell(
            f"{error.filename} cannot be read and is left out: {error.strerror}")):
        for linked in filter(os.path.islink, (os.path.join(place, name) for name in folders)):
            _tell(f"{linked} is a link to a folder and is left out; put the folder itself there")
        inside = Path(place).relative_to(folder)
        for file in files:
            kind = os.path.splitext(file)[1].lower()
            if kind in kinds:
                names.append((inside / file).as_posix())
            elif kind in OTHERS:
                others[kind] += 1
    for kind, count in sorted(others.items()):
        _tell(f"{folder}: {count} pictures that end in {kind} are left out, which Pillow does not read here")
    if not names:
        raise UserError(f"the folder {folder} holds no pictures; give one that does")
    return np.sort(np.array(names))


@functools.cache
def _tell(sentence):
    """Say it on stderr, but once: a folder is looked through several times in a run."""
    print(sentence, file=sys.stderr)


def read_array(path, size):
    """The images of a .npy file, uint8 [N, size, size, 3], mapped. Raises UserError where it holds something else."""
    what = "folder of pictures or .npy file of them"
    images = arrays.one(path, f"uint8 [N, {size}, {size}, 3]", what)
    if not len(images):
        raise UserError(f"{path} is uint8 {list(images.shape)}; it must be uint8 [N, {size}, {size}, 3], N at least 1")
    return images


def of(data, places, size):
    """The images of `data` at `places`, int [n], to be shown: a list of uint8 [size, size, 3], or None where a vector
    comes without a file of a picture. Raises UserError where such a file is no picture."""
    if data.images.ndim > 2:
        return list(data.images[places])
    if data.names is None:
        return [None] * len(places)
    files = [data.folder / str(name) for name in data.names[places]]
    return [read(file, size) if file.is_file() else None for file in files]
