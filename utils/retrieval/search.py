"""Exhaustive search: the distances of queries to a gallery, block by block, and the nearest pictures.

Pictures of equal code are equally far from a query, so a distance is computed once a distinct code; whether the
code's codewords are joined or added, it is one matrix product with their reconstruction. A sum of norms over the
codebooks is one too: of a sparse matrix that says which codewords a code names, with the query's table of norms.
"""
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy.sparse

from gpq.utils.errors import UserError

BLOCK = 2**24  # distances in a block (64 MiB of float32)
TILE = 2**14  # vectors that `search` takes at once at least, so that they stay in the processor's cache
WORKERS = min(4, os.cpu_count() or 1)  # numpy sorts outside Python's lock; more threads would queue for it
DISTANCES = ("inner", "squared", "norms")


class Gallery(NamedTuple):
    """N pictures as the U different vectors that stand for them."""

    vectors: np.ndarray  # float32 [U, D]; with "norms" sparse, [U, M * K], as `named` makes it
    inverse: np.ndarray  # int64 [N], the row of `vectors` that each picture has
    counts: np.ndarray  # int64 [U], how many pictures have each vector
    pictures: np.ndarray  # int64 [N], those that have the first vector, in gallery order, then those of the second, ...
    n_book: int  # M, the number of codebooks
    distance: str  # one of DISTANCES, see `blocks`
    codebooks: np.ndarray | None = None  # float32 [M, K, d], for "norms"


