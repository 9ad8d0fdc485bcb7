"""Figures of separation on clusters known to be apart or mixed, and t-SNE that repeats itself."""
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gpq.utils.paper import tsne

CLASSES = 5


def clusters(n=300, spread=0.1, seed=0):
    """Features [n, 12] of 5 classes, each about its own direction and of any length; and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    features = np.eye(CLASSES, 12)[labels] + spread * rng.standard_normal((n, 12))
    return features * rng.uniform(0.1, 10, (n, 1)), labels


def slow_separation(features, labels, k):
    """Both figures as their definitions read, one feature after another."""
    distance = cdist(features, features, "cosine")
    widths, agreements = [], []
    for i, row in enumerate(distance):
        others = np.arange(len(labels)) != i
        own = row[others & (labels == labels[i])].mean()
        next_class = min(row[labels == c].mean() for c in set(labels) - {labels[i]})
        widths.append((next_class - own) / max(next_class, own))
        nearest = [j for j in np.argsort(row) if j != i][:k]
        agreements.append(np.mean(labels[nearest] == labels[i]))
    return np.mean(widths), np.mean(agreements)


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_separation_is_what_its_definitions_say(spread):
    features, labels = clusters(spread=spread)
    found = tsne.separation(features, labels, seed=0)
    np.testing.assert_allclose(found, slow_separation(features, labels, tsne.NEIGHBOURS), atol=1e-5)


def test_clusters_apart_score_near_one_and_shuffled_classes_near_chance():
    features, labels = clusters(1000, spread=0.02)
    apart = tsne.separation(features, labels, seed=0)
    assert apart.silhouette > 0.95 and apart.neighbour_agreement == 1
    shuffled = np.random.default_rng(1).permutation(labels)
    mixed = tsne.separation(features, shuffled, seed=0)
    assert abs(mixed.silhouette) < 0.05 and abs(mixed.neighbour_agreement - 1 / CLASSES) < 0.03


def test_a_large_set_is_compared_by_a_sample_that_the_seed_fixes(monkeypatch):
    features, labels = clusters(400, spread=0.4)
    whole = tsne.separation(features, labels, seed=0)
    monkeypatch.setattr(tsne, "SAMPLE", 200)
    one, again, other = (tsne.separation(features, labels, seed) for seed in (0, 0, 1))
    assert one == again and len({one.silhouette, other.silhouette, whole.silhouette}) == 3
    assert one.silhouette == pytest.approx(whole.silhouette, abs=0.1)
    assert one.neighbour_agreement == whole.neighbour_agreement  # of all features, sample or not


@pytest.mark.parametrize("features, labels", [
    (np.eye(10), np.arange(10) % 2), (np.eye(30), np.zeros(30, int)), (np.eye(30), np.arange(30)),
    (np.full((30, 4), np.nan), np.arange(30) % 2)], ids=["too few", "one class", "a class each", "nan"])
def test_what_has_no_separation_is_refused(features, labels):
    with pytest.raises(ValueError):
        tsne.separation(features, labels, seed=0)


def test_tsne_repeats_itself_and_keeps_clusters_apart():
    features, labels = clusters(120)
    points = tsne.tsne(features, seed=3)
    assert points.dtype == np.float32 and points.shape == (120, 2)
    np.testing.assert_array_equal(points, tsne.tsne(features, seed=3))
    np.fill_diagonal(distance := cdist(points, points), np.inf)
    assert (labels[distance.argmin(1)] == labels).all()


def test_tsne_sees_directions_only_and_takes_a_handful():
    features, _ = clusters(60)
    lengths = 2.0 ** (np.arange(60)[:, None] % 20 - 10)
    np.testing.assert_array_equal(tsne.tsne(features, 0), tsne.tsne(features * lengths, 0))
    assert np.isfinite(tsne.tsne(features[:5], 0)).all()
    for bad in (features[:1], features * np.nan):
        with pytest.raises(ValueError):
            tsne.tsne(bad, 0)
