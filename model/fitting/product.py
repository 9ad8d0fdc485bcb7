"""Product quantization fitted: PQ, OPQ and LOPQ, with 16 codewords a codebook, and the codebooks of DQN and DTQ.

x is float [N, D] throughout, and each result is {variable: float array} of the method's graph.
"""
import numpy as np
from sklearn.cluster import KMeans

from gpq.model.fitting.projections import balanced_axes

WORDS = 16  # codewords of a codebook, so that 4 bits are a symbol
CELLS = 16  # of LOPQ; cell and word share a byte
ROUNDS = 20  # of OPQ
EPOCHS = 2  # from one fit of a trained method's codebooks to the next (DQN's public code)


def k_means(x, k, seed):
    """k centres of x, float [N, D], by Lloyd's algorithm from k-means++: float [k, D]. Where there are fewer than k
    vectors, the last centre repeats."""
    centres = KMeans(min(k, len(x)), n_init=1, random_state=seed).fit(x).cluster_centers_
    return centres[np.minimum(np.arange(k), len(centres) - 1)]


def nearest(x, centres):
    """The nearest of `centres`, float [K, D], to each of x: int64 [N]."""
    return np.argmin((centres ** 2).sum(1) - 2 * x @ centres.T, axis=1)


def _parts(x, n_book):
    """x, float [N, D], with zeros up to a multiple of n_book, as [n_book, N, d]."""
    padded = np.pad(x, ((0, 0), (0, -x.shape[1] % n_book)))
    return padded.reshape(len(x), n_book, -1).transpose(1, 0, 2)


def codebooks_of(x, n_book, seed):
    """The k-means codewords of each part of x: float [n_book, 16, d] (Jegou et al., TPAMI 2011)."""
    return np.stack([k_means(part, WORDS, seed) for part in _parts(x, n_book)])


def pq(x, n_bits, seed):
    """PQ of n_bits / 4 codebooks."""
    return {"codebooks": codebooks_of(x, n_bits // 4, seed)}


def opq(x, n_bits, seed, rounds=ROUNDS):
    """OPQ (Ge et al., CVPR 2013): from the parametric form, which 0 rounds leave, the non-parametric one. A round is a
    step of k-means in each part, then the rotation that brings x nearest to its reconstruction."""
    n_book, mean = n_bits // 4, x.mean(0)
    centred = x - mean
    rotation = balanced_axes(centred, n_book).astype(x.dtype)
    codebooks = codebooks_of(centred @ rotation, n_book, seed)
    for _ in range(rounds):
        found = []
        for part, words in zip(_parts(centred @ rotation, n_book), codebooks, strict=True):
            code = nearest(part, words)
            members = code == np.arange(WORDS)[:, np.newaxis]
            counts = members.sum(1, keepdims=True)
            words[:] = np.where(counts, members.astype(x.dtype) @ part / np.maximum(counts, 1), words)
            found.append(words[code])
        left, _, right = np.linalg.svd(centred.T @ np.concatenate(found, axis=1), full_matrices=False)
        rotation = left @ right
    return {"rotation": rotation, "codebooks": codebooks + (mean @ rotation).reshape(n_book, 1, -1)}


def lopq(x, n_bits, seed, cells=CELLS):
    """LOPQ (Kalantidis and Avrithis, CVPR 2014) of M = n_bits / 4 - 1 codebooks for each of 16 cells: parametric OPQ of
    what is left of a cell's vectors. Its words, float [M, cells, 16, D], are in the space of x."""
    n_book, dimension = n_bits // 4 - 1, x.shape[1]
    centres = k_means(x, cells, seed)
    cell = nearest(x, centres)
    words = np.zeros([n_book, cells, WORDS, dimension], x.dtype)
    for number in np.unique(cell):
        local = x[cell == number] - centres[number]
        rotation = balanced_axes(local, n_book).astype(x.dtype)
        codebooks = codebooks_of(local @ rotation, n_book, seed)
        words[:, number] = np.einsum("dmp,mkp->mkd", rotation.reshape(dimension, n_book, -1), codebooks)
    return {"cells": centres, "words": words}
