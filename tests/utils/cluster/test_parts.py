"""A gallery in parts: however it is cut, the same is found, and it is what the whole gives up to rounding."""
from itertools import pairwise

import numpy as np
import pytest
from galleries import all_distances, collided, random_database, reference_database, shared

from utils.cluster import parts
from utils.data.relevance import SharedLabels
from utils.errors import UserError
from utils.retrieval import metrics, search
from utils.retrieval.database import reconstruct

KINDS = [("inner", False), ("inner", True), ("squared", False), ("squared", True), ("norms", False)]
NOBODY = np.empty(0, np.int64)  # left out
CUTS = [[0, 3000], [0, 1, 1, 1700, 3000], list(range(0, 3001, 100))]


def some_queries(length):
    return np.random.default_rng(1).standard_normal((7, length), np.float32)


def cut(database, places):
    """The Parts of a Database from place to place."""
    more = database.codebooks, database.distance, database.added
    return [parts.Part(database.codes[first:last], first, *more) for first, last in pairwise(places)]


def tables(database, queries):
    return parts.table(queries, database.codebooks, database.distance, database.added)


def found(database, queries, places, n):
    given = tables(database, queries)
    return parts.merged([part.nearest(given, n) for part in cut(database, places)], n)


def precisions(database, queries, relevance, places, n_DB):
    given = tables(database, queries)
    groups = [[part.groups(NOBODY, query, relevance.places(q)) for q, query in enumerate(given)]
              for part in cut(database, places)]
    return parts.average_precision(groups, len(database.codes), n_DB)


@pytest.mark.parametrize(("distance", "added"), KINDS)
def test_distances_are_those_of_the_whole_within_what_rounding_can_do(distance, added):
    """A sum of n numbers in float32 is off by at most n * 2^-24 of the sum of their sizes (Higham, Accuracy and
    Stability of Numerical Algorithms, section 4.2); the two ways add up D products, M entries and a few more."""
    database = random_database(3000, bits=3, distance=distance, added=added)
    queries = some_queries(5 if added else 30)
    D, I = found(database, queries, [0, 3000], 3000)  # noqa: E741
    lengths = np.linalg.norm(reconstruct(database.codebooks, database.codes, added), axis=1)
    bound = 2 * (30 + 6 + 4) * 2**-24 * (6 + (lengths[I] + np.linalg.norm(queries, axis=1)[:, np.newaxis]) ** 2)
    whole = np.take_along_axis(all_distances(database, queries), I, 1)
    assert (np.abs(whole - D) < bound).all()
    assert (np.diff(D, axis=1) >= 0).all() and (np.sort(I, 1) == np.arange(3000)).all()


@pytest.mark.parametrize(("distance", "added"), KINDS)
@pytest.mark.parametrize("block", [1, 2**24])
def test_a_gallery_gives_the_same_however_it_is_cut(monkeypatch, distance, added, block):
    monkeypatch.setattr(search, "BLOCK", block)
    database = random_database(3000, bits=1, distance=distance, added=added)  # 64 codes, about 47 pictures of each
    queries = some_queries(5 if added else 30)
    expected = found(database, queries, [0, 3000], 3000)
    assert np.unique(expected[0][0]).size <= 64
    order = np.lexsort((expected[1], expected[0]), axis=1)
    assert (order == np.arange(3000)).all()  # equal distances in gallery order
    for places in CUTS:
        for n in (1, 100, 3000):
            for whole, merged in zip(expected, found(database, queries, places, n), strict=True):
                np.testing.assert_array_equal(whole[:, :n], merged)


@pytest.mark.parametrize(("distance", "added"), KINDS)
@pytest.mark.parametrize(("bits", "n_DB"), [(1, 50), (1, 3000), (2, 50), (2, 3000)])
def test_an_mAP_is_the_same_however_a_gallery_is_cut_and_that_of_the_whole(distance, added, bits, n_DB):
    """To the last bit; of 4096 codes, with 2 bits, two can be so nearly equally far that rounding orders them anew."""
    database = random_database(3000, bits=bits, distance=distance, added=added)
    queries = some_queries(5 if added else 30)
    relevance = shared(database, database.labels[:7])
    expected = precisions(database, queries, relevance, [0, 3000], n_DB)
    for places in CUTS[1:]:
        np.testing.assert_array_equal(precisions(database, queries, relevance, places, n_DB), expected)
    whole = metrics.average_precision(database, queries, relevance, n_DB)
    np.testing.assert_allclose(whole, expected, rtol=0, atol=0 if bits == 1 else 1e-5)


def test_the_search_of_the_whole_finds_the_same_where_distances_are_not_nearly_equal():
    database, queries, labels = collided()
    expected = search.search(database, queries, 200)
    np.testing.assert_array_equal(found(database, queries, [0, 7, 1000, 2000], 200)[1], expected[1])
    relevance = SharedLabels(labels, database.labels)
    np.testing.assert_array_equal(precisions(database, queries, relevance, [0, 7, 1000, 2000], 2000),
                                  metrics.average_precision(database, queries, relevance, 2000))


def test_queries_that_find_nothing_count_0_and_nobody_may_ask():
    database, queries, labels = collided()
    relevance = SharedLabels(np.zeros_like(labels), database.labels)
    assert not precisions(database, queries, relevance, [0, 500, 2000], 2000).any()
    D, I = found(database, queries[:0], [0, 500, 2000], 5)  # noqa: E741
    assert D.shape == I.shape == (0, 5)


def test_queries_of_another_length_or_not_finite_are_refused():
    database = reference_database()
    with pytest.raises(ValueError, match="shape"):
        tables(database, np.ones((2, 3), np.float32))
    with pytest.raises(UserError, match="finite"):
        tables(database, np.full((2, 144), np.nan, np.float32))
