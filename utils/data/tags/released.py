"""The two files in which the released program keeps merged tags.

`FinalTagEmbs.txt` holds a vector a line. `TagIdMergeMap.pkl` is a dict: number of a merged tag -> list of the raw tags'
columns, in the order of the lines, and under -1 the raw tags that are left out, where there are any.
"""
import pickle
from pathlib import Path

import numpy as np

from gpq.utils import files
from gpq.utils.data.tags.merging import Merging
from gpq.utils.errors import UserError
from gpq.utils.reading import documents, pickles

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
    names = pickles.NUMPY | {"collections.defaultdict", "builtins.list", "__builtin__.list"}
    with files.opened(path, "dict of lists of whole numbers", ANEW) as file:
        found = pickles.read(file, names)
        lists = [columns for number, columns in found.items() if pickles.number(number) != -1]
        if not all(isinstance(columns, (list, tuple)) and columns for columns in lists):
            raise ValueError("a merged tag has no list of raw ones")
        if sum(map(len, lists)) > n_raw:
            raise ValueError(f"it has more tags in all than the {n_raw} raw ones")
        groups = [np.array([pickles.number(column) for column in columns], np.int64) for columns in lists]
    for group in groups:
        if group.min() < 0 or group.max() >= n_raw:
            raise UserError(f"{path} names the raw tags {group.min()} to {group.max()}, but there are {n_raw}; make it "
                            "anew by python -m utils.data.tags, or give the tags that it was made of")
    return groups
