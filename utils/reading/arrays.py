"""The one reader of NumPy's files, .npy and .npz. Nothing in them is trusted, and pickles are never loaded.

What an array must be, its form, is said in words: "float16 or float32 [N, D]", "int [N] or bool [N, L]", "str []",
"float [N, 3], 0 to 1". A dtype is one of numpy's or a kind of them (see KINDS). An axis is a number, ? for
any, or a letter, which stands for one length in all arrays of a file. Of a range both ends are in it and NaN is not.
"""
import contextlib
import functools
import io
import math
import mmap
import os
import re
import zipfile
from pathlib import Path

import numpy as np

from gpq.utils import files
from gpq.utils.errors import UserError

KINDS = {"bool": "b", "int": "iu", "float": "f", "str": "U", "record": "V"}
MAGIC, ZIP = b"\x93NUMPY", (b"PK\x03\x04", b"PK\x05\x06")
HEADER = 10_000  # bytes at most, as numpy's own reader takes them
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
UNPACKED, RATIO = 2 ** 30, 200  # a .npz may unpack to as many bytes, or to RATIO times its size where that is more


def one(path, form, what, mend=None):
    """The array of a .npy file, mapped and read-only.

    Args:
        path: str or Path.
        form: what it must be, in the module's words.
        what: what the file is, in a few words that follow "no", such as "file of vectors".
        mend: as of `files.opened`.
    Raises: UserError where there is no such file, it is damaged, it is a .npz, or the array is of another form.
    """
    with _members(path, what, mend) as members:
        if list(members) != [""]:
            raise UserError(f"{path} is a .npz of {', '.join(members) or 'nothing'}, and one array, .npy, is read here;"
                            f" save it by np.save({Path(path).stem + '.npy'!r}, np.load({str(path)!r})"
                            f"[{next(iter(members), '')!r}])")
        array = members[""]()
    check(array, form, "", path, {})
    return array


def read(path, forms, what, mend=None, others=(), **sizes):
    """The arrays of a .npz file, of a folder of .npy files, or of a .npy file where one array is needed.

    Args:
        path: str or Path.
        forms: {name: form}; a name that ends in "?" may be missing.
        what, mend: as of `one`.
        others: names of arrays that may be there too and are left alone, or True for any.
        sizes: lengths of lettered axes that are known.
    Returns: {name: array}, read-only; those of .npy files are mapped.
    Raises: UserError as `one`, and where an array is missing or unknown.
    """
    known = {name.rstrip("?"): form for name, form in forms.items()}
    needed = [name for name in forms if name in known]
    with _members(path, what, mend) as members:
        if list(members) == [""] and len(needed) == 1:
            members = {needed[0]: members[""]}
        if "members?" in forms and "members" in members:  # which says what else was written
            if set(members["members"]().tolist()) != members.keys() - {"members"}:
                raise ValueError("an array is lost")
        admitted = {*known, *(members if others is True else others)}
        if unknown := sorted(members.keys() - admitted):
            raise UserError(f"{path} has {unknown[0] or 'one array'}, which is unknown in a {what}; leave it out, or "
                            f"call it one of {', '.join(sorted(admitted - {''}))}")
        for name in needed:
            if name not in members:
                raise UserError(f"{path} has no {name}, which a {what} has, {known[name]}; {mend or files.GIVE}")
        found = {name: members[name]() for name in known if name in members}
    for name, array in found.items():
        check(array, known[name], name, path, sizes)
    return found


def check(array, form, name, path, sizes):
    """UserError where the array called `name` in `path` is not of its form. Lettered axes are held against `sizes`,
    {letter: length}, and those that are not in it are put there."""
    choices, low, high = _parsed(form)
    for dtype, axes in choices:
        right = array.dtype.kind in KINDS[dtype] if dtype in KINDS else array.dtype == dtype
        pairs = list(zip(axes, array.shape, strict=False))
        if right and len(axes) == array.ndim and all(
                n == (int(axis) if axis.isdigit() else sizes.setdefault(axis, n)) for axis, n in pairs if axis != "?"):
            break
    else:
        known = ", ".join(f"{axis} = {n}" for axis, n in sizes.items() if re.search(rf"[\[ ]{axis}[\],]", form))
        raise UserError(f"{name or 'the array'} in {path} is {array.dtype} {list(array.shape)}; it must be {form}"
                        + (f", {known}" if known else ""))
    if low is not None and not ((array >= low) & (array <= high)).all():
        raise UserError(f"{name or 'the array'} in {path} goes from {array.min()} to {array.max()}; it must be {form}")


