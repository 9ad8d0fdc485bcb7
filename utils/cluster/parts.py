"""Search in a gallery that lies in parts, each in a memory of its own, and what the parts find put together.

Where the distances of one code to one query came out differently in two parts, pictures of equal code would no longer
be equally far. A matrix product, as utils.retrieval.search takes it, promises no such thing: its rounding depends on
the matrices' sizes and on the processor. So all products are taken once, in one place, and make a table of each query,
`table`; a part only adds up its entries, book after book in float32, and those sums are the same everywhere (product
quantization's asymmetric distances: Jégou et al., PAMI 2011, section IV). However a gallery is cut, the same pictures
are found in the same order, and an mAP is the same to the last bit. From `search`'s distances these differ by rounding.
"""
from functools import partial

import numpy as np

from utils.retrieval import metrics, search
from utils.retrieval.database import reconstruct


def table(queries, codebooks, distance, added):
    """What each codeword adds to the distance of each query: float32 [Q, M * K].

    queries: float32 [Q, D]; codebooks: float32 [M, K, d]; distance and added: as of `Database`. For "squared" of
    codewords that are added, a code adds its reconstruction's squared length besides, see `Part`. Raises ValueError if
    a query is not of the codes' length, UserError if a number is not finite.
    """
    queries = np.asarray(queries, np.float32)
    n_book, _, length = codebooks.shape
    if queries.ndim != 2 or queries.shape[1] != (length if added else n_book * length):
        raise ValueError(f"queries of shape {queries.shape} for codebooks of shape {codebooks.shape}")
    search.check_finite(queries, codebooks)
    asking = queries[:, np.newaxis] if added else queries.reshape(len(queries), n_book, length)
    if distance == "inner":
        found = 1 - _products(asking, codebooks)
    elif distance == "squared" and added:
        found = -2 * _products(asking, codebooks)
        found[:, 0] += np.square(queries).sum(1, keepdims=True)
    else:
        found = np.stack([np.square(query[:, np.newaxis] - codebooks).sum(2) for query in asking]
                         or np.empty((0, *codebooks.shape[:2]), np.float32))
        found = np.sqrt(found) if distance == "norms" else found
    return found.reshape(len(queries), codebooks[..., 0].size)


def _products(asking, codebooks):
    """Inner products of float32 [Q, M or 1, d] with the codewords float32 [M, K, d]: float32 [Q, M, K]."""
    return np.matmul(asking[:, :, np.newaxis], codebooks.swapaxes(1, 2))[:, :, 0]


class Part:
    """A part of a gallery, in memory.

    codes: uint8 [n, M]; first: the place in the gallery of the first of them; codebooks, distance, added: as of
    `Database`.
    """

    def __init__(self, codes, first, codebooks, distance="inner", added=False):
        few, self._inverse, self._counts, _ = search.distinct(codes)
        self._first, self._words = first, search.named(few, codebooks.shape[1])
        self._lengths = np.float32(0)
        if distance == "squared" and added:  # column by column, as no library promises an order of its sums
            self._lengths = sum(np.square(column) for column in reconstruct(codebooks, few, added).T)

    def __len__(self):
        return len(self._inverse)

    def nearest(self, tables, n):
        """The n nearest pictures of each query, or all where there are no more, nearest first, of equal distance the
        one of the lowest place first: D float32 [Q, n], the distances, and I int64 [Q, n], the places in the gallery.

        tables: float32 [Q, M * K], of `table`.
        """
        n = min(n, len(self))
        if n == 0:
            return np.empty((len(tables), 0), np.float32), np.empty((len(tables), 0), np.int64)
        found = search.in_threads(partial(self._nearest, n), self._blocks(tables))
        D, I = zip(*found, strict=True)  # noqa: E741
        return np.concatenate(D), np.concatenate(I)

    def groups(self, left_out, query, places):
        """The pictures by their distance to one query: (distances float32 [G], ascending, how many pictures have each
        int64 [G], how many of those are relevant int64 [G]).

        query: float32 [M * K], its table; places: int64, the relevant places in the gallery; left_out: int64, those
        whose pictures do not count.
        """
        if len(self) == 0:
            return np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64)
        counts = self._counts - self._count(left_out)
        return _summed(self._distances(query[np.newaxis])[0], counts, self._count(places))

    def _count(self, places):
        """How many of the pictures at `places` in the gallery have each of the distinct codes: int64 [U]."""
        mine = places[(places >= self._first) & (places < self._first + len(self))] - self._first
        return np.bincount(self._inverse[mine], minlength=len(self._counts))

    def _blocks(self, tables):
        """Yields (rows int64 [b], distances float32 [b, U]), as `search.blocks`."""
        step = max(1, search.BLOCK // len(self._counts))
        for first in range(0, max(1, len(tables)), step):
            distances = self._distances(tables[first:first + step])
            yield np.arange(first, first + len(distances)), distances

    def _distances(self, tables):
        """float32 [b, U], of the distinct codes."""
        found = np.ascontiguousarray((self._words @ tables.T).T)
        if self._lengths.ndim:
            found = np.maximum(found + self._lengths, 0)
        return found

    def _nearest(self, n, rows, distances):
        D, I = np.empty((len(rows), n), np.float32), np.empty((len(rows), n), np.int64)  # noqa: E741
        for row, distance in enumerate(distances):
            each = distance[self._inverse]
            near = search.nearest(each, n)
            order = near[np.argsort(each[near], kind="stable")[:n]]
            D[row], I[row] = each[order], order + self._first
        return D, I


def merged(found, n):
    """The n nearest of what several parts found: (D, I) as `Part.nearest`, of a list of such."""
    D, I = (np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True))  # noqa: E741
    order = np.lexsort((I, D), axis=1)[:, :n]
    return np.take_along_axis(D, order, 1), np.take_along_axis(I, order, 1)


def average_precision(found, n, n_DB, without_hits="zero"):
    """AP of each query over parts of n pictures, float64 [Q], the exact mean over all orders of the pictures at equal
    distance, as `metrics.average_precision` has it of a whole gallery.

    found: for every part a list over the queries of what `Part.groups` gives. n_DB: how many ranks count. without_hits:
    as there.
    """
    harmonic, cut = np.concatenate([[0], np.cumsum(1 / np.arange(1, n + 1))]), min(n_DB, n)
    precisions = []
    for groups in zip(*found, strict=True):
        _, counts, relevant = together(groups)
        ends, hits = (np.concatenate([[0], np.cumsum(numbers)]) for numbers in (counts, relevant))
        precisions.append(metrics.expected_ap(ends, hits, cut, harmonic))
    return metrics.counted(np.array(precisions).reshape(-1, 2), without_hits)


def together(groups):
    """What `Part.groups` would give of the union of parts, of a list of what it gives of each."""
    return _summed(*map(np.concatenate, zip(*groups, strict=True)))


def _summed(distances, *numbers):
    """(the different ones of `distances` [n], ascending, and the sums of `numbers`, int64 [n] each, at each)."""
    values, which = np.unique(distances, return_inverse=True)
    # float64 counts exactly up to 2^53
    return values, *(np.bincount(which, number, len(values)).astype(np.int64) for number in numbers)
