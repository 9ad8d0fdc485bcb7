"""Vectors of words, and of tags that are made of them."""
import gzip
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils.errors import UserError
from utils.reading import arrays


class Words(NamedTuple):
    """A table of words and their vectors."""

    rows: dict[str, int]  # of `vectors`, by word
    vectors: np.ndarray  # float32 [V, D], no unit


def read(path):
    """The `Words` at `path`: a .npz file with `words`, str [V], and `vectors`, float [V, D]; or what gensim loads,
    word2vec's .bin and .bin.gz (GoogleNews) or a text of a word and its numbers a line (GloVe, with or without
    word2vec's first line), which may be .gz.

    Raises UserError where there is no such file, it cannot be read or its vectors do not fit, and, for gensim's kinds,
    where gensim is not installed.
    """
    if not Path(path).is_file():
        raise UserError(f"there are no word vectors at {path}; give a .npz file, or GoogleNews' or GloVe's")
    try:
        words, vectors = _arrays(path) if Path(path).suffix == ".npz" else _by_gensim(path)
    except UserError:
        raise
    except Exception as error:  # a foreign file fails in any way it likes
        raise UserError(f"{path} is damaged or no table of word vectors; give another") from error
    if vectors.dtype.kind != "f" or vectors.ndim != 2 or len(vectors) != len(words) or not vectors.size:
        raise UserError(f"{path} has {len(words)} words and vectors {vectors.dtype} {list(vectors.shape)}; it must "
                        "have a vector, float [D], for each word")
    if not np.isfinite(vectors).all():
        raise UserError(f"the word vectors in {path} hold a number that is not finite; mend it or leave the word out")
    return Words({str(word): row for row, word in enumerate(words)}, np.asarray(vectors, np.float32))


def of(words, tags):
    """The vector of each of the `tags`, str [T0]: float32 [T0, D], rows of NaN where none of its words is known.

    A tag that is a word itself has this word's vector, another the mean of its known words, which anything but letters
    and digits parts. A word that is unknown is looked for in small letters, and then without a plural's s.
    """
    found = np.full((len(tags), words.vectors.shape[1]), np.nan, np.float32)
    for vector, tag in zip(found, tags, strict=True):
        parts = [tag] if tag in words.rows else re.split(r"[\W_]+", tag)
        known = [row for row in (_row(words, part) for part in parts) if row is not None]
        if known:
            vector[:] = words.vectors[known].mean(0)
    return found


def _row(words, word):
    small = word.lower()
    return next((words.rows[form] for form in (word, small, small.removesuffix("s")) if form in words.rows), None)


def _arrays(path):
    found = arrays.read(path, {"words": "str [V]", "vectors": "float [V, D]"}, "table of word vectors", others=True)
    return found["words"], found["vectors"]


def _by_gensim(path):
    try:
        from gensim.models import KeyedVectors
    except ImportError:
        raise UserError(f"{path} is read by gensim, which is not installed; run pip install gensim, or give a .npz "
                        "file of words and vectors") from None
    if ".bin" in Path(path).suffixes:
        table = KeyedVectors.load_word2vec_format(path, binary=True)
    else:
        opened = gzip.open if Path(path).suffix == ".gz" else open
        with opened(path, "rt", encoding="utf8") as file:
            no_header = len(file.readline().split()) != 2
        table = KeyedVectors.load_word2vec_format(path, binary=False, no_header=no_header)
    return table.index_to_key, table.vectors
