"""Corel5k: photographs with a few keywords each, from 50 CDs of one theme each (Duygulu et al., ECCV 2002).

A folder holds `images.tar` with `train/<name>.jpeg` and `test/<name>.jpeg`; `words`, a keyword a line, numbered from 1;
`training_label` and `test_label`, `name number number ...` a line; and `glove300.npz`, vectors of the keywords' words.
The pictures are stock photographs under no licence, so nothing of them comes with this repository.
"""
import hashlib
from pathlib import Path

import numpy as np

from gpq.utils.data import lazy
from gpq.utils.data.data import Data, Source
from gpq.utils.data.tags.tagging import RawTags
from gpq.utils.errors import UserError
from gpq.utils.reading import documents

COMMONEST = 10  # keywords that are the truth where the others are the tags
LABELLED = 10  # training pictures of each class whose label may be known


def load(data_dir, truth="themes", side=256):
    """Read Corel5k.

    truth: "themes", the CDs, name // 1000, are the labels; or "keywords", the ten commonest keywords of the training
        pictures are, and pictures that have none are left out.
    side: of a picture, in pixels.
    Returns `Data`: the test pictures are queries, all training pictures are gallery; ten of each class, as evenly apart
    as their order allows, are labelled, and the others unlabelled. Raises UserError where a file is absent or damaged.
    Pictures that cannot be read are named, and left out.
    """
    folder = Path(data_dir)
    keywords = _lines(folder / "words")
    train, test = (_annotated(folder / file, len(keywords)) for file in ("training_label", "test_label"))
    numbers, has = np.concatenate([train[0], test[0]]), np.concatenate([train[1], test[1]])
    names = np.array([f"{'train' if row < len(train[0]) else 'test'}/{number}.jpeg"
                      for row, number in enumerate(numbers)])
    members = lazy.in_tar(folder / "images.tar")
    stored = [members.get(name, lazy.Stored(folder / name)) for name in names]
    if truth == "themes":
        themes = np.unique(numbers // 1000)
        labels, class_names = (numbers // 1000)[:, np.newaxis] == themes, tuple(f"CD {theme}" for theme in themes)
    else:
        commonest = _commonest(train[1])
        labels, class_names = has[:, commonest], tuple(keywords[word] for word in commonest)
    keep = np.flatnonzero(labels.any(1) & lazy.readable(stored, names, "Corel5k"))
    labels, names, is_test = labels[keep], names[keep], keep >= len(train[0])
    gallery = np.flatnonzero(~is_test).astype(np.int32)
    labelled = np.unique(np.concatenate([gallery[_evenly(of_class, LABELLED)] for of_class in labels[gallery].T]))
    digest = hashlib.sha256((folder / "images.tar").read_bytes())
    digest.update("\n".join(names).encode() + labels.tobytes())
    return Data(lazy.Pictures([stored[row] for row in keep], side), np.ascontiguousarray(labels),
                query=np.flatnonzero(is_test).astype(np.int32), gallery=gallery, labelled=labelled,
                unlabelled=np.setdiff1d(gallery, labelled), validation=gallery[:0], class_names=class_names,
                source=Source("Corel5k", "all", digest.hexdigest(), "Corel's photographs"), names=names)


def raw_tags(data_dir, data, truth="themes"):
    """The keywords of the pictures of `data`, which `load` gave of the same folder and truth: `RawTags`. Those that are
    the truth are no tags."""
    folder = Path(data_dir)
    keywords = _lines(folder / "words")
    train, test = (_annotated(folder / file, len(keywords)) for file in ("training_label", "test_label"))
    row = {f"{part}/{number}.jpeg": words for part, (numbers, has) in (("train", train), ("test", test))
           for number, words in zip(numbers, has, strict=True)}
    tags = np.stack([row[name] for name in data.names])
    others = np.arange(len(keywords))
    if truth == "keywords":
        others = np.setdiff1d(others, _commonest(train[1]))
    return RawTags(tags[:, others], [keywords[word] for word in others], folder / "glove300.npz")


def _commonest(has):
    """The keywords that most training pictures have, int64 [COMMONEST], ascending; has: bool [N, words]."""
    return np.sort(np.argsort(-has.sum(0), kind="stable")[:COMMONEST])


def _evenly(mask, n):
    """n places at which `mask` is True, or all, as evenly apart as may be: int64."""
    places = np.flatnonzero(mask)
    return places[np.arange(n) * len(places) // n] if len(places) > n else places


def _lines(path):
    return documents.lines(path, "text", "set data_dir to the folder of Corel5k")


def _annotated(path, n_words):
    """Numbers of pictures, int64 [N], and which keywords each has, bool [N, n_words]."""
    rows = [line.split() for line in _lines(path)]
    try:
        numbers = np.array([int(name) for name, *_ in rows], np.int64)
        has = np.zeros((len(rows), n_words), bool)
        for row, (_, *words) in zip(has, rows, strict=True):
            row[np.array(words, np.int64) - 1] = True
            if min(map(int, words), default=1) < 1:
                raise ValueError("keywords are numbered from 1")
    except (ValueError, IndexError) as error:
        raise UserError(f"{path} must hold a picture's number and its keywords', 1 to {n_words}, in each line "
                        f"({error}); put it back as it was") from error
    return numbers, has
