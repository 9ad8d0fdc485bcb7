"""Exhaustive search: the distances of queries to a gallery, block by block, and the nearest pictures.

Pictures of equal code are equally far from a query, so a distance is computed once a distinct code; whether the
code's codewords are joined or added, it is one matrix product with their reconstruction. A sum of norms over the
codebooks is one too: of a sparse matrix that says which codewords a code names, with the query's table of norms.
"""
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy.sparse

from utils.errors import UserError

BLOCK = 2**24  # distances in a block (64 MiB of float32)
WORKERS = min(4, os.cpu_count() or 1)  # numpy sorts outside Python's lock; more threads would queue for it
DISTANCES = ("inner", "squared", "norms")


class Gallery(NamedTuple):
    """N pictures as the U different vectors that stand for them."""

    vectors: np.ndarray  # float32 [U, D]; with "norms" sparse, [U, M * K], as `named` makes it
    inverse: np.ndarray  # int64 [N], the row of `vectors` that each picture has
    counts: np.ndarray  # int64 [U], how many pictures have each vector
    n_book: int  # M, the number of codebooks
    distance: str  # one of DISTANCES, see `blocks`
    codebooks: np.ndarray | None = None  # float32 [M, K, d], for "norms"


def distinct(codes):
    """The different rows of `codes` uint8 [N, M]: (uint8 [U, M], the one of each picture int64 [N], how many pictures
    have each int64 [U])."""
    rows = np.ascontiguousarray(codes).view(f"V{codes.shape[1]}").ravel()  # faster than np.unique(axis=0)
    values, inverse, counts = np.unique(rows, return_inverse=True, return_counts=True)
    return values.view(np.uint8).reshape(-1, codes.shape[1]), inverse, counts


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
    Raises ValueError if a query is not of the vectors' length, UserError if a number is not finite.
    """
    queries, words = np.asarray(queries, np.float32), gallery.codebooks
    if words is None:
        words = gallery.vectors
    length, room = words.shape[-1], len(gallery.counts)
    if gallery.distance == "norms":
        length, room = gallery.n_book * length, max(room, words.size)
    if queries.ndim != 2 or queries.shape[1] != length:
        raise ValueError(f"queries of shape {queries.shape} for codes of length {length}")
    if not (np.isfinite(queries).all() and np.isfinite(words).all()):
        raise UserError("the features or codewords are not finite numbers, so the checkpoint that they come "
                        "from is broken: set model_load_path to another")
    step = max(1, BLOCK // max(1, room))
    for first in range(0, max(1, len(queries)), step):
        asking = queries[first:first + step]
        yield np.arange(first, first + len(asking)), _distances(asking, gallery)


def _distances(asking, gallery):
    """float32 [b, U], of queries float32 [b, D]."""
    vectors = gallery.vectors
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

    `queries` float32 [Q, D]. Returns D float32 [Q, n], the distances, and I int64 [Q, n], the places in the
    gallery; a gallery smaller than n is returned whole. Raises as `blocks`.
    """
    gallery = database.gallery
    work = partial(_nearest, gallery.inverse, min(n, len(gallery.inverse)))
    D, I = zip(*in_threads(work, blocks(queries, gallery)), strict=True)  # noqa: E741
    return np.concatenate(D), np.concatenate(I)


def nearest(distances, n):
    """Of `distances` float32 [N], the places of the n smallest, n in 1..N, and of those that equal the last of them:
    int64, ascending."""
    return np.flatnonzero(distances <= np.partition(distances, n - 1)[n - 1])


def _nearest(inverse, n, rows, distances):
    """`search` in a part of a block."""
    D, I = np.empty((len(rows), n), np.float32), np.empty((len(rows), n), np.int64)  # noqa: E741
    for row, distance in enumerate(distances):
        each = distance[inverse]
        near = nearest(each, n)
        I[row] = near[np.argsort(each[near], kind="stable")[:n]]
        D[row] = each[I[row]]
    return D, I
