"""The two files in which the released program keeps merged tags.

`FinalTagEmbs.txt` holds a vector a line. `TagIdMergeMap.pkl` is a dict: number of a merged tag -> list of the raw tags'
columns, in the order of the lines, and under -1 the raw tags that are left out, where there are any.
"""
import pickle
from pathlib import Path

import numpy as np

from utils import files
from utils.data.tags.merging import Merging
from utils.errors import UserError
from utils.reading import documents

VECTORS, GROUPS, RAW = "FinalTagEmbs.txt", "TagIdMergeMap.pkl", "raw_tags.txt"
ANEW = "make it anew by python -m utils.data.tags"


def write(folder, merging, names):
    """Write a `Merging` to the two files in `folder`, and beside them the raw tags' `names`, T0 of them, one a line.
    Raises UserError where they cannot be written."""
    groups = {number: group.tolist() for number, group in enumerate(merging.groups)}
    if len(merging.dropped):
        groups[-1] = merging.dropped.tolist()
    with files.whole(Path(folder, VECTORS)) as file:
        np.savetxt(file, merging.vectors, fmt="%.8g")
    with files.whole(Path(folder, GROUPS)) as file:
        pickle.dump(groups, file, protocol=2)
    with files.whole(Path(folder, RAW)) as file:
        file.write("".join(f"{name}\n" for name in names).encode())


def read(folder, names):
    """The `Merging` that `folder` keeps of raw tags with these `names`, T0 of them.

    Raises UserError where a file is absent, damaged, foreign or malicious, of which nothing is executed; where a vector
    is 0, which has no direction; where the two do not fit together; and where they are of other raw tags.
    """
    vectors, groups = _vectors(Path(folder, VECTORS)), _groups(Path(folder, GROUPS), len(names))
    if len(vectors) != len(groups):
        raise UserError(f"{folder} has {len(vectors)} vectors in {VECTORS} and {len(groups)} tags in {GROUPS}; make "
                        "both anew by python -m utils.data.tags")
    raw = Path(folder, RAW)
    if raw.is_file() and documents.lines(raw, "list of tags", ANEW) != [name.strip() for name in names]:
        raise UserError(f"{folder} was made of other tags than these; {ANEW}")
    used = np.concatenate(groups)
    return Merging(vectors, groups, np.setdiff1d(np.arange(len(names)), used))


def _vectors(path):
    vectors = documents.numbers(path, "table of numbers, as many in each line", ANEW)
    if not vectors.any(1).all():
        raise UserError(f"a vector in {path} is 0; {ANEW}")
    return vectors


def _groups(path, n_raw):
    """The raw tags of each merged one, a list of int64 arrays."""
    try:
        with open(path, "rb") as file:
            found = _Unpickler(file, encoding="bytes").load()
        groups = [_columns(columns) for number, columns in found.items() if int(number) != -1]
    except FileNotFoundError:
        raise UserError(f"there is no {path}; make it by python -m utils.data.tags") from None
    except Exception as error:  # a forged pickle can raise nearly anything
        raise UserError(f"{path} is damaged, or not the dict of numbers that it should be; make it anew by "
                        "python -m utils.data.tags") from error
    for group in groups:
        if group.min() < 0 or group.max() >= n_raw:
            raise UserError(f"{path} names the raw tags {group.min()} to {group.max()}, but there are {n_raw}; make it "
                            "anew by python -m utils.data.tags, or give the tags that it was made of")
    return groups


def _columns(columns):
    """int64 [n], n at least 1, of a list or tuple of whole numbers."""
    if not isinstance(columns, (list, tuple)) or not columns or not all(type(column) is int for column in columns):
        raise ValueError("no list of columns")
    return np.array(columns, np.int64)


def _scalar(item_type, data):
    """Stands in for numpy's maker of scalars: a whole number from its bytes, whose order the machine's is."""
    return int.from_bytes(data, "little", signed=True)


class _Type:
    """Stands in for numpy.dtype; it keeps nothing."""

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        pass


class _Unpickler(pickle.Unpickler):
    """Admits dicts, lists and numbers, numpy's among them, and a defaultdict of lists as a dict."""

    admitted = {("numpy.core.multiarray", "scalar"): _scalar, ("numpy._core.multiarray", "scalar"): _scalar,
                ("numpy", "dtype"): _Type, ("_codecs", "encode"): lambda text, _: text.encode("latin1"),
                ("collections", "defaultdict"): lambda of: {}, ("builtins", "list"): list,
                ("__builtin__", "list"): list}

    def find_class(self, module, name):
        if (module, name) in self.admitted:
            return self.admitted[module, name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