class Stacked:
    """Stands in for [N, D], the rows of several arrays of one dtype, which stay where they are.

    arrays: each [n, D]; paths: of their files, for the UserError where they do not fit together."""

    ndim = 2

    def __init__(self, arrays, paths):
        for array, path in zip(arrays, paths, strict=True):
            if array.dtype != arrays[0].dtype or array.shape[1:] != arrays[0].shape[1:]:
                raise UserError(f"{path} is {array.dtype} {list(array.shape)} and {paths[0]} {arrays[0].dtype} "
                                f"{list(arrays[0].shape)}; give files of one model")
        self._arrays, self._starts = arrays, np.cumsum([0, *map(len, arrays)])
        self.dtype, self.shape = arrays[0].dtype, (int(self._starts[-1]), *arrays[0].shape[1:])

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        """index: as of an array's first axis, a number, a slice, or int or bool of any shape."""
        rows = np.arange(*index.indices(len(self))) if isinstance(index, slice) else np.arange(len(self))[index]
        number = np.searchsorted(self._starts, rows, "right") - 1
        found = np.empty((*np.shape(rows), *self.shape[1:]), self.dtype)
        for part in np.unique(number):
            found[number == part] = self._arrays[part][rows[number == part] - self._starts[part]]
        return found


@functools.cache
def _parsed(form):
    """([(dtype, names of axes)], low, high) of a form."""
    body, low, high = re.fullmatch(r"(.*\])(?:, (\S+) to (\S+))?", form).groups()
    choices, axes = [], ""
    for part in reversed(body.split(" or ")):  # "float16 or float32 [N]": the first has the axes of the second
        dtype, bracket, inside = part.removesuffix("]").partition(" [")
        axes = inside if bracket else axes
        choices.append((dtype, [axis for axis in axes.split(", ") if axis]))
    return choices, low and float(low), high and float(high)


@contextlib.contextmanager
def _members(path, what, mend):
    """Yields {name: () -> its array} of what there is at `path`; the array of a .npy file is called ""."""
    if Path(path).is_dir():
        yield {file.stem: functools.partial(_of_folder, file, what, mend) for file in sorted(Path(path).glob("*.npy"))}
        return
    with files.opened(path, what, mend) as file:
        start, size = file.read(len(MAGIC)), os.fstat(file.fileno()).st_size
        if start == MAGIC:
            yield {"": lambda: _array(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), "", path)}
        elif start.startswith(ZIP):
            file.seek(-22, os.SEEK_END)
            end = file.read()  # where a .npz says how many arrays it holds
            with zipfile.ZipFile(file) as archive:
                if end.startswith(ZIP[1]) and int.from_bytes(end[10:12], "little") != len(archive.infolist()):
                    raise ValueError("an array is lost")
                yield _checked_members(archive, size, path)
        else:
            raise ValueError("it is neither .npy nor .npz")


def _of_folder(file, what, mend):
    with files.sound(file, what, mend), _members(file, what, mend) as members:
        return members[""]()


def _checked_members(archive, size, path):
    """{name: () -> its array} of an open .npz file of `size` bytes. Raises ValueError where it is none."""
    members = archive.infolist()
    names = [member.filename.removesuffix(".npy") for member in members]
    if len(set(names)) < len(names):
        raise ValueError("an array is there twice")
    if sum(member.compress_size for member in members) > size:
        raise ValueError("it is shorter than its arrays")
    if sum(member.file_size for member in members) > max(UNPACKED, RATIO * size):
        raise ValueError(f"{size} bytes would unpack to more than {RATIO} times as many")

    def load(name, member):
        with archive.open(member) as file:
            content = file.read(member.file_size + 1)  # to the end, where zipfile compares the checksum
        if len(content) != member.file_size:
            raise ValueError(f"{name} is cut")
        return _array(content, name, path)

    return {name: functools.partial(load, name, member) for name, member in zip(names, members, strict=True)}


def _array(content, name, path):
    """The array that `content`, the bytes of a .npy file or its map, is of, without a copy. Raises ValueError, or
    UserError where it holds Python objects."""
    header = io.BytesIO(content[:HEADER + 12])
    shape, by_column, dtype = HEADERS[np.lib.format.read_magic(header)](header)
    if dtype.hasobject:
        raise UserError(f"{name or 'the array'} in {path} holds Python objects (dtype=object), which are pickled and "
                        f"never read; save it as numbers or text, such as np.array({name or 'array'}.tolist())")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"its shape is {shape}")
    there = len(content) - header.tell()
    if not dtype.itemsize or math.prod(shape) * dtype.itemsize != there:
        raise ValueError(f"{list(shape)} of {dtype} are {math.prod(shape) * dtype.itemsize} bytes and {there} follow")
    array = np.ndarray(shape, dtype, content, header.tell(), order="F" if by_column else "C")
    if dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"{name or 'it'} holds other values than true and false")
    if dtype.kind == "U" and array.size and np.ascontiguousarray(array).reshape(-1).view(f"{dtype.byteorder}u4"
                                                                                         ).max() > 0x10FFFF:
        raise ValueError(f"{name or 'it'} holds a letter that there is not")
    return array
