"""Distances, likeness and draws of a batch's pairs, against loops."""
from itertools import combinations

import numpy as np
import pytest
from xla import under_xla

from gpq.model.baselines import pairs

GENERATOR = np.random.default_rng(0)
H, LABELS = GENERATOR.random((9, 4), np.float32), GENERATOR.random((9, 3)) < 0.4


def test_distances_and_who_is_alike(compute):
    distances, alike, others = compute(
        lambda h, y: (pairs.squared_distances(h), pairs.same_label(y), pairs.exclude_self(pairs.same_label(y))),
        H, LABELS)
    np.testing.assert_allclose(distances, ((H[:, None] - H) ** 2).sum(2), atol=1e-6)
    np.testing.assert_array_equal(alike, (LABELS[:, None] & LABELS).any(2))
    np.testing.assert_array_equal(others, alike & ~np.eye(9, dtype=bool))


def test_each_allowed_column_is_drawn_as_often_as_another(compute):
    allowed = np.tile([False, True, False, True, True], (1000, 1))
    found = compute(lambda x: pairs.sample_index(x, 7, "a", 3), allowed)
    assert found.shape == (1000, 3) and set(found.flat) == {1, 3, 4}
    assert all(np.bincount(draw)[[1, 3, 4]].min() > 270 for draw in found.T)
    assert all((a != b).mean() > 0.6 for a, b in combinations(found.T, 2))  # each independent of the others


def test_the_step_and_the_name_decide_a_draw(compute):
    allowed = np.ones((40, 30), bool)
    first, again, later, other = compute(
        lambda x: [pairs.sample_index(x, *by) for by in ((7, "a"), (7, "a"), (8, "a"), (7, "b"))], allowed)
    np.testing.assert_array_equal(first, again)
    assert (first != later).any() and (first != other).any()
    np.testing.assert_array_equal(first, under_xla(lambda x: pairs.sample_index(x, 7, "a"), allowed))


def test_a_triplet_is_of_two_alike_and_one_other(compute):
    """Two images of one class and one of another: nothing is left to chance. The last has no positive."""
    h = np.float32([[0, 0], [1, 0], [0, 0.5]])
    found = compute(lambda h, y: pairs.triplet(h, y, 1.0, 0), h, np.eye(2, dtype=bool)[[0, 0, 1]])
    assert found == pytest.approx(((1 + 1 - 0.25) + max(0, 1 + 1 - 1.25)) / 2)


@pytest.mark.parametrize("classes", [[0, 0, 0], [0, 1, 2]], ids=["no negatives", "no positives"])
def test_no_triplets(compute, classes):
    assert compute(lambda h, y: pairs.triplet(h, y, 1.0, 0), H[:3], np.eye(3, dtype=bool)[classes]) == 0
