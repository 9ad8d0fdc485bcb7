"""NUS-WIDE and MIRFlickr by their published labels, with the user's pictures.

NUS-WIDE: `nuswide_labels81.npz`, the 269,648 images' numbers at Flickr and 81 labels; `nuswide_21_m_train.txt` and
`nuswide_21_m_test.txt`, the 10,500 training and 2,100 query images of GPQ, a path and 21 labels a line; and the
pictures in `images/`, `<number in the list>_<number at Flickr>_<anything>.jpg`. MIRFlickr:
`mirflickr25k_labels38.npz`, 38 labels and a split; and the pictures, `mirflickr/im<1 to 25000>.jpg`.
"""
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gpq.utils.data import image_lists, lazy
from gpq.utils.data.data import Data, Source
from gpq.utils.errors import UserError
from gpq.utils.reading import arrays

# NUS-WIDE's 21 commonest labels, as the lists order them.
CONCEPTS = tuple("sky clouds person water animal grass buildings window plants lake ocean road flowers sunset "
                 "reflection rocks vehicle snow tree beach mountain".split())


class Labels(NamedTuple):
    """Published labels of N images."""

    names: np.ndarray  # str [L]
    labels: np.ndarray  # bool [N, L]
    numbers: np.ndarray  # int64 [N, 2], each image's number in the published list and at Flickr; MIRFlickr's twice
    split: np.ndarray | None = None  # str [N], train, test or database


def nuswide_labels(path):
    """NUS-WIDE's 81 labels, `Labels`, from `nuswide_labels81.npz`. Raises UserError where it cannot be read."""
    file = _arrays(path, labels81="uint8 [N, B]", concepts81="str [L]", url_index="int [N]", photo_id="int [N]")
    return Labels(file["concepts81"], _unpacked(file["labels81"], file["concepts81"]),
                  np.stack([file["url_index"], file["photo_id"]], 1).astype(np.int64))


def mirflickr_labels(path):
    """MIRFlickr's 38 labels, `Labels`, from `mirflickr25k_labels38.npz`. Raises UserError where it cannot be read."""
    file = _arrays(path, labels="uint8 [N, B]", names="str [L]", split="str [N]")
    numbers = np.arange(1, len(file["labels"]) + 1)
    return Labels(file["names"], _unpacked(file["labels"], file["names"]), np.stack([numbers, numbers], 1),
                  file["split"])


def read_list(path):
    """A list of `path 0 1 0 ...` lines: the paths, and labels bool [N, 21]. Raises UserError where it is none."""
    rows = [line.split() for line in image_lists.lines(path)]
    if not rows or any(len(row) != 1 + len(CONCEPTS) or not {"0", "1"}.issuperset(row[1:]) for row in rows):
        raise UserError(f"{path} must hold a path and {len(CONCEPTS)} labels, 0 or 1, in each line; give the published "
                        "list")
    return [row[0] for row in rows], np.array([row[1:] for row in rows]) == "1"


def load_nuswide(data_dir, side=256):
    """GPQ's division of NUS-WIDE, pictures of `side` x `side` pixels.

    Returns `Data`: the lists' test images are query, their training images labelled; what else of the 195,834 images
    with one of the 21 labels is on disk is gallery and unlabelled, for nobody published the gallery's list. Says how
    many these are. Raises UserError where a file is absent or damaged, or no picture can be read.
    """
    folder = Path(data_dir)
    whole = nuswide_labels(folder / "nuswide_labels81.npz")
    columns = [int(np.flatnonzero(whole.names == name)[0]) for name in CONCEPTS]
    listed = {role: read_list(folder / f"nuswide_21_m_{role}.txt") for role in ("train", "test")}
    taken = {Path(path).name for paths, _ in listed.values() for path in paths}
    row = {number: place for place, number in enumerate(map(tuple, whole.numbers.tolist()))}
    others, rows = [], []
    for file in sorted((folder / "images").glob("*.jpg")):
        place = row.get(_number(file.name))
        if file.name not in taken and place is not None and whole.labels[place, columns].any():
            others.append(f"images/{file.name}")
            rows.append(place)
    print(f"NUS-WIDE: {len(others):,} gallery images are in {folder / 'images'}", file=sys.stderr)
    names = [*listed["test"][0], *listed["train"][0], *others]
    labels = np.concatenate([listed["test"][1], listed["train"][1], whole.labels[rows][:, columns]])
    role = np.repeat(["test", "train", "database"], [len(listed["test"][0]), len(listed["train"][0]), len(others)])
    return _data("NUS-WIDE", folder, names, labels, role, CONCEPTS, side)


def load_mirflickr(data_dir, side=256):
    """MIRFlickr with 38 labels and one published division; roles, side and errors as of `load_nuswide`. Images without
    a label are left out."""
    folder = Path(data_dir)
    whole = mirflickr_labels(folder / "mirflickr25k_labels38.npz")
    some = np.flatnonzero(whole.labels.any(1))
    names = [f"mirflickr/im{number}.jpg" for number in whole.numbers[some, 0]]
    return _data("MIRFlickr", folder, names, whole.labels[some], whole.split[some], whole.names, side)


def _data(title, folder, names, labels, role, class_names, side):
    names = np.array(names)
    keep = lazy.readable(lazy.Below(folder, names), names, title)
    names, labels, role, stored = names[keep], labels[keep], role[keep], lazy.Below(folder, names[keep])
    query, labelled, gallery = (np.flatnonzero(role == each).astype(np.int32) for each in ("test", "train", "database"))
    return Data(lazy.Pictures(stored, side), labels, query=query, labelled=labelled, unlabelled=gallery,
                gallery=gallery, validation=query[:0], class_names=tuple(map(str, class_names)), names=names,
                source=Source(title, "all", stored.digest(labels).hexdigest(), "its published labels"))


def _number(name):
    """The two numbers that a picture's file name begins with."""
    return tuple(int(part) if part.isdigit() else -1 for part in name.split("_")[:2])


def _unpacked(packed, names):
    return np.unpackbits(packed, axis=1)[:, :len(names)].astype(bool)


def _arrays(path, **forms):
    return arrays.read(path, forms, "file of published labels", "set data_dir to the folder that has it", others=True)
