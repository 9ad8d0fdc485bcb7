"""SSDH's losses against numpy, written the long way, where nothing is left to chance."""
import numpy as np
import pytest

from gpq.model.baselines import ssdh
from gpq.model.tf1 import tf


def test_far_ranks_and_margin():
    """Those of the release at its batch of 128, and the same shares of another."""
    assert ssdh.far_ranks(128, 12) == (120, 123) and ssdh.far_ranks(128, 48) == (114, 123)
    assert ssdh.far_ranks(1000, 12) == (937, 967) and ssdh.far_ranks(1000, 24) == (890, 967)
    assert (ssdh.far_margin(12), ssdh.far_margin(24)) == (2.5, 3.0)
    for n in range(2, 40):
        first, last = ssdh.far_ranks(n, 48)
        assert 0 < first <= last < n


def test_contrastive(compute):
    found = compute(lambda near, far: ssdh.contrastive(near, far, 3.0), np.float32([1, 2]), np.float32([4, 16]))
    np.testing.assert_allclose(found, [1 + 1, 2 + 0])
    slope = compute(lambda far: tf.gradients(ssdh.contrastive(0 * far, far, 3.0), far)[0], np.float32([0, 4]))
    assert np.isfinite(slope).all() and slope[1] == pytest.approx(-2 * 1 / 4)


def test_neighbours_are_of_the_ranks_that_count(compute):
    """Images whose bits have the distance 0 where near, 1 where far, and a distance that would tell elsewhere."""
    graph = np.random.default_rng(0).random((128, 128)).astype(np.float32)
    ranks = graph.argsort(1).argsort(1)
    for n_bits, first, margin in ((12, 120, 2.5), (48, 114, 3.0)):
        distances = np.select([ranks < 8, (ranks >= first) & (ranks <= 123)], [0, 1], 1e6).astype(np.float32)
        found = compute(lambda d, g, b=n_bits: ssdh.neighbours(d, g, 3, b), distances, graph)
        assert found == pytest.approx(0.5 * (margin - 1) ** 2, rel=1e-3)


def test_no_gradient_through_the_graph(compute):
    graph = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    with tf.Graph().as_default():
        distances = tf.constant(graph)
        loss = ssdh.neighbours(tf.constant(graph), distances, 0, 12)
        assert tf.gradients(loss, distances) == [None]


def test_pseudo_labels(compute):
    """Two labelled images, of the classes 0 and 2, and two unlabelled: one of 0 whose least likely class is 2, and one
    of 1, which no other image has, so that it does not count."""
    logits = np.float32([[0, 0, 0], [0, 0, 0], [3, 1, -2], [0, 2, -1]])
    distances = np.float32([[0, 0, 0, 0], [0, 0, 0, 0], [0.5, 4, 0, 9], [1, 1, 1, 0]])
    labels = np.eye(3, dtype=bool)[[0, 2]]
    found = compute(lambda d, y, z: ssdh.pseudo_labelled(d, y, z, 1, 48), distances, labels, logits)
    assert found == pytest.approx(0.5 * (0.5 + (3 - 2) ** 2), rel=1e-5)
