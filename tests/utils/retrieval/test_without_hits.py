"""Queries that find nothing: counted 0 or left out, against every order of the ties."""
from itertools import product

import numpy as np
import pytest
from galleries import all_orders, ap, line, small_galleries

from gpq.utils.data.relevance import Matrix, SharedLabels
from gpq.utils.retrieval import metrics


@pytest.mark.parametrize("distance", list(small_galleries()), ids=str)
def test_dropped_is_the_mean_over_the_orders_with_a_hit(distance):
    relevance = np.array(list(product([0, 1], repeat=5)))
    for n_DB in (1, 2, 4, 9):
        found = metrics.average_precision(line(distance), np.ones((32, 1)), Matrix(relevance), n_DB,
                                          without_hits="drop")
        expected = []
        for row in relevance:
            orders = [order for order in all_orders(np.asarray(distance), row) if order[:n_DB].any()]
            expected.append(np.mean([ap(order, n_DB) for order in orders]) if orders else np.nan)
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_mean_is_over_those_that_count():
    # An order without ties; the second query finds its only relevant one behind the cut, the third has none.
    relevance = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    for ties, (without, mean) in product(("expected", "stable"), (("zero", 5 / 18), ("drop", 5 / 6))):
        found = metrics.mean_average_precision(line([1, 2, 3, 4]), np.ones((3, 1)), Matrix(relevance), 3, ties, without)
        assert found == pytest.approx(mean)
    assert metrics.mean(np.array([np.nan, np.nan])) == 0


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="without_hits is 'skip'"):
        metrics.average_precision(line([1]), np.ones((1, 1)), Matrix(np.ones((1, 1))), 1, without_hits="skip")


def test_a_shared_label_is_enough():
    shared = SharedLabels(np.array([[1, 1, 0], [0, 0, 0]]), np.array([[0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 0, 0]]))
    assert [shared.places(q).tolist() for q in range(2)] == [[0, 2], []]
