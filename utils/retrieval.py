"""The retrieval database, its file, and exhaustive search in it.

The asymmetric (look-up-table) distance of a query to a code is M less the inner product of the query with the
code's reconstruction. Equal codes share it, so it is computed once a distinct code, in one matrix product.
"""
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from utils import files
from utils.errors import UserError

BLOCK = 2**24  # distances held at once (64 MiB of float32)
KEYS = ("packed_codes", "codebooks", "made_of", "labels", "names")
WORKERS = min(4, os.cpu_count() or 1)  # numpy sorts outside Python's lock; more threads would queue for it


class Database(NamedTuple):
    """A gallery of N pictures as product-quantization codes: M codebooks of K = 2^b codewords of length d."""

    codes: np.ndarray  # uint8 [N, M], the codeword's index of each sub-vector
    codebooks: np.ndarray  # float32 [M, K, d], the codewords that distances are computed with
    labels: np.ndarray | None  # int64 [N], the class of each picture, or None where nobody knows
    made_of: dict  # JSON-able: what the database was made from (checkpoint, data, settings)
    names: np.ndarray | None = None  # str [N], file names of a user's own pictures


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


def pack(codes, bits):
    """Codes uint8 [N, M] below 2^bits as a run of bits each, first word first: uint8 [N, ceil(M * bits / 8)].

    With 4 bits two words share a byte, so a 48-bit code takes 6. Raises ValueError if a word does not fit.
    """
    if codes.size and int(codes.max()) >> bits:
        raise ValueError(f"word {codes.max()} does not fit in {bits} bits")
    words = np.unpackbits(codes[:, :, None], axis=2)[:, :, 8 - bits:]
    return np.packbits(words.reshape(len(codes), -1), axis=1)


def unpack(packed, n_book, bits):
    """The inverse of `pack`: uint8 [N, ceil(n_book * bits / 8)] to codes uint8 [N, n_book]."""
    words = np.unpackbits(packed, axis=1, count=n_book * bits).reshape(len(packed), n_book, bits)
    return np.packbits(np.pad(words, ((0, 0), (0, 0), (8 - bits, 0))), axis=2)[:, :, 0]


def save(path, database, **more):
    """Write `database` to `path` as .npz, whole or not at all, with the arrays of `more` beside it.

    Keys: `packed_codes` (see `pack`), `codebooks`, `made_of` (JSON), `labels` and `names` where there are
    any, and those of `more`, which `load` leaves alone. Raises UserError if the file cannot be written.
    """
    arrays = {"labels": database.labels, "names": database.names}
    arrays = {key: value for key, value in arrays.items() if value is not None}
    packed = pack(database.codes, _bits(database.codebooks))
    made_of = json.dumps(database.made_of)
    whole = io.BytesIO()  # numpy 1.26 stumbles over its open zip when a disk is full
    np.savez(whole, packed_codes=packed, codebooks=database.codebooks, made_of=made_of, **arrays, **more)
    with files.whole(path) as file:
        file.write(whole.getbuffer())


def load(path):
    """The `Database` saved at `path`. Raises UserError if there is none, or it is damaged or foreign."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return _database(**{key: file[key] for key in file.files if key in KEYS})
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give the path of a database") from error
    except Exception as error:  # a foreign file fails in any way it likes
        raise UserError(f"{path} is damaged or no retrieval database; move it away and make one") from error


def _database(packed_codes, codebooks, made_of, labels=None, names=None):
    """The `Database` of the arrays of a file; raises ValueError where they do not fit together."""
    n_book, n_words, _ = codebooks.shape
    bits = _bits(codebooks)
    if codebooks.dtype != np.float32 or n_words != 2**bits or packed_codes.shape[1] != -(-n_book * bits // 8):
        raise ValueError("codes and codebooks do not fit together")
    codes = unpack(packed_codes, n_book, bits)
    if any(column is not None and column.shape != (len(codes),) for column in (labels, names)):
        raise ValueError("labels or names do not fit the codes")
    return Database(codes, codebooks, labels, json.loads(str(made_of)), names)


def _bits(codebooks):
    """Bits of a word: log2 of the number of codewords, rounded up."""
    return (codebooks.shape[1] - 1).bit_length()
