"""BGDH's graph and losses against numpy, written the long way."""
import numpy as np
import pytest

from gpq.model.baselines import bgdh
from gpq.model.tf1 import tf

GENERATOR = np.random.default_rng(0)


def softplus(x):
    return np.log1p(np.exp(x))


def test_walks_against_counted_ones(compute):
    """From each image every way to a landmark and back, as likely as another."""
    x, n_landmarks, n_neighbours = GENERATOR.normal(size=(9, 5)).astype(np.float32), 4, 2
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    nearest = np.argsort(-unit @ unit[:n_landmarks].T, axis=1)[:, :n_neighbours]
    expected = np.zeros((9, 9))
    for image in range(9):
        for landmark in nearest[image]:
            at = [other for other in range(9) if landmark in nearest[other]]
            for other in at:
                expected[image, other] += 1 / n_neighbours / len(at)
    found = compute(lambda x: bgdh.walks(x, n_landmarks, n_neighbours), x)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def test_walks_stay_among_images_that_are_alike_and_move_none(compute):
    x = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0) + 0.01 * GENERATOR.normal(size=(12, 3)).astype(np.float32)
    order = np.argsort(np.arange(12) % 4, kind="stable")  # the landmarks are of all three clouds
    found = compute(lambda x: bgdh.walks(x, 6, 2), x[order])
    cloud = order // 4
    assert found[cloud[:, None] != cloud].max() == 0
    with tf.Graph().as_default():
        x = tf.constant(x)
        assert tf.gradients(bgdh.walks(x, 6, 2), x) == [None]


def test_context_loss_is_what_sampling_gives_on_average(compute):
    """A context and five others drawn by the same probabilities, many times."""
    products = GENERATOR.normal(size=(2, 4)).astype(np.float32)
    positive, negative = np.float32([[0.5, 0.5, 0, 0], [0, 0, 1, 0]]), np.float32([[0, 0, 0.3, 0.7], [0.5, 0.5, 0, 0]])
    draws = []
    for row in range(2):
        one = GENERATOR.choice(4, 20000, p=positive[row])
        five = GENERATOR.choice(4, (20000, 5), p=negative[row].astype(float) / negative[row].astype(float).sum())
        draws.append((softplus(-products[row, one]) + softplus(products[row, five]).sum(1)).mean())
    found = compute(bgdh.context_loss, products, positive, negative)
    assert found == pytest.approx(np.mean(draws), rel=0.01)


def test_shares(compute):
    found = compute(bgdh.shares, np.array([[True, False, True], [False, False, False]]))
    np.testing.assert_array_equal(found, [[0.5, 0, 0.5], [0, 0, 0]])


def test_pairwise(compute):
    """DPSH's likelihood, pair by pair; codes far from zero overflow nothing."""
    u, labels = GENERATOR.normal(size=(5, 8)).astype(np.float32), GENERATOR.random((5, 3)) < 0.5
    terms = [softplus(u[i] @ u[j] / 2) - (labels[i] & labels[j]).any() * (u[i] @ u[j] / 2)
             for i in range(5) for j in range(5) if i != j]
    assert compute(bgdh.pairwise, u, labels) == pytest.approx(np.mean(terms), rel=1e-5)
    assert np.isfinite(compute(bgdh.pairwise, 100 * u, labels))
