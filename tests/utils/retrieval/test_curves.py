"""Precision and recall over every order of the ties, and the AP of features that no code stands for."""
from itertools import product

import numpy as np
import pytest
from galleries import (
    all_orders,
    ap,
    collided,
    line,
    mean_of_all_orders,
    one_hot,
    shared,
    shuffled,
    small_galleries,
    without_ties,
)
from scipy import sparse

from gpq.utils.data.relevance import Matrix, SharedLabels
from gpq.utils.retrieval import metrics, search


def precision_recall(database, queries, relevance, ranks):
    return metrics.measured(database, queries, relevance, len(database.codes), ranks)[2:]


@pytest.mark.parametrize("without_hits", ["zero", "drop"])
@pytest.mark.parametrize("n_DB", [3, 700, 2000])
def test_one_pass_measures_what_several_do(n_DB, without_hits):
    database, queries, labels = collided()
    labels[3] = False
    relevance = shared(database, labels)
    found = metrics.measured(database, queries, relevance, n_DB, [1, 2000], without_hits)
    for ties in ("expected", "stable"):
        np.testing.assert_array_equal(getattr(found, ties), metrics.average_precision(
            database, queries, relevance, n_DB, ties, without_hits))


@pytest.mark.parametrize("distance", list(small_galleries()), ids=str)
def test_precision_and_recall_are_the_means_over_all_orders(distance):
    ranks = np.array([5, 1, 3, 2, 4])
    for relevant in np.array(list(product([0, 1], repeat=5)))[1:]:
        precision, recall = precision_recall(line(distance), np.ones((1, 1)), Matrix(relevant[None]), ranks)
        hits = all_orders(distance, relevant).cumsum(1)[:, ranks - 1].mean(0)
        np.testing.assert_allclose(precision, hits / ranks, rtol=1e-12)
        np.testing.assert_allclose(recall, hits / relevant.sum(), rtol=1e-12)


def test_precision_and_recall_without_ties_are_those_of_a_plain_sort():
    database, queries, labels = without_ties()
    _, order = search.search(database, queries, len(database.codes))
    right = np.array([database.labels[row] @ wanted for row, wanted in zip(order, labels, strict=True)])
    ranks = np.arange(1, len(database.codes) + 1)
    precision, recall = precision_recall(database, queries, shared(database, labels), ranks)
    np.testing.assert_allclose(precision, (right.cumsum(1) / ranks).mean(0), rtol=1e-12)
    np.testing.assert_allclose(recall, (right.cumsum(1) / right.sum(1, keepdims=True)).mean(0), rtol=1e-12)


def test_precision_and_recall_do_not_depend_on_the_gallery_order_and_take_a_matrix():
    database, queries, labels = collided()
    other, ranks = shuffled(database), [1, 30, 700]
    expected = precision_recall(database, queries, shared(database, labels), ranks)
    matrix = Matrix(sparse.csr_matrix(labels @ database.labels.T))
    np.testing.assert_allclose(precision_recall(other, queries, shared(other, labels), ranks), expected)
    np.testing.assert_allclose(precision_recall(database, queries, matrix, ranks), expected)


def test_a_query_without_any_relevant_one_lowers_precision_and_leaves_recall_alone():
    distance, ranks = np.array([0, 0, 1, 2]), [1, 2, 3, 4]
    one = precision_recall(line(distance), np.ones((1, 1)), Matrix(np.array([[1, 0, 0, 1]])), ranks)
    two = precision_recall(line(distance), np.ones((2, 1)), Matrix(np.array([[1, 0, 0, 1], [0] * 4])), ranks)
    np.testing.assert_allclose(two[0], one[0] / 2)
    np.testing.assert_allclose(two[1], one[1])


@pytest.mark.parametrize("change", [
    {"ranks": [0, 1]}, {"ranks": [2001]}, {"relevance": Matrix(np.zeros((30, 2000)))}],
    ids=["0", "2001", "none relevant"])
def test_ranks_and_relevance_that_have_no_precision_or_recall_are_refused(change):
    database, queries, labels = collided()
    arguments = {"database": database, "queries": queries, "relevance": shared(database, labels), "n_DB": 2000,
                 "ranks": [1, 2000]}
    with pytest.raises(ValueError):
        metrics.measured(**arguments | change)


@pytest.mark.parametrize("block", [search.BLOCK, 1000])
@pytest.mark.parametrize("n_DB", [1, 50, 400])
def test_unquantised_ap_is_that_of_a_sort_by_inner_product(n_DB, block, monkeypatch):
    monkeypatch.setattr(search, "BLOCK", block)
    rng = np.random.default_rng(0)
    gallery, queries = rng.standard_normal((400, 9)), rng.standard_normal((12, 9))
    labels, classes = rng.integers(0, 4, 400), rng.integers(0, 4, 12)
    order = np.argsort(-(queries @ gallery.T), axis=1)
    expected = [ap(labels[row] == c, n_DB) for row, c in zip(order, classes, strict=True)]
    queries, gallery = np.float32(queries), np.float32(gallery)
    relevance = SharedLabels(one_hot(classes, 4), one_hot(labels, 4))
    found = metrics.unquantised_average_precision(queries, gallery, relevance, n_DB)
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # float32 may swap two neighbours


def test_unquantised_ap_sees_equal_features_and_dead_ones_as_ties():
    gallery = np.array([[1, 0], [1, 0], [0, 0], [0, 5], [-1, 0]], np.float32)  # two at product 2, two at 0
    labels = np.array([0, 1, 1, 0, 0])
    found = metrics.unquantised_average_precision(np.float32([[2, 0]]), gallery, Matrix(labels[None]), 5)
    np.testing.assert_allclose(found, mean_of_all_orders(np.array([0, 0, 1, 1, 2]), labels, 5))


def test_unquantised_ap_of_labels_that_do_not_fit_is_refused():
    features = np.eye(4, dtype=np.float32)
    for shape in ((3, 4), (4, 5)):
        with pytest.raises(ValueError):
            metrics.unquantised_average_precision(features, features, Matrix(np.ones(shape)), 4)
