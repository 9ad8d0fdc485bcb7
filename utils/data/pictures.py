"""A user's own pictures: those in a folder, or in an array."""
import collections
import functools
import os
import sys
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image

from gpq.utils.errors import UserError
from gpq.utils.reading import arrays, tables
from gpq.utils.reading.pictures import WRONG, cropped, read  # noqa: F401

OTHERS = {".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jxl", ".nef", ".raf", ".svg"}  # Pillow may lack


def listed(folder):
    """What training, encoding and search take for the pictures in a folder and its subfolders.

    Those whose names end as pictures' do, and all that its table (see `utils.reading.tables`) names. Folders that are
    hidden, links or cannot be entered, and pictures of a kind that Pillow does not read, are left out and told of on
    stderr, once.
    Returns: names str [N], paths from the folder, in order, and {name: {column: words}} of the table, None without one.
    Raises: UserError where there are no pictures, or the table cannot be read, names one that is not there, or twice.
    """
    kinds, names, others = Image.registered_extensions(), [], collections.Counter()
    for place, folders, files in os.walk(folder, onerror=lambda error: tell(
            f"{error.filename} cannot be read and is left out: {error.strerror}")):
        for inner in folders.copy():
            if inner.startswith(".") or inner == "__MACOSX":
                tell(f"{os.path.join(place, inner)} is hidden and is left out")
                folders.remove(inner)
            elif os.path.islink(os.path.join(place, inner)):
                tell(f"{os.path.join(place, inner)} is a link to a folder and is left out; put the folder itself there")
        inside = Path(place).relative_to(folder)
        for file in files:
            kind = os.path.splitext(file)[1].lower()
            if kind in kinds and not file.startswith("._"):  # which macOS writes beside each file
                names.append((inside / file).as_posix())
            elif kind in OTHERS:
                others[kind] += 1
    for kind, count in sorted(others.items()):
        tell(f"{folder}: {count} pictures that end in {kind} are left out, which Pillow does not read here")
    table = tables.find(folder)
    rows = None if table is None else _rows(table, folder, set(names))
    if not (names := {*names, *(rows or ())}):
        raise UserError(f"the folder {folder} holds no pictures; give one that does")
    return np.sort(np.array([*names])), rows


def _rows(table, folder, names):
    """{name of a picture: {column: words}} of a table; names: of the pictures that are there besides."""
    found, files, columns = {}, set(), tables.read(table)
    alike = {unicodedata.normalize("NFC", name): name for name in names}
    for number, cell in enumerate(columns["path"]):
        if len(cell) != 1:
            raise UserError(f"row {number + 1} of {table} names {len(cell)} paths; give it one")
        given = Path(cell[0]).as_posix()
        given = given if os.path.isfile(os.path.join(folder, given)) else alike.get(unicodedata.normalize("NFC", given))
        if given is None:
            raise UserError(f"{table} names {cell[0]:.200}, and {folder} has no such file; mend the path, or leave the "
                            "row out")
        name, file = _known(given, folder, names)
        if name in found or file in files:
            raise UserError(f"{table} names {cell[0]} twice; leave one row out, several labels have \";\" between them")
        found[name] = {column: columns[column][number] for column in tables.COLUMNS}
        files.add(file)
    return found


def _known(given, folder, names):
    """(The name of the file at the path `given` from a folder, one of `names` where it is one of these, its real path).
    """
    root, (place, last) = _real(folder), os.path.split(os.path.join(folder, given))
    path = os.path.join(_real(place), last)  # a file may be a link and known by its name
    real = os.path.realpath(path) if os.path.islink(path) else path
    inside = [Path(file).relative_to(root).as_posix() for file in (path, real) if Path(file).is_relative_to(root)]
    return next((name for name in inside if name in names), inside[0] if inside else given), real


_real = functools.lru_cache(os.path.realpath)  # of a folder, for all its files


@functools.cache
def tell(sentence):
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
