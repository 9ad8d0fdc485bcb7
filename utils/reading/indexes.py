"""The one reader of faiss's index files: those that name a codeword in each of some codebooks, or hold bits.

They are read by their layout (faiss/impl/index_write.cpp), without faiss, which takes the memory that a length in a
damaged file says, or ends Python.
"""
import mmap
from typing import NamedTuple

import numpy as np

from utils import files

KINDS = {"IxPq": "IndexPQ", "IxRq": "IndexResidualQuantizer", "IxLS": "IndexLocalSearchQuantizer",
         "IBxF": "IndexBinaryFlat", "IwPQ": "IndexIVFPQ", "IwRQ": "IndexIVFResidualQuantizer",
         "IwLS": "IndexIVFLocalSearchQuantizer", "IBwF": "IndexBinaryIVF"}
FLAT = {"IxF2", "IxFI", "IxFl"}
SETTINGS = {"Rq": 8, "RQ": 8, "LS": 69}  # bytes of how an additive quantizer is trained, behind the rest


class Index(NamedTuple):
    """What an index of N codes holds, in the order of their ids."""

    codes: np.ndarray  # uint8 [N, M], the number of the codeword in each codebook; bits: uint8 [N, bytes]
    codebooks: np.ndarray | None  # float32 [M, K, d], or None where the codes are bits
    inner: bool = False  # searched by inner product, not by squared distance
    added: bool = False  # the codewords are added, not joined


def read(path):
    """The `Index` in the file `path`. Raises UserError where there is none, or one of another kind."""
    mend = f"give an {', '.join(KINDS.values())}; those with IVF with by_residual=False"
    with files.opened(path, "faiss index that is read here", mend) as file:
        content = _Content(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        index = _binary(content) if content.kind(KINDS).startswith("IB") else _of_words(content)
        if content.at != len(content.bytes) or not index.codes.size:
            raise ValueError("it holds no codes, or something follows them")
        return index


class _Content:
    """The bytes of a file, read one field after the other; arrays are views, as long as the file has bytes for them."""

    def __init__(self, content):
        self.bytes, self.at = content, 0

    def array(self, dtype, n):
        found = np.frombuffer(self.bytes, dtype, n, self.at) if n else np.empty(0, dtype)
        self.at += found.nbytes
        return found

    def one(self, dtype):
        return self.array(dtype, 1)[0].item()

    def vector(self, dtype, times=1):
        return self.array(dtype, times * self.one("<u8"))

    def kind(self, known):
        """The four letters that say what follows, one of `known`."""
        letters = self.array("u1", 4).tobytes().decode("latin1")
        if letters not in known:
            raise ValueError(f"it is of faiss's kind {letters!r}")
        self.latest = letters
        return letters

    def header(self):
        """(dimensions, codes, inner) of an index of vectors."""
        d, n = self.one("<i4"), self.one("<i8")
        self.array("u1", 17)
        if (metric := self.one("<i4")) not in (0, 1):
            raise ValueError("its distance is neither the inner product nor Euclidean")
        return d, n, metric == 0

    def binary_header(self):
        """(bytes of a code, codes) of an index of bits."""
        _, size, n = self.one("<i4"), self.one("<i4"), self.one("<i8")
        self.array("u1", 5)
        return size, n


def _binary(content):
    lists = content.latest == "IBwF"
    size, n = content.binary_header()
    if not lists:
        return Index(content.vector("u1").reshape(n, size), None)
    n_lists, _ = content.array("<u8", 2).tolist()
    content.kind({"IBxF"})
    content.binary_header()
    content.vector("u1")
    _skip_map(content)
    return Index(_lists(content, n_lists, n, size), None)


def _of_words(content):
    kind = content.latest
    d, n, inner = content.header()
    lists, joined = kind[1] == "w", kind.endswith(("PQ", "Pq"))
    if lists:
        n_lists, _ = content.array("<u8", 2).tolist()
        content.kind(FLAT)
        content.header()
        content.vector("u1", 4)
        _skip_map(content)
        residual, size = content.one("u1") if joined else 0, content.one("<u8")
    books = _joined(content) if joined else _added(content, d, kind[2:])
    bits = books.shape[1].bit_length() - 1
    if lists:
        residual = residual if joined else content.array("u1", 5)[0]
        if residual:
            raise ValueError("its codes are of residuals, by_residual")
        rows = _lists(content, n_lists, n, size)
    else:
        size = -(-len(books) * bits // 8) if joined else content.one("<u8")
        rows = content.vector("u1").reshape(n, size)
        content.array("u1", 9 * joined)  # how it is searched
    words = np.unpackbits(rows, axis=1, count=len(books) * bits, bitorder="little").reshape(n, len(books), bits)
    return Index(np.packbits(words, axis=2, bitorder="little")[:, :, 0], books, inner, not joined)


def _joined(content):
    """The codebooks of a product quantizer, float32 [M, K, d]."""
    d, n_book, bits = content.array("<u8", 3).tolist()
    return _books(content.vector("<f4"), n_book, {bits}, d // max(n_book, 1))


def _added(content, d, kind):
    """The codebooks of an additive quantizer, float32 [M, K, D]."""
    n_book, widths = content.array("<u8", 2)[1].item(), content.vector("<u8")
    content.one("u1")
    books = _books(content.vector("<f4"), n_book, set(widths.tolist()), d)
    search = content.one("<i4")
    content.array("<f4", 2)
    if search >= 6:
        raise ValueError("it quantizes norms by a quantizer of their own")
    content.array("u1", SETTINGS[kind])
    return books


def _books(numbers, n_book, widths, length):
    if len(widths) != 1 or not 1 <= max(widths) <= 8:
        raise ValueError(f"its codewords are of {sorted(widths)} bits, and not of one number, 1 to 8, for all")
    if not np.isfinite(numbers).all():
        raise ValueError("a codeword has a number that is not finite")
    return numbers.reshape(n_book, 2 ** max(widths), length)


def _skip_map(content):
    """Pass by the map from ids to places."""
    of_pairs = content.one("u1") == 2
    content.vector("<i8")
    if of_pairs:
        content.vector("<i8", 2)


def _lists(content, n_lists, n, size):
    """The codes in inverted lists, uint8 [n, size], in the order of their ids, which are 0 to n - 1."""
    content.kind({"ilar"})
    if content.array("<u8", 2).tolist() != [n_lists, size]:
        raise ValueError("its lists are others than it says")
    lengths = content.vector("<u8") if content.kind({"full", "sprs"}) == "full" else content.vector("<u8")[1::2]
    codes, ids = [], []
    for length in lengths[lengths > 0].tolist():
        codes.append(content.array("u1", length * size).reshape(length, size))
        ids.append(content.array("<i8", length))
    codes, ids = np.concatenate(codes), np.concatenate(ids)
    order = np.argsort(ids)
    if len(ids) != n or not np.array_equal(ids[order], np.arange(n)):
        raise ValueError(f"its ids are not 0 to {n - 1}, each once, as add gives them")
    return codes[order]
