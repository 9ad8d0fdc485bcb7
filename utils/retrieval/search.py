"""The retrieval database, its file, and exhaustive search in it.

The asymmetric (look-up-table) distance of a query to a code is M less the inner product of the query with the
code's reconstruction. Equal codes share it, so it is computed once a distinct code, in one matrix product.
"""
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from utils.errors import UserError

BLOCK = 2**24  # distances held at once (64 MiB of float32)
WORKERS = min(4, os.cpu_count() or 1)  # numpy sorts outside Python's lock; more threads would queue for it


class Distinct(NamedTuple):
    """The U different codes of a gallery of N."""

    codes: np.ndarray  # uint8 [U, M]
    inverse: np.ndarray  # int64 [N], the row of `codes` that each picture has
    counts: np.ndarray  # int64 [U], how many pictures have each code


def distinct(codes):
    """`Distinct` of `codes` uint8 [N, M]."""
    rows = np.ascontiguousarray(codes).view(f"V{codes.shape[1]}").ravel()  # faster than np.unique(axis=0)
    values, inverse, counts = np.unique(rows, return_inverse=True, return_counts=True)
    return Distinct(values.view(np.uint8).reshape(-1, codes.shape[1]), inverse, counts)


def reconstruct(codebooks, codes):
    """The codewords that `codes` uint8 [N, M] name in `codebooks` float32 [M, K, d]: float32 [N, M * d]."""
    return codebooks[np.arange(len(codebooks)), codes].reshape(len(codes), -1)


def each_query(visit, queries, codebooks, codes):
    """Call `visit(q, distances)` for every query q, with its float32 [U] distances to `codes` uint8 [U, M].

    The distance is the sum over codebooks of 1 - <sub-query, codeword> (release); it has no unit, and long
    features take it below 0. `queries` float32 [Q, D], `codebooks` float32 [M, K, d]. The visits run in
    threads, in no promised order. Raises ValueError if D is not M * d, UserError if a number is not finite.
    """
    queries, reconstructed = np.asarray(queries, np.float32), reconstruct(codebooks, codes)
    if queries.ndim != 2 or queries.shape[1] != reconstructed.shape[1]:
        raise ValueError(f"queries of shape {queries.shape} for codes of length {reconstructed.shape[1]}")
    if not (np.isfinite(queries).all() and np.isfinite(reconstructed).all()):
        raise UserError("the features or codewords are not finite numbers, so the checkpoint that they come "
                        "from is broken: set model_load_path to another")
    step = max(1, BLOCK // max(1, len(codes)))

    def visit_share(worker):
        for q in range(worker, len(inner), WORKERS):
            visit(first + q, len(codebooks) - inner[q])

    with ThreadPoolExecutor(WORKERS) as pool:
        for first in range(0, len(queries), step):
            inner = queries[first:first + step] @ reconstructed.T
            list(pool.map(visit_share, range(WORKERS)))  # a list, so that an error in a visit is raised here


def ascending(values):
    """Stable argsort of finite float32 [N]: the order, int64 [N], and where the value rises, bool [N - 1].

    The bits of a float, those of a negative one flipped, order like an integer. With the index in its low
    half an int64 carries its place and breaks ties, and numpy sorts int64 faster than it argsorts.
    """
    bits = (values + np.float32(0)).view(np.int32)  # + 0 makes one zero of -0 and 0
    keys = (bits ^ (bits >> 31 & 0x7FFFFFFF)).astype(np.int64)
    keys <<= 32
    keys |= np.arange(len(keys))
    keys.sort()
    order = keys & 0xFFFFFFFF
    keys >>= 32
    return order, keys[1:] != keys[:-1]


def search(database, queries, n):
    """The n nearest pictures of each query, nearest first, equal distances in gallery order.

    `queries` float32 [Q, D]. Returns D float32 [Q, n], the distances, and I int64 [Q, n], the places in the
    gallery; a gallery smaller than n is returned whole. Raises as `each_query`.
    """
    codes, inverse, _ = distinct(database.codes)
    n = min(n, len(inverse))
    D, I = np.empty((len(queries), n), np.float32), np.empty((len(queries), n), np.int64)  # noqa: E741

    def nearest(q, distance):
        order, _ = ascending(distance[inverse])
        I[q] = order[:n]
        D[q] = distance[inverse[I[q]]]

    each_query(nearest, queries, database.codebooks, codes)
    return D, I
