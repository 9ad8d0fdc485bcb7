"""Relevance by shared labels and by a matrix give the same places."""
import numpy as np
import pytest
from galleries import one_hot
from scipy import sparse

from gpq.utils.data.relevance import Matrix, SharedLabels


def labels_of(kind, n, rng):
    """Labels bool [n, 6], one a row or any number of them."""
    return one_hot(rng.integers(0, 6, n), 6) if kind == "one" else rng.random((n, 6)) < 0.25


@pytest.mark.parametrize("of", [np.asarray, sparse.csr_matrix, sparse.coo_array], ids=lambda of: of.__name__)
@pytest.mark.parametrize("kind", ["one", "several"])
def test_labels_and_their_matrix_agree(kind, of):
    rng = np.random.default_rng(0)
    queries, gallery = labels_of(kind, 40, rng), labels_of(kind, 300, rng)
    matrix = (queries[:, None] & gallery).any(2)
    ours, theirs = SharedLabels(queries, gallery), Matrix(of(matrix))
    assert ours.shape == theirs.shape == (40, 300)
    for q, row in enumerate(matrix):
        for relevance in (ours, theirs):
            assert relevance.places(q).dtype == np.int64
            np.testing.assert_array_equal(relevance.places(q), np.flatnonzero(row))


def test_queries_of_equal_labels_share_one_list_of_places():
    relevance = SharedLabels(one_hot([2, 0, 2], 3), one_hot([0, 2, 2], 3))
    assert relevance.places(0) is relevance.places(2)


def test_a_query_without_labels_has_no_places():
    assert len(SharedLabels(np.zeros((1, 3), bool), np.ones((9, 3), bool)).places(0)) == 0


@pytest.mark.parametrize("queries, gallery", [
    (np.ones((3, 2), bool), np.ones((9, 4), bool)), (np.arange(3), np.ones((9, 4), bool)),
    (np.ones((3, 4), bool), None)], ids=["other labels", "class numbers", "no labels"])
def test_labels_that_do_not_fit_are_refused(queries, gallery):
    with pytest.raises(ValueError, match="labels"):
        SharedLabels(queries, gallery)


def test_a_matrix_is_a_matrix():
    with pytest.raises(ValueError, match="relevance"):
        Matrix(np.ones(9))
