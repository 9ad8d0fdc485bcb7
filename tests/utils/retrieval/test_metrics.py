"""The closed form against every order of the ties; the release's figure; independence of the sort."""
from itertools import product

import numpy as np
import pytest
from galleries import (
    REFERENCE,
    ap,
    collided,
    line,
    mean_of_all_orders,
    reference_database,
    shared,
    shuffled,
    small_galleries,
    without_ties,
)
from scipy import sparse

from gpq.utils.data.relevance import Matrix, SharedLabels
from gpq.utils.retrieval import metrics, search


def slow_stable(database, queries, labels, n_DB):
    """AP of each query over a stable argsort of the distances."""
    found, ids = search.search(database, queries, len(database.codes))
    distance = np.empty_like(found)
    np.put_along_axis(distance, ids, found, 1)
    order = np.argsort(distance, axis=1, kind="stable")
    return [ap(database.labels[o] @ wanted, n_DB) for o, wanted in zip(order, labels, strict=True)]


@pytest.mark.parametrize("distance", list(small_galleries()), ids=str)
def test_expectation_is_the_mean_over_all_orders(distance):
    relevance = np.array(list(product([0, 1], repeat=5)))
    for n_DB in (1, 2, 3, 4, 5, 9):
        found = metrics.average_precision(line(distance), np.ones((32, 1)), Matrix(relevance), n_DB)
        expected = [mean_of_all_orders(distance, row, n_DB) for row in relevance]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_expectation_in_larger_groups_in_any_gallery_order():
    rng = np.random.default_rng(0)
    for _ in range(12):
        distance = rng.permutation(np.repeat([3, 5, 8], [2, 6, 1]))
        relevant = rng.integers(0, 2, 9)
        for n_DB in (2, 4, 7, 8, 9):
            found = metrics.average_precision(line(distance), np.ones((1, 1)), Matrix(relevant[None]), n_DB)
            np.testing.assert_allclose(found, mean_of_all_orders(distance, relevant, n_DB), rtol=1e-12)


@pytest.mark.parametrize("n_DB", [100, 700, 2000])
def test_expectation_is_the_mean_of_many_shuffles(n_DB):
    database, queries, labels = collided()
    runs = []
    for seed in range(60):
        other = shuffled(database, seed)
        runs.append(metrics.average_precision(other, queries, shared(other, labels), n_DB, ties="stable"))
    error = np.std(runs, axis=0, ddof=1) / np.sqrt(len(runs))
    found = metrics.average_precision(database, queries, shared(database, labels), n_DB)
    assert (np.abs(found - np.mean(runs, axis=0)) < 5 * error).all()


@pytest.mark.parametrize("n_DB", [100, 2000])
def test_expectation_does_not_depend_on_the_gallery_order_and_the_stable_one_does(n_DB):
    database, queries, labels = collided()
    for ties, same in (("expected", True), ("stable", False)):
        one, other = (metrics.mean_average_precision(gallery, queries, shared(gallery, labels), n_DB, ties)
                      for gallery in (database, shuffled(database)))
        assert (one == other) == same


@pytest.mark.parametrize("n_DB", [1, 100, 2000, 5000])
def test_stable_is_a_stable_argsort(n_DB):
    database, queries, labels = collided()
    found = metrics.average_precision(database, queries, shared(database, labels), n_DB, ties="stable")
    np.testing.assert_allclose(found, slow_stable(database, queries, labels, n_DB), rtol=1e-12)


@pytest.mark.parametrize("n_DB", [100, 2000])
def test_without_ties_both_ways_agree(n_DB):
    database, queries, labels = without_ties()
    exact, stable = (metrics.average_precision(database, queries, shared(database, labels), n_DB, ties)
                     for ties in ("expected", "stable"))
    np.testing.assert_allclose(exact, stable, rtol=1e-9)


@pytest.mark.parametrize("ties", ["expected", "stable"])
def test_map_of_the_release(ties):
    queries, similarity = REFERENCE["feature_raw"][:16], Matrix(REFERENCE["sim_q16_g64"])
    found = metrics.mean_average_precision(reference_database(), queries, similarity, 64, ties)
    assert found == pytest.approx(float(REFERENCE["mAP_q16_g64"]), abs=1e-12)


@pytest.mark.parametrize("ties", ["expected", "stable"])
def test_labels_and_matrices_of_relevance_agree(ties):
    database, queries, labels = collided()
    matrix = labels @ database.labels.T
    stored_zeros = sparse.coo_matrix(np.ones_like(matrix, np.float64))
    stored_zeros.data = matrix[stored_zeros.row, stored_zeros.col].astype(np.float64)
    same = [shared(database, labels)]
    same += map(Matrix, (matrix, matrix.astype(np.uint8), sparse.csc_matrix(matrix), stored_zeros))
    results = [metrics.average_precision(database, queries, relevance, 700, ties) for relevance in same]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert metrics.mean_average_precision(database, queries, same[1], 700, ties) == results[0].mean()


@pytest.mark.parametrize("ties", ["expected", "stable"])
def test_pictures_of_several_labels_are_relevant_where_one_is_shared(ties):
    database, queries, _ = collided()
    rng = np.random.default_rng(2)
    few, many = rng.random((30, 7)) < 0.3, rng.random((2000, 7)) < 0.2
    matrix = np.array([[(one & other).any() for other in many] for one in few])
    by_labels, by_matrix = (metrics.average_precision(database, queries, relevance, 700, ties)
                            for relevance in (SharedLabels(few, many), Matrix(matrix)))
    np.testing.assert_array_equal(by_labels, by_matrix)
    assert 0.1 < matrix.mean() < 0.9


@pytest.mark.parametrize("ties", ["expected", "stable"])
def test_a_query_without_any_relevant_one_counts_nothing(ties):
    database, queries, labels = collided()
    labels[3] = False
    found = metrics.average_precision(database, queries, shared(database, labels), 2000, ties)
    assert found[3] == 0 and (np.delete(found, 3) > 0).all()


@pytest.mark.parametrize("change", [
    {"n_DB": 0}, {"ties": "random"}, {"relevance": shared(collided()[0], np.ones((29, 5), bool))},
    {"relevance": Matrix(np.ones((30, 1999)))}], ids=lambda change: next(iter(change)))
def test_arguments_that_do_not_fit_are_refused(change):
    database, queries, labels = collided()
    arguments = {"database": database, "queries": queries, "relevance": shared(database, labels), "n_DB": 2000} | change
    with pytest.raises(ValueError):
        metrics.average_precision(**arguments)


def test_ascending_is_a_stable_argsort():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(4000).astype(np.float32).round(2)
    values[:8] = [0, -0.0, 0, 3e38, -3e38, 1e-45, -1e-45, -0.0]
    order, rises = metrics.ascending(values)
    np.testing.assert_array_equal(order, np.argsort(values, kind="stable"))
    np.testing.assert_array_equal(rises, np.diff(values[order]) > 0)
