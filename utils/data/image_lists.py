"""Data sets in the files of WSDHQ's released program, which a user who has its data.tar.gz has.

Below the user's folder lie, for a set NAME, flickr25k or nus-wide:

    datasets/NAME/                                       the pictures
    data/NAME/{train,test,database}_img.txt              a path a line, relative to that folder
    data/NAME/{test,database}_label.txt                  0 or 1 for each of L labels, a line for each picture
    data/NAME/train_tag.txt                              0 or 1 for each of T0 raw tags
    data/NAME/common_tags.txt or TagList1k.txt           the raw tags, one a line
    data/NAME/tags/                                      FinalTagEmbs.txt and TagIdMergeMap.pkl

What the two are made of is a program that nobody has; python -m utils.data.tags reconstructs it.
"""
from pathlib import Path

import numpy as np

from gpq.utils.data import lazy
from gpq.utils.data.data import Data, Source
from gpq.utils.data.tags.tagging import RawTags
from gpq.utils.errors import UserError
from gpq.utils.reading import documents

ELSEWHERE = "set data_dir to another folder"
RAW = {"flickr25k": "common_tags.txt", "nus-wide": "TagList1k.txt"}
ROLES = "test", "database", "train"


def there(data_dir, name):
    """Whether the set's lists lie below `data_dir`."""
    return Path(data_dir, "data", name).is_dir()


def load(data_dir, name, side=256):
    """Read the set `name`, a key of RAW, with pictures of `side` x `side` pixels.

    Returns `Data`: test is query, database gallery, train unlabelled, and none is labelled; a picture of several lists
    is there once, and one of train alone has no label. All of train is trained on, with a tag or without, as in the
    release. Raises UserError where a list is absent, of another length than
    its labels, or damaged, and where no picture can be read. Pictures that cannot be read are named, and left out.
    """
    folder, pictures = Path(data_dir, "data", name), Path(data_dir, "datasets", name)
    lists = {role: lines(folder / f"{role}_img.txt") for role in ROLES}
    names = np.array(list(dict.fromkeys(sum(lists.values(), []))))
    place = {image: row for row, image in enumerate(names)}
    known = {role: zeros_and_ones(folder / f"{role}_label.txt", len(lists[role])) for role in ("test", "database")}
    if known["test"].shape[1] != known["database"].shape[1]:
        raise UserError(f"the pictures of {folder} have {known['test'].shape[1]} labels in test_label.txt and "
                        f"{known['database'].shape[1]} in database_label.txt; give both as many")
    labels = np.zeros((len(names), known["test"].shape[1]), bool)
    for role, rows in known.items():
        labels[[place[image] for image in lists[role]]] = rows
    keep = lazy.readable(lazy.Below(pictures, names), names, name)
    number = np.cumsum(keep, dtype=np.int32) - 1
    query, gallery, train = (number[[place[image] for image in lists[role] if keep[place[image]]]] for role in ROLES)
    stored = lazy.Below(pictures, names[keep])
    return Data(lazy.Pictures(stored, side), labels[keep], query=query,
                labelled=query[:0], unlabelled=train, gallery=gallery, validation=query[:0],
                class_names=tuple(map(str, range(labels.shape[1]))), names=names[keep], untagged=True,
                source=Source(name, "all", stored.digest(labels[keep]).hexdigest(),
                              "lists as of WSDHQ's released program"))


def raw_tags(data_dir, name, data):
    """The raw tags of the images of `data`, which `load` gave of the same set: `RawTags`, none of pictures that are
    not in the list of training. Raises UserError where tags and pictures are not as many."""
    folder = Path(data_dir, "data", name)
    images, words = lines(folder / "train_img.txt"), lines(folder / RAW[name])
    given = zeros_and_ones(folder / "train_tag.txt", len(images))
    if given.shape[1] != len(words):
        raise UserError(f"train_tag.txt in {folder} has {given.shape[1]} columns, but {RAW[name]} has {len(words)} "
                        "tags; give a column for each")
    row = {image: number for number, image in enumerate(images)}
    tags = np.zeros((len(data.names), len(words)), bool)
    for own, image in zip(tags, data.names, strict=True):
        if str(image) in row:
            own[:] = given[row[str(image)]]
    return RawTags(tags, words, folder=folder / "tags")


def lines(path):
    """The lines of a text that are not empty. Raises UserError where it is absent or no text."""
    return list(filter(None, documents.lines(path, "text", ELSEWHERE)))


def zeros_and_ones(path, n):
    """The table of 0 and 1 in a text as bool [n, columns]. Raises UserError where it is absent, damaged, or has another
    number of lines."""
    table = documents.numbers(path, "table of numbers", ELSEWHERE)
    if len(table) != n or not np.isin(table, (0, 1)).all():
        raise UserError(f"{path} must hold 0 and 1 in a line for each of {n} pictures, but has {len(table)} lines; "
                        "give a line for each" if len(table) != n else f"{path} must hold 0 and 1 and nothing else")
    return table == 1
