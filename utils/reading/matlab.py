"""The one reader of MATLAB's files, .mat of versions 5 to 7: arrays of real numbers, dense or sparse, and nothing else.

The format is MathWorks' "MAT-File Format". SciPy's reader ends Python by a segmentation fault where a file is damaged.
"""
import io
import math
import os
import zlib

import numpy as np
import scipy.sparse

from gpq.utils import files

MATRIX, PACKED = 14, 15  # kinds of a file's parts
ELEMENTS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
SPARSE, COMPLEX = 5, 0x800
CLASSES = {SPARSE: "f8", 6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}


def read(path, shapes, what, mend=None):
    """The arrays of these names in a .mat file.

    Args:
        path: str or Path.
        shapes: {name: shape}; axes of length 1 do not count.
        what, mend: as of `files.opened`.
    Returns: {name: array or scipy.sparse matrix of that shape}, without the names that the file does not hold.
    Raises: UserError where there is no such file, it is damaged or of another version, or one of the names is of
        another shape or of other than real numbers.
    """
    found = {}
    with files.opened(path, what, mend) as file:
        order = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}.get(file.read(128)[124:])
        if order is None:
            raise ValueError("it is no .mat of version 5 to 7; save it by save -v7")
        while tag := file.read(8):
            kind, length = np.frombuffer(tag, f"{order}u4").tolist()
            part = file.read(min(length, os.fstat(file.fileno()).st_size))
            if len(part) != length or kind not in (MATRIX, PACKED):
                raise ValueError("it is cut, or has a part of an unknown kind")
            source = _Unpacked(part) if kind == PACKED else io.BytesIO(part)
            if kind == PACKED and np.frombuffer(source.read(8), f"{order}u4")[0] != MATRIX:
                raise ValueError("it has a part of an unknown kind")
            found |= _matrix(source, order, shapes)
    return found


class _Unpacked:
    """A part that is deflated, read as a file is."""

    def __init__(self, part):
        self._inflate, self._rest = zlib.decompressobj(), part

    def read(self, n):
        made = self._inflate.decompress(self._rest, n) if n else b""  # where a limit of 0 is none
        self._rest = self._inflate.unconsumed_tail if n else self._rest
        return made


def _matrix(source, order, shapes):
    """{name: array or matrix} of a part, or {} where the name is not wanted."""
    flags = _element(source, order, 8)
    if flags.size != 2 or (kind := int(flags[0]) & 0xFF) > max(CLASSES):
        return {}  # an object, which has no shape
    dims, name = _element(source, order, 128).tolist(), _element(source, order, 255).tobytes().decode("latin1")
    if name not in shapes:
        return {}
    if flags[0] & COMPLEX or kind not in CLASSES or [n for n in dims if n != 1] != [n for n in shapes[name] if n != 1]:
        raise ValueError(f"it does not hold {name} as {list(shapes[name])} of real numbers")
    size = math.prod(shapes[name])
    if kind == SPARSE:
        rows, columns, values = (_element(source, order, 8 * n) for n in (size, dims[-1] + 1, size))
        n = int(columns[-1])
        array = scipy.sparse.csc_matrix((values[:n], rows[:n], columns), dims)
        array.check_format()
    else:
        array = _element(source, order, 8 * size).astype(CLASSES[kind], copy=False).reshape(shapes[name], order="F")
    if source.read(1):  # a deflated part's checksum is compared at its end
        raise ValueError(f"{name} is longer than it says")
    return {name: array}


def _element(source, order, most):
    """The numbers that come next, of at most so many bytes, as an array [n]."""
    tag = source.read(8)
    kind, size = np.frombuffer(tag, f"{order}u4").tolist()
    if kind >> 16:  # up to four bytes lie in the tag itself
        kind, size = kind & 0xFFFF, kind >> 16
        content = tag[4:4 + size]
    elif size <= most:
        content = source.read(size)
        source.read(-size % 8)
    if kind not in ELEMENTS or size > most or len(content) != size:
        raise ValueError("an array in it is cut, or its parts do not fit together")
    return np.frombuffer(content, f"{order}{ELEMENTS[kind]}")
