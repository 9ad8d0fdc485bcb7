"""Distances in blocks are those of slow exact ways, and the search by them is a stable sort."""
from dataclasses import replace

import numpy as np
import pytest
from galleries import REFERENCE, all_distances, random_database, reference_database, table_distances

from gpq.utils.errors import UserError
from gpq.utils.retrieval import metrics, search


def some_queries(length=30):
    return np.random.default_rng(1).standard_normal((7, length), np.float32)


def plain_search(database, queries, n):
    """`search` by a stable sort of the whole gallery."""
    distances = all_distances(database, queries)
    order = np.argsort(distances, axis=1, kind="stable")[:, :n]
    return np.take_along_axis(distances, order, 1), order


def test_distances_of_the_release():
    found = all_distances(reference_database(), REFERENCE["feature_raw"][:16])
    np.testing.assert_allclose(found, REFERENCE["pqDist_q16_g64"], atol=2e-5)


def test_ranking_of_the_release():
    D, ids = search.search(reference_database(), REFERENCE["feature_raw"][:16], 64)
    rank = REFERENCE["rank_q16_g64"].T
    theirs = np.take_along_axis(REFERENCE["pqDist_q16_g64"], rank.astype(int), 1)
    np.testing.assert_allclose(D, theirs, atol=2e-5)
    np.testing.assert_array_equal(REFERENCE["codes"][ids], REFERENCE["codes"][rank])  # or equals


@pytest.mark.parametrize("block", [1, 1000, 2**24])
def test_distances_are_those_of_a_look_up_table(monkeypatch, block):
    monkeypatch.setattr(search, "BLOCK", block)
    database = random_database(3000)
    expected = table_distances(database, some_queries())
    np.testing.assert_allclose(all_distances(database, some_queries()), expected, atol=1e-5)


@pytest.mark.parametrize("distance", ["inner", "squared"])
@pytest.mark.parametrize("added", [False, True], ids=["joined", "added"])
def test_distances_are_those_to_reconstructions_made_one_by_one(monkeypatch, distance, added):
    monkeypatch.setattr(search, "BLOCK", 1000)
    database = random_database(400, n_book=3, bits=4, distance=distance, added=added)
    queries = some_queries(5 if added else 15)
    for n, code in enumerate(database.codes):
        words = [book[word].astype(float) for book, word in zip(database.codebooks, code, strict=True)]
        vector = np.sum(words, axis=0) if added else np.concatenate(words)
        expected = ((queries - vector) ** 2).sum(1) if distance == "squared" else 3 - queries @ vector
        np.testing.assert_allclose(all_distances(database, queries)[:, n], expected, atol=1e-4)


def test_a_squared_distance_is_never_negative():
    database = random_database(500, distance="squared")
    found = all_distances(database, database.gallery.vectors * 100)
    itself = all_distances(database, database.gallery.vectors).min(1)
    assert found.min() >= 0 and 0 <= itself.min() and itself.max() < 1e-4


@pytest.mark.parametrize("block", [1, 1000, 2**24])
def test_blocks_hold_every_query_once_and_no_more_distances_than_they_may(monkeypatch, block):
    monkeypatch.setattr(search, "BLOCK", block)
    gallery = random_database(300).gallery
    parts = list(search.blocks(some_queries(), gallery))
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in parts]), np.arange(7))
    assert all(distances.size <= max(block, len(gallery.vectors)) for _, distances in parts)


def test_work_in_threads_comes_back_in_the_order_of_the_queries(monkeypatch):
    monkeypatch.setattr(search, "BLOCK", 1000)
    parts = search.in_threads(lambda rows, distances: rows, search.blocks(some_queries(), random_database(300).gallery))
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(7))


@pytest.mark.parametrize("n", [1, 15, 500, 2999])
@pytest.mark.parametrize("distance", search.DISTANCES)
def test_search_orders_equal_distances_as_the_gallery(n, distance):
    database = random_database(3000, distance=distance)
    D, ids = search.search(database, some_queries(), n)
    assert n == 1 or np.unique(D[0]).size < 0.9 * n  # there are ties
    expected, order = plain_search(database, some_queries(), n)
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_array_equal(D, expected)


def test_search_among_100_000_codes_is_a_stable_sort_of_them_all():
    database = random_database(100_000, bits=3)
    D, ids = search.search(database, some_queries(), 100)
    assert np.unique(D[0]).size < 100
    expected, order = plain_search(database, some_queries(), 100)
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_array_equal(D, expected)


@pytest.mark.parametrize("n", [1, 7, 400])
@pytest.mark.parametrize("n_book", [2, 9], ids=["many pictures a code", "hardly two alike"])
def test_search_tile_by_tile_is_a_stable_sort_of_all(monkeypatch, n, n_book):
    monkeypatch.setattr(search, "BLOCK", 3 * 64)
    monkeypatch.setattr(search, "TILE", 64)
    whole = random_database(2000, n_book, bits=3)
    database = replace(whole, codebooks=np.round(2 * whole.codebooks))  # whole numbers: exact however they are added
    queries = np.round(some_queries(5 * n_book))
    D, ids = search.search(database, queries, n)
    expected, order = plain_search(database, queries, n)
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_array_equal(D, expected)


def test_search_returns_a_small_gallery_whole():
    D, ids = search.search(random_database(9), np.ones((2, 30), np.float32), 15)
    assert D.shape == ids.shape == (2, 9)
    assert sorted(ids[0]) == list(range(9))


def test_search_for_nobody_finds_nothing():
    D, ids = search.search(random_database(9), np.empty((0, 30), np.float32), 5)
    assert D.shape == ids.shape == (0, 5)


def test_distinct_codes_give_the_gallery_back():
    codes = random_database(3000).codes[:, ::-1]  # not contiguous
    few, inverse, counts, pictures = search.distinct(codes)
    np.testing.assert_array_equal(few[inverse], codes)
    np.testing.assert_array_equal(counts, np.bincount(inverse))
    np.testing.assert_array_equal(pictures, np.argsort(inverse, kind="stable"))
    assert len(np.unique(few, axis=0)) == len(few) < len(codes)


def test_distinct_codes_are_looked_for_once():
    database = random_database(9)
    assert database.gallery is database.gallery


@pytest.mark.parametrize("queries", [np.ones((2, 29), np.float32), np.ones(30, np.float32)])
def test_queries_of_another_length_are_refused(queries):
    with pytest.raises(ValueError, match="shape"):
        search.search(random_database(9), queries, 3)


def test_numbers_of_a_broken_checkpoint_are_refused():
    with pytest.raises(UserError, match="finite"):
        search.search(random_database(9), np.full((2, 30), np.nan, np.float32), 3)
    broken = random_database(9)
    broken.codebooks[1, 2, 0] = np.inf
    with pytest.raises(UserError, match="finite"):
        search.search(broken, np.ones((2, 30), np.float32), 3)
    with pytest.raises(UserError, match="finite"):
        metrics.unquantised_average_precision(np.ones((1, 2)), np.full((3, 2), np.nan), np.ones((1, 3), bool), 3)


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(KeyError):
        search.in_threads(lambda rows, distances: {}[0], search.blocks(some_queries(), random_database(9).gallery))
