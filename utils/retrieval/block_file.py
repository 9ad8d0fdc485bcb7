"""An array in a .npy file that is never held in memory, written a block at a time, which goes on where it was cut.

It is NAME.part until it is whole, with what makes it in NAME.part.json. A run that was cut, by kill -9 too, loses one
block at most. The same call goes on with it, and takes a whole one as it is.
"""
import hashlib
import io
import json
import os
import time
from pathlib import Path

import numpy as np

from gpq.utils import files
from gpq.utils.data import lazy
from gpq.utils.errors import UserError
from gpq.utils.reading import arrays, documents

CHUNK = 2 ** 22  # bytes that are digested at once


def kept(path, n, dtype, made_of, block, blocks, title, what):
    """The rows that `blocks` makes, [n] of `dtype`, which may be structured or have a shape of its own: mapped from the
    file `path`, which is made first where it is not there or was made of something else.

    made_of: a JSON-able dict of all that decides the rows; block: rows in a block; blocks(first): yields the rows from
    the number `first` on, a multiple of `block`, as arrays of `block` rows, the last of fewer. title, what: what the
    rows are and what they are of, for messages. Raises UserError where the unfinished file was made of something else
    or another process writes it, and where the disk refuses.
    """
    path = Path(path)
    if path.exists() and _about(path) == made_of:
        print(f"{title} from {path}")
    else:
        try:
            _write(path, n, np.dtype(dtype), made_of, block, blocks, what)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}); choose another path or make room") from error
    dtype = np.dtype(dtype)
    form = f"{'record' if dtype.names else dtype.base.name} [{', '.join(map(str, (n, *dtype.shape)))}]"
    return arrays.one(path, form, "file of what was made", mend="remove it, and it is made again")


def remove(path):
    """Remove a whole file that `kept` made."""
    for file in (Path(path), Path(f"{path}.json")):
        file.unlink(missing_ok=True)


def digest(images):
    """SHA-256, hexadecimal, of images or vectors [N, ...], a part at a time: of their bytes, or of pictures' files what
    `lazy.Pictures.digest` says."""
    if isinstance(images, lazy.Pictures):
        return images.digest()
    found = hashlib.sha256()
    rows = max(1, CHUNK // max(1, images[:1].nbytes))
    for first in range(0, len(images), rows):
        found.update(np.ascontiguousarray(images[first:first + rows]))
        files.let_go(images)
    return found.hexdigest()


def _write(path, n, dtype, made_of, block, blocks, what):
    """Write `path` from where its unfinished file ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.check_target(path, over_input=bool(_about(path)))  # what was made here may be made anew
    part, header = Path(f"{path}.part"), _header(n, dtype)
    with files.held(part, f"another process is writing {part}; wait for it, or choose another path") as file:
        size = file.tell()
        if size:
            _check_same(part, made_of)
        else:
            with files.whole(f"{part}.json") as beside:
                beside.write((json.dumps(made_of, indent=1) + "\n").encode())
        if size < len(header):
            file.truncate(0)
            file.write(header)
        whole = max(0, size - len(header)) // (block * dtype.itemsize)
        file.truncate(len(header) + whole * block * dtype.itemsize)  # without the block that was torn
        first = min(n, whole * block)
        if first:
            print(f"{part}: goes on after {first} of {n} {what}")
        began = time.perf_counter()
        for rows in blocks(first):
            file.write(rows.tobytes())
            file.flush()
        rate = (n - first) / (time.perf_counter() - began)
        os.fsync(file.fileno())
        Path(f"{path}.json").unlink(missing_ok=True)
        os.replace(part, path)
        os.replace(f"{part}.json", f"{path}.json")
    print(f"{path}: {n} {what}, {rate:.1f} {what}/s")


def _header(n, dtype):
    """The bytes before the numbers of a .npy file of `dtype` [n]."""
    base, shape = (dtype, ()) if dtype.subdtype is None else dtype.subdtype
    written = io.BytesIO()
    np.lib.format.write_array_header_1_0(written, {"descr": np.lib.format.dtype_to_descr(base),
                                                   "fortran_order": False, "shape": (n, *shape)})
    return written.getvalue()


def _about(path):
    """What the file `path` is made of, by the JSON beside it; {} where that says nothing."""
    try:
        return documents.read_json(f"{path}.json", dict, "description")
    except UserError:
        return {}


def _check_same(part, made_of):
    begun = _about(part)
    for name, now in made_of.items():
        if begun.get(name) != now:
            raise UserError(f"{part} was begun with {name}={begun.get(name)} and now it is {now}; remove it to begin "
                            "anew, or set that as it was")
