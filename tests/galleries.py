"""Galleries, their queries, and the slow exact ways that fast ones are tested against."""
from dataclasses import replace
from itertools import permutations, product

import numpy as np
from conftest import DATA

from gpq.utils.data.relevance import SharedLabels
from gpq.utils.retrieval import search
from gpq.utils.retrieval.database import Database

REFERENCE = np.load(DATA / "reference_retrieval.npz")


def one_hot(classes, n):
    """Labels bool [N, n] of the classes int [N]."""
    return np.eye(n, dtype=bool)[classes]


def shuffled(database, seed=1):
    """The same pictures in another order."""
    order = np.random.default_rng(seed).permutation(len(database.codes))
    return replace(database, codes=database.codes[order], labels=database.labels[order])


def shared(database, labels):
    """The relevance to queries of `labels` bool [Q, L] of the pictures of `database`."""
    return SharedLabels(labels, database.labels)


def reference_database():
    """The 64 pictures of the release's run: its Z [K, M * d] cut into codebooks [M, K, d]."""
    codebooks = REFERENCE["Z"].reshape(len(REFERENCE["Z"]), REFERENCE["codes"].shape[1], -1).swapaxes(0, 1)
    return Database(REFERENCE["codes"], codebooks, None, {})


def random_database(n, n_book=6, bits=2, seed=0, **more):
    """Few words and many pictures, so that codes collide."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**bits, (n, n_book), dtype=np.uint8)
    codebooks = rng.standard_normal((n_book, 2**bits, 5), np.float32)
    return Database(codes, codebooks, one_hot(rng.integers(0, 4, n), 4), {"seed": seed, "of": ["a", "b"]}, **more)


def ap(relevant, n_DB):
    """AP of one ranking of 0/1, as its definition reads."""
    hits, total = 0, 0.0
    for rank, right in enumerate(relevant[:n_DB], start=1):
        if right:
            hits += 1
            total += hits / rank
    return total / hits if hits else 0.0


def all_orders(distance, relevant):
    """`relevant` in every order of the pictures at equal distance, one by one: [orders, N]."""
    groups = [np.flatnonzero(distance == value) for value in np.unique(distance)]
    orders = product(*(permutations(group) for group in groups))
    return np.array([relevant[np.concatenate(order).astype(int)] for order in orders])


def mean_of_all_orders(distance, relevant, n_DB):
    """Mean AP over every order of the pictures at equal distance."""
    return np.mean([ap(order, n_DB) for order in all_orders(distance, relevant)])


def line(distance):
    """A gallery whose distances to the query [1] are `distance`, integers below 16: M = d = 1, K = 16."""
    codebook = 1 - np.arange(16, dtype=np.float32).reshape(1, 16, 1)
    return Database(np.uint8(distance)[:, None], codebook, None, {})


def collided(n=2000, n_queries=30, seed=0):
    """A gallery sorted by class in which about 16 pictures share a code, queries, and their labels bool [Q, 5]."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, 5, n))
    codes = rng.integers(0, 5, (n, 3), dtype=np.uint8)
    codes[:, 0] = np.where(rng.random(n) < 0.3, labels, codes[:, 0])  # some of the class shows in the code
    codebooks = rng.standard_normal((3, 8, 4), np.float32)
    query_labels = rng.integers(0, 5, n_queries)
    queries = np.tile(codebooks[0, query_labels], 3) + rng.standard_normal((n_queries, 12), np.float32)
    return Database(codes, codebooks, one_hot(labels, 5), {}), queries, one_hot(query_labels, 5)


def without_ties():
    """A gallery of about 2,000 codes that all differ, and 10 queries of its 10 classes, with their labels."""
    rng = np.random.default_rng(0)
    codes = np.unique(rng.integers(0, 16, (2000, 12), dtype=np.uint8), axis=0)
    labels = rng.integers(0, 10, len(codes))
    database = Database(codes, rng.standard_normal((12, 16, 2)).astype(np.float32), one_hot(labels, 10), {})
    return database, rng.standard_normal((10, 24), np.float32), one_hot(np.arange(10), 10)


def small_galleries():
    """Every gallery of 5 in order, with 1 to 5 different distances."""
    for steps in product([0, 1], repeat=4):
        yield np.cumsum([0, *steps])


def table_distances(database, queries):
    """The slow exact way, float64 [Q, N]: a table of all sub-queries with all codewords, gather, sum."""
    parts = queries.astype(float).reshape(len(queries), len(database.codebooks), -1)
    table = 1 - np.einsum("qmd,mkd->qmk", parts, database.codebooks.astype(float))
    return sum(table[:, m, database.codes[:, m]] for m in range(len(database.codebooks)))


def all_distances(database, queries):
    """What `search.blocks` yields, float32 [Q, N]."""
    found = np.concatenate([distances for _, distances in search.blocks(queries, database.gallery)])
    return found[:, database.gallery.inverse]
