"""A user's own pictures as a data set: a folder of class folders, or of pictures and a table.

    photos/cat/1.jpg  photos/dog/a/2.png ...        the first folder is the class
    photos/3.jpg  photos/unlabelled/4.jpg           nobody knows the class
    photos/labels.csv, or labels.parquet            in place of all that, columns as in utils.data.tables:

        path         of a picture, from the folder; pictures that it does not name have no label
        label        one, or several with ";" between them; empty where nobody knows
        tags         what people wrote under it, for WSDHQ; `words.npz` in the folder has the words' vectors
        split        query, labelled or unlabelled (its label is known to mAP alone); left out, it is drawn
"""
import hashlib
from pathlib import Path

import numpy as np

from utils.data import embeddings, lazy, pictures, tables
from utils.data.data import Data, Source
from utils.data.tags.tagging import RawTags
from utils.errors import UserError
from utils.reading.pictures import cropped

UNLABELLED = "unlabelled"
SPLIT = "query", "labelled", UNLABELLED


def load(data_dir, seed=0, side=256):
    """The `Data` of the pictures in `data_dir` and its subfolders, cropped to their middle square of `side` pixels.

    Pictures with a label are query or labelled, as the table says, or else as `embeddings.split` draws it from `seed`,
    once: the split is kept in `split.npz` beside them. All that are no query are gallery and training data, those
    without a label too, which count as not relevant in mAP. Pictures that cannot be read are named, and left out.
    Raises UserError where there are no pictures, the table does not fit, labels are of one class, or the kept split is
    of other pictures or labels.
    """
    folder = Path(data_dir)
    names, table = _names(folder)
    names = names[lazy.readable(lazy.Below(folder, names), names, str(folder))]
    words = _labels(names, table, folder)
    class_names = _classes(words, folder)
    labels = _has(words, class_names)
    stored = lazy.Below(folder, names)
    digest = hashlib.sha256("\n".join(names).encode() + labels.tobytes())
    digest.update(str([picture.path.stat().st_size for picture in stored]).encode())
    roles = _given_split(names, table, labels, folder)
    if roles is None:
        drawn = embeddings.split(labels, seed)
        roles = embeddings.kept_split(folder, "pictures", {**drawn, "gallery": drawn["unlabelled"]}, seed,
                                      digest.hexdigest(), len(names))
    for role in SPLIT:
        digest.update(roles[role])
    return Data(lazy.Pictures(stored, side, cropped), labels, validation=roles["query"][:0],
                class_names=class_names, names=names, folder=folder, **roles,
                source=Source("folder", "all", digest.hexdigest(), f"{folder.resolve().name}, {len(names)} pictures"))


def n_classes(data_dir):
    """How many classes the folder or its table names. Raises UserError where there are fewer than two, and as `load`.
    """
    folder = Path(data_dir)
    names, table = _names(folder)
    return len(_classes(_labels(names, table, folder), folder))


def raw_tags(data_dir, data):
    """The tags in the table of the pictures of `data`, which `load` gave: `RawTags`, or None where there are none."""
    folder = Path(data_dir)
    row = _rows(tables.find(folder))
    each = [row[name]["tags"] if name in row else [] for name in data.names]
    names = sorted({tag for tags in each for tag in tags})
    return RawTags(_has(each, names), names, folder / "words.npz") if names else None


def _names(folder):
    """(The pictures in the folder, str [N], {path: {column: words}} of its table, None where it has none)."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; set data_dir to the folder of your pictures")
    path = tables.find(folder)
    names = pictures.below(folder)
    if path is None:
        return names, None
    rows = _rows(path)
    absent = set(rows) - set(names.tolist())
    for name in sorted(absent):
        if not (folder / name).is_file():
            raise UserError(f"{path} names {name}, and {folder} has no such file; mend the path, or leave the row out")
    return np.sort(np.array([*names, *absent])), rows


def _rows(path):
    """{path of a picture: {column: words}} of a table, {} of None."""
    if path is None:
        return {}
    table, rows = tables.read(path), {}
    for number, cell in enumerate(table["path"]):
        if len(cell) != 1:
            raise UserError(f"row {number + 1} of {path} names {len(cell)} paths; give it one")
        name = Path(cell[0]).as_posix()
        if name in rows:
            raise UserError(f"{path} names {name} twice; leave one row out, several labels have \";\" between them")
        rows[name] = {column: table[column][number] for column in tables.COLUMNS}
    return rows


def _labels(names, table, folder):
    """The labels of each picture, a list of words each."""
    if table is not None:
        return [table[name]["label"] if name in table else [] for name in names]
    parts = [name.split("/") for name in names]
    return [[] if len(part) == 1 or part[0] == UNLABELLED else [part[0]] for part in parts]


def _classes(words, folder):
    """The different words, sorted. UserError where there are fewer than two."""
    found = tuple(sorted({word for each in words for word in each}))
    if len(found) < 2:
        raise UserError(f"the pictures in {folder} are of {len(found)} classes; learning codes takes two or more, each "
                        "in a folder of its own, or named in labels.csv")
    return found


def _has(words, names):
    """Which of `names` each list of words has: bool [N, L]."""
    column, has = {name: k for k, name in enumerate(names)}, np.zeros((len(words), len(names)), bool)
    for row, each in zip(has, words, strict=True):
        row[[column[word] for word in each]] = True
    return has


def _given_split(names, table, labels, folder):
    """{role: int32 indices} as the table says, None where it says nothing."""
    each = [table[name]["split"] if table and name in table else [] for name in names]
    if not any(each):
        return None
    known = labels.any(1)
    usual = np.where(known, "labelled", UNLABELLED)
    role = np.array([" ".join(words) or role for words, role in zip(each, usual, strict=True)])
    for name, word, k in zip(names, role, known, strict=True):
        if word not in SPLIT:
            raise UserError(f"the split of {name} in the table of {folder} is {str(word)!r}; it must be one of "
                            f"{', '.join(SPLIT)}, or nothing")
        if word != UNLABELLED and not k:
            raise UserError(f"{name} in the table of {folder} is {word} and has no label; give it one, or leave its "
                            "split empty")
    found = {word: np.flatnonzero(role == word).astype(np.int32) for word in SPLIT}
    for word in ("query", "labelled"):
        if not len(found[word]):
            raise UserError(f"the table of {folder} has a split and no picture that is {word}; say which are")
    gallery = np.flatnonzero(role != "query").astype(np.int32)
    return {**found, "gallery": gallery, "unlabelled": gallery}
