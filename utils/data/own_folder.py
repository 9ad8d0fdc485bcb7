"""A user's own pictures as a data set: a folder of class folders, or of pictures and a table.

    photos/cat/1.jpg  photos/dog/a/2.png ...        the first folder is the class
    photos/3.jpg  photos/unlabelled/4.jpg           nobody knows the class
    photos/train/cat/1.jpg  photos/test/cat/2.jpg   the split, and then the class
    photos/labels.csv, or labels.parquet            in place of all that, columns as in utils.reading.tables:

        path         of a picture, from the folder; pictures that it does not name have no label
        label        one, or several with ";" between them; empty where nobody knows
        tags         what people wrote under it, for WSDHQ; `words.npz` in the folder has the words' vectors
        split        query, labelled, validation or unlabelled (its label is known to mAP alone); left out, it is drawn
"""
import unicodedata
from pathlib import Path

import numpy as np

from gpq.utils.data import embeddings, lazy, pictures
from gpq.utils.data.data import Data, Source
from gpq.utils.data.tags.tagging import RawTags
from gpq.utils.errors import UserError
from gpq.utils.reading.pictures import cropped

UNLABELLED = "unlabelled"
SPLIT = "query", "labelled", UNLABELLED, "validation"
FOLDERS = {"train": "labelled", "test": "query", **dict.fromkeys(("val", "valid", "validation"), "validation")}
SHOWN = 30  # classes that are printed


def load(data_dir, seed=0, side=256, save=""):
    """The `Data` of the pictures in `data_dir` and its subfolders, cropped to their middle square of `side` pixels.

    Pictures with a label are query, labelled or validation, as the table or the folders train, val and test say, or
    else as `embeddings.split` draws it from `seed`, once: the split is kept in `split.npz` beside them, or in `save`
    where that cannot be written. All that are no query are gallery, and training data but for validation, those without
    a label too, which count as not relevant in mAP. Pictures that cannot be read are named, and left out. Prints the
    classes. Raises UserError where there are no pictures, the table does not fit, labels are of one class, or the kept
    split is of other pictures or labels.
    """
    folder = Path(data_dir)
    names, words, splits = _read(folder)
    keep = np.flatnonzero(lazy.readable(lazy.Below(folder, names), names, str(folder)))
    names, words, splits = names[keep], [words[row] for row in keep], splits and [splits[row] for row in keep]
    class_names = _classes(words, folder)
    labels = _has(words, class_names)
    counts = [f"{name} {count}" for name, count in zip(class_names, labels.sum(0), strict=True)]
    print(f"{folder}: {len(names)} pictures, {np.count_nonzero(~labels.any(1))} of them without a label, "
          f"{len(counts)} classes: {', '.join(counts[:SHOWN])}{', ...' if counts[SHOWN:] else ''}")
    stored = lazy.Below(folder, names)
    digest = stored.digest(labels)
    roles = _given_split(names, splits, labels, folder)
    if roles is None:
        drawn = embeddings.split(labels, seed)
        roles = embeddings.kept_split(folder, "pictures", {**drawn, "gallery": drawn["unlabelled"]}, seed,
                                      digest.hexdigest(), len(names), save) | {"validation": np.empty(0, np.int32)}
    for role in SPLIT:
        digest.update(roles[role])
    return Data(lazy.Pictures(stored, side, cropped), labels, class_names=class_names, names=names, folder=folder,
                **roles, n_classes=len(class_names), source=Source("folder", "all", digest.hexdigest(),
                                       f"{folder.resolve().name}, {len(names)} pictures"))


def raw_tags(data_dir, data):
    """The tags in the table of the pictures of `data`, which `load` gave: `RawTags`, or None where there are none."""
    folder = Path(data_dir)
    rows = pictures.listed(folder)[1] or {}
    each = [rows[name]["tags"] if name in rows else [] for name in data.names]
    names = sorted({tag for tags in each for tag in tags})
    return RawTags(_has(each, names), names, folder / "words.npz") if names else None


def _read(folder):
    """(The pictures in the folder, str [N], the labels of each, a list of words, and the split of each, words as of
    SPLIT, or None where nothing says it)."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; set data_dir to the folder of your pictures")
    names, rows = pictures.listed(folder)
    if rows is not None:
        nothing = {"label": [], "split": []}
        given = [rows.get(name, nothing) for name in names]
        splits = [" ".join(row["split"]) for row in given]
        return names, [[_composed(word) for word in row["label"]] for row in given], splits if any(splits) else None
    parts = [name.split("/") for name in names]
    first = {part[0] for part in parts if len(part) > 1} - {UNLABELLED}
    splits = None
    if "train" in first and first <= FOLDERS.keys():
        pictures.tell(f"{folder}: {', '.join(sorted(first))} are taken for splits and not for classes, which are the "
                      "folders in them; a table, labels.csv, can say otherwise")
        splits = [FOLDERS.get(part[0], "") if len(part) > 2 else "" for part in parts]
        if "query" not in splits:
            splits = ["query" if split == "validation" else split for split in splits]
        splits = splits if "query" in splits else None
        parts = [part[1:] if part[0] in FOLDERS else part for part in parts]
    return names, [[] if len(part) == 1 or part[0] == UNLABELLED else [_composed(part[0])] for part in parts], splits


def _composed(word):
    """A word in Unicode's composed form: macOS writes names of files in the other."""
    return unicodedata.normalize("NFC", word)


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


def _given_split(names, splits, labels, folder):
    """{role: int32 indices} as the table or the folders say, None where they say nothing."""
    if splits is None:
        return None
    known = labels.any(1)
    role = np.array([word or ("labelled" if has else UNLABELLED) for word, has in zip(splits, known, strict=True)])
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
            raise UserError(f"{folder} has a split and no picture that is {word}; say which are")
    gallery = np.flatnonzero(role != "query").astype(np.int32)
    return {**found, "gallery": gallery, "unlabelled": np.setdiff1d(gallery, found["validation"])}
