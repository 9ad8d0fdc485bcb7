"""Vectors of words, and of tags that are made of them."""
import gzip
import io
import itertools
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gpq.utils import files
from gpq.utils.errors import UserError
from gpq.utils.reading import arrays

LONGEST = 2 ** 20  # bytes of a line


class Words(NamedTuple):
    """A table of words and their vectors."""

    rows: dict[str, int]  # of `vectors`, by word
    vectors: np.ndarray  # float32 [V, D], no unit


def read(path):
    """The `Words` at `path`: a .npz file with `words`, str [V], and `vectors`, float [V, D]; word2vec's .bin
    (GoogleNews); or a text of a word and its numbers a line (GloVe, with or without word2vec's first line). The last
    two may be .gz. Of a word that is there twice the first counts.

    Raises UserError where there is no such file, it is damaged, or a vector is not finite.
    """
    words, vectors = _arrays(path) if Path(path).suffix == ".npz" else _lines(path)
    if not vectors.size:
        raise UserError(f"{path} holds no word vectors; give others")
    if not np.isfinite(vectors).all():
        raise UserError(f"the word vectors in {path} hold a number that is not finite; mend it or leave the word out")
    rows = {str(word): row for row, word in zip(range(len(words) - 1, -1, -1), reversed(words), strict=True)}
    return Words(rows, np.asarray(vectors, np.float32))


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


def _lines(path):
    """(words, list of V str, and vectors, float32 [V, D]) of a text or word2vec's .bin."""
    words, numbers = [], bytearray()
    with files.opened(path, "table of word vectors") as raw, np.errstate(over="ignore"):
        most = max(arrays.UNPACKED, arrays.RATIO * os.fstat(raw.fileno()).st_size)
        file = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if raw.peek(2)[:2] == b"\x1f\x8b" else raw
        first = file.readline(LONGEST)
        head = re.fullmatch(rb"(\d+) (\d{1,5})\s*", first)
        size = int(head[2]) if head else first.strip().count(b" ")
        if ".bin" in Path(path).suffixes:
            parts = _binary(file, size)
        else:
            parts = _text(itertools.chain([] if head else [first], iter(lambda: file.readline(LONGEST), b"")), size)
        for word, vector in parts:
            words.append(word.strip().decode("utf8", "replace"))
            numbers += vector
            if len(numbers) != 4 * size * len(words) or len(numbers) > most:
                raise ValueError(f"word {len(words)} has not {size} numbers, or there are too many words")
        if head and len(words) != int(head[1]):
            raise ValueError(f"it has {len(words)} words and says {int(head[1])}")
        return words, np.frombuffer(numbers, "<f4").reshape(len(words), size)


def _text(lines, size):
    for line in lines:
        word, *vector = line.rstrip().rsplit(b" ", size)  # a word of GloVe's 840B may hold spaces
        yield word, np.array(vector, "<f4").tobytes()


def _binary(file, size):
    while letter := file.read(1):
        word = bytearray()
        while letter not in (b" ", b"") and len(word) < LONGEST:
            word += letter
            letter = file.read(1)
        if word.strip():  # a line may end behind the last
            yield word, file.read(4 * size)
