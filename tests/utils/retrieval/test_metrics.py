"""The closed form against every order of the ties; the release's figure; independence of the sort."""
from itertools import permutations, product

import numpy as np
import pytest
from conftest import DATA
from scipy import sparse

from utils.retrieval import metrics, search
from utils.retrieval.database import Database

REFERENCE = np.load(DATA / "reference_retrieval.npz")


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
    """A gallery sorted by class in which about 16 pictures share a code, and labelled queries."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, 5, n))
    codes = rng.integers(0, 5, (n, 3), dtype=np.uint8)
    codes[:, 0] = np.where(rng.random(n) < 0.3, labels, codes[:, 0])  # some of the class shows in the code
    codebooks = rng.standard_normal((3, 8, 4), np.float32)
    query_labels = rng.integers(0, 5, n_queries)
    queries = np.tile(codebooks[0, query_labels], 3) + rng.standard_normal((n_queries, 12), np.float32)
    return Database(codes, codebooks, labels, {}), queries, query_labels


def without_ties():
    """A gallery of about 2,000 codes that all differ, and 10 queries of its 10 classes."""
    rng = np.random.default_rng(0)
    codes = np.unique(rng.integers(0, 16, (2000, 12), dtype=np.uint8), axis=0)
    labels = rng.integers(0, 10, len(codes))
    database = Database(codes, rng.standard_normal((12, 16, 2)).astype(np.float32), labels, {})
    return database, rng.standard_normal((10, 24), np.float32), np.arange(10)


def slow_stable(database, queries, query_labels, n_DB):
    """AP of each query over a stable argsort of the distances."""
    found, ids = search.search(database, queries, len(database.codes))
    distance = np.empty_like(found)
    np.put_along_axis(distance, ids, found, 1)
    order = np.argsort(distance, axis=1, kind="stable")
    return [ap(database.labels[o] == c, n_DB) for o, c in zip(order, query_labels, strict=True)]


def small_galleries():
    """Every gallery of 5 in order, with 1 to 5 different distances."""
    for steps in product([0, 1], repeat=4):
        yield np.cumsum([0, *steps])


@pytest.mark.parametrize("distance", list(small_galleries()), ids=str)
def test_expectation_is_the_mean_over_all_orders(distance):
    relevance = np.array(list(product([0, 1], repeat=5)))
    for n_DB in (1, 2, 3, 4, 5, 9):
        found = metrics.average_precision(line(distance), np.ones((32, 1)), relevance, n_DB)
        expected = [mean_of_all_orders(distance, row, n_DB) for row in relevance]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_expectation_in_larger_groups_in_any_gallery_order():
    rng = np.random.default_rng(0)
    for _ in range(12):
        distance = rng.permutation(np.repeat([3, 5, 8], [2, 6, 1]))
        relevant = rng.integers(0, 2, 9)
        for n_DB in (2, 4, 7, 8, 9):
            found = metrics.average_precision(line(distance), np.ones((1, 1)), relevant[None], n_DB)
            np.testing.assert_allclose(found, mean_of_all_orders(distance, relevant, n_DB), rtol=1e-12)


@pytest.mark.parametrize("n_DB", [100, 700, 2000])
def test_expectation_is_the_mean_of_many_shuffles(n_DB):
    database, queries, classes = collided()
    rng = np.random.default_rng(1)
    runs = []
    for _ in range(60):
        order = rng.permutation(2000)
        shuffled = database._replace(codes=database.codes[order], labels=database.labels[order])
        runs.append(metrics.average_precision(shuffled, queries, classes, n_DB, ties="stable"))
    error = np.std(runs, axis=0, ddof=1) / np.sqrt(len(runs))
    found = metrics.average_precision(database, queries, classes, n_DB)
    assert (np.abs(found - np.mean(runs, axis=0)) < 5 * error).all()


@pytest.mark.parametrize("n_DB", [100, 2000])
def test_expectation_does_not_depend_on_the_gallery_order_and_the_stable_one_does(n_DB):
    database, queries, classes = collided()
    order = np.random.default_rng(1).permutation(2000)
    shuffled = database._replace(codes=database.codes[order], labels=database.labels[order])
    for ties, same in (("expected", True), ("stable", False)):
        one, other = (metrics.mean_average_precision(gallery, queries, classes, n_DB, ties)
                      for gallery in (database, shuffled))
        assert (one == other) == same


@pytest.mark.parametrize("n_DB", [1, 100, 2000, 5000])
def test_stable_is_a_stable_argsort(n_DB):
    database, queries, classes = collided()
    found = metrics.average_precision(database, queries, classes, n_DB, ties="stable")
    np.testing.assert_allclose(found, slow_stable(database, queries, classes, n_DB), rtol=1e-12)


@pytest.mark.parametrize("n_DB", [100, 2000])
def test_without_ties_both_ways_agree(n_DB):
    exact, stable = (metrics.average_precision(*without_ties(), n_DB, ties)
                     for ties in ("expected", "stable"))
    np.testing.assert_allclose(exact, stable, rtol=1e-9)


@pytest.mark.parametrize("ties", ["expected", "stable"])
def test_map_of_the_release(ties):
    Z, codes = REFERENCE["Z"], REFERENCE["codes"]
    codebooks = Z.reshape(len(Z), codes.shape[1], -1).swapaxes(0, 1)
    database = Database(codes, codebooks, REFERENCE["test_labels"], {})
    queries, similarity = REFERENCE["feature_raw"][:16], REFERENCE["sim_q16_g64"]
    found = metrics.mean_average_precision(database, queries, similarity, 64, ties)
    assert found == pytest.approx(float(REFERENCE["mAP_q16_g64"]), abs=1e-12)


@pytest.mark.parametrize("ties", ["expected", "stable"])
def test_classes_and_matrices_of_relevance_agree(ties):
    database, queries, classes = collided()
    matrix = classes[:, None] == database.labels
    stored_zeros = sparse.coo_matrix(np.ones_like(matrix, np.float64))
    stored_zeros.data = matrix[stored_zeros.row, stored_zeros.col].astype(np.float64)
    same = classes, matrix, matrix.astype(np.uint8), sparse.csc_matrix(matrix), stored_zeros
    results = [metrics.average_precision(database, queries, relevance, 700, ties) for relevance in same]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert metrics.mean_average_precision(database, queries, matrix, 700, ties) == results[0].mean()


@pytest.mark.parametrize("ties", ["expected", "stable"])
def test_a_query_without_any_relevant_one_counts_nothing(ties):
    database, queries, classes = collided()
    classes[3] = 77
    found = metrics.average_precision(database, queries, classes, 2000, ties)
    assert found[3] == 0 and (np.delete(found, 3) > 0).all()


@pytest.mark.parametrize("change", [
    {"n_DB": 0}, {"ties": "random"}, {"relevance": np.ones(29, int)}, {"relevance": np.ones((30, 1999))},
    {"database": collided()[0]._replace(labels=None)}], ids=lambda change: next(iter(change)))
def test_arguments_that_do_not_fit_are_refused(change):
    database, queries, classes = collided()
    arguments = {"database": database, "queries": queries, "relevance": classes, "n_DB": 2000} | change
    with pytest.raises(ValueError):
        metrics.average_precision(**arguments)


@pytest.mark.parametrize("distance", list(small_galleries()), ids=str)
def test_precision_and_recall_are_the_means_over_all_orders(distance):
    ranks = np.array([5, 1, 3, 2, 4])
    for relevant in np.array(list(product([0, 1], repeat=5)))[1:]:
        precision, recall = metrics.precision_recall(line(distance), np.ones((1, 1)), relevant[None], ranks)
        hits = all_orders(distance, relevant).cumsum(1)[:, ranks - 1].mean(0)
        np.testing.assert_allclose(precision, hits / ranks, rtol=1e-12)
        np.testing.assert_allclose(recall, hits / relevant.sum(), rtol=1e-12)


def test_precision_and_recall_without_ties_are_those_of_a_plain_sort():
    database, queries, classes = without_ties()
    _, order = search.search(database, queries, len(database.codes))
    right = database.labels[order] == classes[:, None]
    ranks = np.arange(1, len(database.codes) + 1)
    precision, recall = metrics.precision_recall(database, queries, classes, ranks)
    np.testing.assert_allclose(precision, (right.cumsum(1) / ranks).mean(0), rtol=1e-12)
    np.testing.assert_allclose(recall, (right.cumsum(1) / right.sum(1, keepdims=True)).mean(0), rtol=1e-12)


def test_precision_and_recall_do_not_depend_on_the_gallery_order_and_take_a_matrix():
    database, queries, classes = collided()
    order = np.random.default_rng(1).permutation(2000)
    shuffled = database._replace(codes=database.codes[order], labels=database.labels[order])
    expected = metrics.precision_recall(database, queries, classes, [1, 30, 700])
    matrix = sparse.csr_matrix(classes[:, None] == database.labels)
    np.testing.assert_allclose(metrics.precision_recall(shuffled, queries, classes, [1, 30, 700]), expected)
    np.testing.assert_allclose(metrics.precision_recall(database, queries, matrix, [1, 30, 700]), expected)


def test_a_query_without_any_relevant_one_lowers_precision_and_leaves_recall_alone():
    distance, ranks = np.array([0, 0, 1, 2]), [1, 2, 3, 4]
    one = metrics.precision_recall(line(distance), np.ones((1, 1)), np.array([[1, 0, 0, 1]]), ranks)
    two = metrics.precision_recall(line(distance), np.ones((2, 1)), np.array([[1, 0, 0, 1], [0] * 4]), ranks)
    np.testing.assert_allclose(two[0], one[0] / 2)
    np.testing.assert_allclose(two[1], one[1])


@pytest.mark.parametrize("change", [
    {"ranks": [0, 1]}, {"ranks": [2001]}, {"relevance": np.zeros((30, 2000))}],
    ids=["0", "2001", "none relevant"])
def test_ranks_and_relevance_that_have_no_precision_or_recall_are_refused(change):
    database, queries, classes = collided()
    arguments = {"database": database, "queries": queries, "relevance": classes, "ranks": [1, 2000]} | change
    with pytest.raises(ValueError):
        metrics.precision_recall(**arguments)


@pytest.mark.parametrize("block", [search.BLOCK, 1000])
@pytest.mark.parametrize("n_DB", [1, 50, 400])
def test_unquantised_ap_is_that_of_a_sort_by_cosine(n_DB, block, monkeypatch):
    monkeypatch.setattr(search, "BLOCK", block)
    rng = np.random.default_rng(0)
    gallery, queries = rng.standard_normal((400, 9)), rng.standard_normal((12, 9))
    labels, classes = rng.integers(0, 4, 400), rng.integers(0, 4, 12)
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(gallery, axis=1)
    order = np.argsort(-(queries @ gallery.T) / lengths, axis=1)
    expected = [ap(labels[row] == c, n_DB) for row, c in zip(order, classes, strict=True)]
    queries, gallery = np.float32(queries), np.float32(gallery)
    found = metrics.unquantised_average_precision(queries, gallery, classes, labels, n_DB)
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # float32 may swap two neighbours


def test_unquantised_ap_sees_equal_features_and_dead_ones_as_ties():
    gallery = np.array([[3, 0], [1, 0], [0, 0], [0, 5], [-1, 0]], np.float32)  # two at cosine 1, two at 0
    labels = np.array([0, 1, 1, 0, 0])
    found = metrics.unquantised_average_precision(np.float32([[2, 0]]), gallery, [1], labels, 5)
    np.testing.assert_allclose(found, mean_of_all_orders(np.array([0, 0, 1, 1, 2]), labels, 5))


def test_unquantised_ap_of_labels_that_do_not_fit_is_refused():
    features = np.eye(4, dtype=np.float32)
    for query_labels, gallery_labels in (([0] * 3, [0] * 4), ([0] * 4, [0] * 5)):
        with pytest.raises(ValueError):
            metrics.unquantised_average_precision(features, features, query_labels, gallery_labels, 4)