def distinct(codes):
    """The different rows of `codes` uint8 [N, M], in the order of their bytes, as (uint8 [U, M], and the `inverse`,
    `counts` and `pictures` of a Gallery)."""
    n, n_book = codes.shape
    padded = np.zeros((n, -(-n_book // 8) * 8), np.uint8)
    padded[:, :n_book] = codes
    numbers = padded.view(">u8").astype(np.uint64)  # eight bytes a comparison
    pictures = np.lexsort(numbers.T[::-1])
    numbers, new = numbers[pictures], np.ones(n, bool)
    new[1:] = (numbers[1:] != numbers[:-1]).any(1)
    inverse = np.empty(n, np.int64)
    inverse[pictures] = np.cumsum(new) - 1
    return codes[pictures[new]], inverse, np.diff(np.flatnonzero(new), append=n), pictures


def named(codes, n_words):
    """Which of `n_words` codewords in each of M codebooks the `codes` uint8 [U, M] name: a sparse matrix, float32
    [U, M * n_words], 1 where it does."""
    n, n_book = codes.shape
    columns = codes + n_words * np.arange(n_book, dtype=np.int32)
    return scipy.sparse.csr_matrix((np.ones(codes.size, np.float32), columns.ravel(),
                                    np.arange(0, codes.size + 1, n_book, dtype=np.int32)), (n, n_book * n_words))


def blocks(queries, gallery):
    """Distances of `queries` float32 [Q, D] to the vectors of a `Gallery`, at most BLOCK in a block.

    Yields (rows int64 [b], distances float32 [b, U]): the numbers of the queries, in order, and how far each is from
    every vector. Distances have no unit: "inner" is M - <query, vector>, for joined codewords the sum over codebooks of
    1 - <sub-query, codeword> (GPQ's release), and may fall below 0; "squared" is the squared Euclidean distance;
    "norms" is the sum over codebooks of the Euclidean distance of sub-query and codeword, not squared (SPQ's release).
    Raises ValueError if a query is not of the vectors' length, UserError if a number of it is not finite.
    """
    queries = _checked(queries, gallery)
    room = len(gallery.counts)
    if gallery.distance == "norms":
        room = max(room, gallery.codebooks.size)
    step = max(1, BLOCK // max(1, room))
    for first in range(0, max(1, len(queries)), step):
        asking = queries[first:first + step]
        yield np.arange(first, first + len(asking)), _distances(asking, gallery, gallery.vectors)


def _checked(queries, gallery):
    """`queries` as float32 [Q, D]; raises as `blocks`."""
    queries, words = np.asarray(queries, np.float32), gallery.codebooks
    if words is None:
        words = gallery.vectors
    length = words.shape[-1]
    if gallery.distance == "norms":
        length *= gallery.n_book
    if queries.ndim != 2 or queries.shape[1] != length:
        raise ValueError(f"queries of shape {queries.shape} for codes of length {length}")
    check_finite(queries)
    return queries


def check_finite(*arrays):
    """UserError where a number of the features or codewords `arrays` is not finite."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise UserError("the features or codewords are not finite numbers, so the checkpoint that they come "
                        "from is broken: set model_load_path to another")


def _distances(asking, gallery, vectors):
    """float32 [b, u], of queries float32 [b, D] to `vectors`, some rows of the gallery's."""
    if gallery.distance == "norms":
        parts = asking.reshape(len(asking), gallery.n_book, 1, gallery.codebooks.shape[-1])
        table = np.linalg.norm(parts - gallery.codebooks, axis=-1).reshape(len(asking), vectors.shape[1])
        return np.ascontiguousarray((vectors @ table.T).T)
    distances = asking @ vectors.T
    if gallery.distance == "inner":
        return np.subtract(gallery.n_book, distances, out=distances)
    distances *= -2
    distances += np.einsum("ud,ud->u", vectors, vectors)
    distances += np.einsum("qd,qd->q", asking, asking)[:, np.newaxis]
    return np.maximum(distances, 0, out=distances)  # rounding can leave a little less


def in_threads(work, blocks):
    """`work(rows, distances)` of the parts of every block: a list of what it returns, in the order of the queries.

    A block is shared out among WORKERS threads, and a part may be empty.
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        return [part for rows, distances in blocks
                for part in pool.map(work, np.array_split(rows, WORKERS), np.array_split(distances, WORKERS))]


def search(database, queries, n):
    """The n nearest pictures of each query, nearest first, equal distances in gallery order.

    The gallery is taken a tile at a time, and of a tile only what is no farther than the n nearest so far is kept; no
    more than BLOCK distances are held, or TILE a query.

    `queries` float32 [Q, D]. Returns D float32 [Q, n], the distances, and I int64 [Q, n], the places in the
    gallery; a gallery smaller than n is returned whole. Raises as `blocks`.
    """
    gallery = database.gallery
    queries, n = _checked(queries, gallery), min(n, len(gallery.inverse))
    rows = max(1, BLOCK // max(TILE, n))
    D, I = np.empty((len(queries), n), np.float32), np.empty((len(queries), n), np.int64)  # noqa: E741
    with ThreadPoolExecutor(WORKERS) as pool:
        for first in range(0, len(queries), rows):
            asking = queries[first:first + rows]
            parts = [_Nearest(gallery, n, part) for part in np.array_split(np.arange(len(asking)), WORKERS)]
            tile = max(TILE, BLOCK // len(asking))
            for start in range(0, len(gallery.counts), tile):
                distances = _distances(asking, gallery, gallery.vectors[start:start + tile])
                list(pool.map(lambda part, start=start, distances=distances: part.see(start, distances), parts))
            found = zip(*pool.map(_Nearest.ranked, parts), strict=True)
            D[first:first + rows], I[first:first + rows] = map(np.concatenate, found)
    return D, I


def nearest(distances, n):
    """Of `distances` float32 [N], the places of the n smallest, n in 1..N, and of those that equal the last of them:
    int64, ascending."""
    return np.flatnonzero(distances <= np.partition(distances, n - 1)[n - 1])


class _Nearest:
    """The codes nearest to some of the queries, the `rows` int64 [q] of a block, among those seen so far: enough for n
    pictures, and all that are as far as the last of these."""

    def __init__(self, gallery, n, rows):
        self._gallery, self._n, self._rows = gallery, n, rows
        self._bound = np.full(len(rows), np.inf, np.float32)  # no more is needed of what is farther
        self._held = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)  # query, code, distance
        self._more, self._waiting = [], 0

    def see(self, start, distances):
        """`distances` float32 [b, u] of all queries of the block to the codes from `start` on."""
        if not len(self._rows):
            return
        distances = distances[self._rows[0]:self._rows[-1] + 1]
        if not start and self._n <= distances.shape[1]:
            self._bound = np.partition(distances, self._n - 1, axis=1)[:, self._n - 1]
        near = np.flatnonzero(distances <= self._bound[:, np.newaxis])
        query, code = np.divmod(near, distances.shape[1])
        self._more.append((query, code + start, distances.ravel()[near]))
        self._waiting += len(near)
        if self._waiting >= self._n * len(self._rows):
            self._sort()

    def _sort(self):
        """Of what is held and what came since, hold what is near enough."""
        query, code, distance = map(np.concatenate, zip(self._held, *self._more, strict=True))
        order = np.lexsort((distance, query.astype(np.uint16)))  # of 16 bits it is quick, and rows are fewer
        query, code, distance = query[order], code[order], distance[order]
        pictures = np.concatenate([[0], np.cumsum(self._gallery.counts[code])])
        first, end = np.searchsorted(query, [np.arange(len(self._rows)), np.arange(1, len(self._rows) + 1)])
        last = np.searchsorted(pictures, pictures[first] + self._n) - 1  # of each query, the code of its nth picture
        full = last < end
        self._bound[full] = distance[last[full]]
        kept = distance <= self._bound[query]
        self._held, self._more, self._waiting = (query[kept], code[kept], distance[kept]), [], 0

    def ranked(self):
        """The pictures of the codes in order: float32 [q, n], int64 [q, n]."""
        self._sort()
        gallery, (query, code, distance) = self._gallery, self._held
        D, I = np.empty((len(self._rows), self._n), np.float32), np.empty((len(self._rows), self._n), np.int64)  # noqa: E741
        starts = np.cumsum(gallery.counts) - gallery.counts
        ends = np.searchsorted(query, np.arange(len(self._rows) + 1))
        for row, (a, b) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
            counts = np.minimum(gallery.counts[code[a:b]], self._n)
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            places = gallery.pictures[np.repeat(starts[code[a:b]], counts) + within]
            far = np.repeat(distance[a:b], counts)
            order = np.lexsort((places, far))[:self._n]
            D[row], I[row] = far[order], places[order]
        return D, I
