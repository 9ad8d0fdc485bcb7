"""SPQ's distance, a sum of norms over the codebooks, and its mAP over the first ranks, against slow exact ways."""
import numpy as np
import pytest
from galleries import all_distances, ap, one_hot, random_database, shared

from gpq.utils.data.relevance import Matrix
from gpq.utils.retrieval import metrics, search
from gpq.utils.retrieval.database import Database


def spq_like(n=3000, n_queries=20, seed=0):
    """A gallery of 5 classes in which some of the class shows in the code, queries, and their labels bool [Q, 5]."""
    rng = np.random.default_rng(seed)
    labels, query_labels = rng.integers(0, 5, n), rng.integers(0, 5, n_queries)
    codebooks = rng.standard_normal((4, 8, 3)).astype(np.float32)
    codes = np.where(rng.random((n, 4)) < 0.3, labels[:, None], rng.integers(0, 8, (n, 4))).astype(np.uint8)
    queries = codebooks[:, query_labels].swapaxes(0, 1).reshape(n_queries, 12)
    queries = queries + rng.standard_normal(queries.shape).astype(np.float32)
    return Database(codes, codebooks, one_hot(labels, 5), {}, distance="norms"), queries, one_hot(query_labels, 5)


def slow_norms(database, queries):
    """float64 [Q, N], each distance by itself."""
    n_book, _, length = database.codebooks.shape
    return np.array([[sum(np.sqrt(((query[m * length:(m + 1) * length] - database.codebooks[m, code[m]]) ** 2).sum())
                          for m in range(n_book)) for code in database.codes] for query in queries.astype(float)])


@pytest.mark.parametrize("block", [1, 1000, 2**24])
def test_distances_are_sums_of_norms(monkeypatch, block):
    monkeypatch.setattr(search, "BLOCK", block)
    database, queries, _ = spq_like(300, 7)
    np.testing.assert_allclose(all_distances(database, queries), slow_norms(database, queries), rtol=1e-5)


def test_norms_rank_otherwise_than_their_squares():
    """From the query (0, 0), one code is 3 + 3 = 6 away, the other 1 + 4.5 = 5.5; of squares 18 and 21.25."""
    codebooks = np.array([[[3], [1]], [[3], [4.5]]], np.float32)
    codes, query = np.array([[0, 0], [1, 1]], np.uint8), np.zeros((1, 2), np.float32)
    distances, places = search.search(Database(codes, codebooks, None, {}, distance="norms"), query, 2)
    assert places.tolist() == [[1, 0]] and distances.tolist() == [[5.5, 6]]
    distances, places = search.search(Database(codes, codebooks, None, {}, distance="squared"), query, 2)
    assert places.tolist() == [[0, 1]] and distances.tolist() == [[18, 21.25]]


def test_a_query_at_a_codeword_is_at_no_distance_from_it():
    database = random_database(200, distance="norms")
    queries = database.codebooks[np.arange(6), database.codes].reshape(200, -1)
    assert all_distances(database, queries).min(1).tolist() == [0] * 200


def test_equal_codes_share_a_distance_to_the_bit():
    database, queries, _ = spq_like()
    _, first, inverse = np.unique(database.codes, axis=0, return_index=True, return_inverse=True)
    found = all_distances(database, queries)
    np.testing.assert_array_equal(found, found[:, first[inverse.ravel()]])
    assert len(first) < 2500


@pytest.mark.parametrize("top", [1, 10, 250, 3000, 9000])
def test_map_over_the_first_ranks_is_that_of_a_stable_sort(top):
    database, queries, labels = spq_like()
    order = np.argsort(all_distances(database, queries), axis=1, kind="stable")
    expected = [ap(database.labels[row] @ wanted, top) for row, wanted in zip(order, labels, strict=True)]
    found = metrics.average_precision(database, queries, shared(database, labels), top, ties="stable")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert metrics.mean_average_precision(database, queries, shared(database, labels), top, "stable") == found.mean()


@pytest.mark.parametrize("top", [3, 250])
def test_expectation_over_the_first_ranks_is_the_mean_of_shuffled_galleries(top):
    database, queries, labels = spq_like(n_queries=6)
    rng, wanted, runs = np.random.default_rng(1), labels @ database.labels.T, []
    distances = all_distances(database, queries)
    for _ in range(80):
        order = np.lexsort((np.broadcast_to(rng.permutation(3000), distances.shape), distances))
        runs.append([ap(row, top) for row in np.take_along_axis(wanted, order[:, :top], 1)])
    found = metrics.average_precision(database, queries, shared(database, labels), top)
    error = np.std(runs, axis=0, ddof=1) / np.sqrt(len(runs))
    assert (np.abs(found - np.mean(runs, axis=0)) <= 5 * error + 1e-12).all() and error.max() > 0


@pytest.mark.parametrize("ties", ["expected", "stable"])
def test_the_normaliser_is_what_the_first_ranks_hold(ties):
    """A perfect ranking is 1 though it holds 3 of 5, one without a hit is 0 and counts, and of two the mean is taken.

    Gallery places 0 to 9 lie ever farther from the query.
    """
    words = np.arange(1, 17, dtype=np.float32).reshape(1, 16, 1)
    database = Database(np.arange(10, dtype=np.uint8)[:, None], words, None, {}, distance="norms")
    relevance = np.zeros((3, 10), int)
    relevance[0, :5] = 1  # perfect
    relevance[1, 3:] = 1  # none among the first three
    relevance[2, [1, 7, 9]] = 1  # one hit of three, at rank 2
    queries = np.zeros((3, 1), np.float32)
    found = metrics.average_precision(database, queries, Matrix(relevance), 3, ties)
    assert found.tolist() == [1, 0, 0.5]
    assert metrics.mean_average_precision(database, queries, Matrix(relevance), 3, ties) == 0.5


def test_a_database_keeps_its_norms(tmp_path):
    database, queries, _ = spq_like(200, 3)
    database.save(tmp_path / "x.npz")
    kept = Database.load(tmp_path / "x.npz")
    assert kept.distance == "norms"
    np.testing.assert_array_equal(all_distances(kept, queries), all_distances(database, queries))


def test_norms_of_added_codewords_and_queries_of_another_length_are_refused():
    with pytest.raises(ValueError, match="not added"):
        random_database(9, distance="norms", added=True)
    with pytest.raises(ValueError, match="shape"):
        search.search(random_database(9, distance="norms"), np.ones((2, 29), np.float32), 3)
