"""The one reader of faiss's index files: those that name a codeword in each of some codebooks, or hold bits.

They are read by their layout (faiss/impl/index_write.cpp), without faiss, which takes the memory that a length in a
damaged file says, or ends Python.
"""
import mmap
from typing import NamedTuple

import numpy as np

from gpq.utils import files

KINDS = {"IxPq": "IndexPQ", "IxRq": "IndexResidualQuantizer", "IxLS": "IndexLocalSearchQuantizer",
         "IBxF": "IndexBinaryFlat"}
SETTINGS = {"IxRq": 8, "IxLS": 69}  # bytes of how an additive quantizer is trained


class Index(NamedTuple):
    """What an index of N codes holds."""

    codes: np.ndarray  # uint8 [N, M], the number of the codeword in each codebook; bits: uint8 [N, bytes]
    codebooks: np.ndarray | None  # float32 [M, K, d], or None where the codes are bits
    inner: bool = False  # searched by inner product, not by squared distance
    added: bool = False  # the codewords are added, not joined


def read(path):
    """The `Index` in the file `path`. Raises UserError where there is none, or one of another kind."""
    with files.opened(path, "faiss index that is read here", f"give an {', '.join(KINDS.values())}") as file:
        content = _Content(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        index = _index(content)
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

    def vector(self, dtype):
        return self.array(dtype, self.one("<u8"))

    def kind(self):
        """The four letters that say what follows, one of KINDS."""
        letters = self.array("u1", 4).tobytes().decode("latin1")
        if letters not in KINDS:
            raise ValueError(f"it is of faiss's kind {letters!r}")
        return letters

    def head(self, of_bits):
        """(codes, bytes of a code where it is of bits, whether by inner product) of an index."""
        size = self.array("<i4", 1 + of_bits)[-1]
        n, _, metric = self.one("<i8"), self.array("u1", 1 if of_bits else 17), self.one("<i4")
        if metric not in (0, 1):
            raise ValueError("its distance is neither the inner product nor Euclidean")
        return n, int(size), metric == 0


def _index(content):
    kind = content.kind()
    of_bits, joined = kind == "IBxF", kind == "IxPq"
    n, size, inner = content.head(of_bits)
    if of_bits:
        return Index(content.vector("u1").reshape(n, size), None)
    books = _codebooks(content, joined, kind)
    shape = n, len(books), books.shape[1].bit_length() - 1
    size = (shape[1] * shape[2] + 7) // 8 if joined else content.one("<u8")
    codes = content.vector("u1").reshape(n, size)
    content.array("u1", 9 if joined else 0)  # how it is searched
    words = np.unpackbits(codes, axis=1, count=shape[1] * shape[2], bitorder="little").reshape(shape)
    return Index(np.packbits(words, axis=2, bitorder="little")[:, :, 0], books, inner, not joined)


def _codebooks(content, joined, kind):
    """The codebooks of a product quantizer, float32 [M, K, d], or of an additive one, float32 [M, K, D]."""
    d, n_book = content.array("<u8", 2).tolist()
    widths = set((content.array("<u8", 1) if joined else content.vector("<u8")).tolist())
    if len(widths) != 1 or not 1 <= max(widths) <= 8:
        raise ValueError(f"its codewords are of {sorted(widths)} bits, and not of one number, 1 to 8, for all")
    content.array("u1", 0 if joined else 1)
    numbers = content.vector("<f4")
    if not np.isfinite(numbers).all():
        raise ValueError("a codeword has a number that is not finite")
    if not joined and content.one("<i4") >= 6:
        raise ValueError("it quantizes norms by a quantizer of their own")
    content.array("u1", 0 if joined else 8 + SETTINGS[kind])
    return numbers.reshape(n_book, 2 ** max(widths), d // n_book if joined else d)
