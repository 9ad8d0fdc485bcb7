"""CNNH's first stage against the update over all pairs, and what its codes are."""
import numpy as np
import pytest

from gpq.model.fitting import similarity


def dense(labels, n_bits, seed, sweeps):
    """The same steps from S and H H^T, and the objective after each sweep."""
    s = np.where((labels[:, None] & labels).any(2), 1.0, -1.0)
    h = np.random.default_rng(seed).uniform(-1, 1, (len(labels), n_bits))
    costs = [((s - h @ h.T / n_bits) ** 2).sum()]
    for _ in range(sweeps):
        for j in range(n_bits):
            for i in range(len(h)):
                missing = h @ h[i] - n_bits * s[i]
                slope, curvature = missing @ h[:, j], h[:, j] @ h[:, j] + h[i, j] ** 2 + missing[i]
                h[i, j] += np.clip(-slope / curvature, -1 - h[i, j], 1 - h[i, j])
        costs.append(((s - h @ h.T / n_bits) ** 2).sum())
    return np.where(h >= 0, 1.0, -1.0), costs


@pytest.mark.parametrize("several", [False, True])
def test_codes_are_those_of_all_pairs(several):
    generator = np.random.default_rng(0)
    labels = np.eye(5, dtype=bool)[generator.integers(0, 5, 60)]
    if several:
        labels |= generator.random(labels.shape) < 0.2
    expected, costs = dense(labels, 8, 3, 2)
    np.testing.assert_array_equal(similarity.similarity_codes(labels, 8, 3, sweeps=2), expected)
    assert costs[2] < costs[1] < 0.6 * costs[0]


def test_a_class_has_one_code_and_no_other_class_has_it():
    labels = np.eye(10, dtype=bool)[np.arange(300) % 10]
    codes = similarity.similarity_codes(labels, 12, 0)
    assert set(np.unique(codes)) == {-1, 1}
    commonest = []
    for row in labels.T:
        found, counts = np.unique(codes[row], axis=0, return_counts=True)
        assert counts.max() >= 0.9 * row.sum()
        commonest.append(tuple(found[counts.argmax()]))
    assert len(set(commonest)) == 10


def test_few_images_do_no_harm():
    codes = similarity.similarity_codes(np.eye(3, dtype=bool), 48, 0)
    assert codes.shape == (3, 48) and set(np.unique(codes)) == {-1, 1}
