"""Each loss, in all its forms, against float64 numpy written from the equations."""
import numpy as np
import pytest
from xla import under_xla

from gpq.model import losses
from gpq.model.tf1 import tf

B, M, D, C = 9, 4, 3, 5
BETA = 4.0
FORMS = ("release", "paper")


def random_batch(seed):
    """x, q: float32 [B, M, D] of unit sub-vectors; prototypes: [C, M, D]; labels, several a row: [B, C]."""
    generator = np.random.default_rng(seed)
    x, q = (unit(generator.standard_normal((B, M, D))).astype(np.float32) for _ in range(2))
    prototypes = 3 * generator.standard_normal((C, M, D), dtype=np.float32)
    labels = (generator.random((B, C)) < 0.4).astype(np.float32)
    labels[np.arange(B), generator.integers(0, C, B)] = 1
    return x, q, prototypes, labels


def one_of(labels):
    """The first label of each row, one-hot."""
    return np.eye(C, dtype=np.float32)[labels.argmax(axis=1)]


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def expected_n_pair(x, q, labels, follow):
    """Equation 2, anchor by anchor."""
    x, q, labels = (array.astype(np.float64).reshape(B, -1) for array in (x, q, labels))
    loss = 0
    for b in range(B):
        shared = np.array([labels[b] @ other for other in labels])
        loss -= (shared / shared.sum()) @ log_softmax(q @ x[b]) / B
    lengths = np.mean([a @ a + b @ b for a, b in zip(x, q, strict=True)])
    return loss + (0.25 * 0.002 * lengths if follow == "release" else 0)


def expected_triplet(q, labels, margin):
    """Triplet by triplet."""
    q = unit(q.astype(np.float64).reshape(len(q), -1))
    terms = []
    for a, p in np.ndindex(len(q), len(q)):
        to_positive = np.sum((q[a] - q[p]) ** 2)
        to_negatives = [np.sum((q[a] - q[n]) ** 2) for n in range(len(q)) if not labels[a] @ labels[n]]
        if a != p and labels[a] @ labels[p] and to_negatives:
            farther = [distance for distance in to_negatives if distance > to_positive]
            terms.append(max(0, to_positive - (min(farther) if farther else max(to_negatives)) + margin))
    return np.mean(terms) if terms else 0


def expected_logits(x, prototypes, follow):
    """A list of float64 [B, C]: the paper's, one a codebook; the release's, their mean, with beta twice."""
    x, prototypes = x.astype(np.float64), unit(prototypes.astype(np.float64))
    each = [BETA * x[:, m] @ prototypes[:, m].T for m in range(M)]
    return each if follow == "paper" else [BETA * np.mean(each, axis=0)]


def expected_classification(x, prototypes, labels, follow):
    """Equation 3."""
    return np.mean([-(labels * log_softmax(logits)).sum(axis=1)
                    for logits in expected_logits(x, prototypes, follow)])


def expected_entropy(x, prototypes, follow):
    """Equation 4."""
    p = [np.exp(log_softmax(logits)) for logits in expected_logits(x, prototypes, follow)]
    return np.mean([-(each * np.log(each + (1e-5 if follow == "release" else 0))).sum(axis=1) for each in p])


@pytest.mark.parametrize("follow", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_n_pair(compute, follow, seed):
    x, q, _, labels = random_batch(seed)
    assert labels.sum(axis=1).max() > 1
    for given in (labels, one_of(labels)):
        found = compute(lambda *batch: losses.n_pair_pq(*batch, follow), x, q, given)
        assert found == pytest.approx(expected_n_pair(x, q, given, follow), rel=1e-5)


@pytest.mark.parametrize("margin", [0.1, 1])
@pytest.mark.parametrize("seed", range(3))
def test_triplet(compute, seed, margin):
    _, q, _, labels = random_batch(seed)
    assert expected_triplet(q, one_of(labels), margin) > 0
    for given in (labels, one_of(labels)):
        found = compute(lambda *batch: losses.triplet(*batch, margin), q, given)
        assert found == pytest.approx(expected_triplet(q, given, margin), rel=1e-5)


def on_a_circle(degrees):
    """One point of unit length at each angle, float32 [B, 1, 2]."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1).astype(np.float32)[:, np.newaxis]


def apart(degrees):
    """The squared distance between two such points."""
    return 2 - 2 * np.cos(np.radians(degrees))


@pytest.mark.parametrize("degrees, classes, expected", [
    # From 0 the negative at 17 is the nearest that is farther than the positive, at 10; from 10 that at 30 is.
    ([0, 10, 5, 17, 30], [0, 0, 1, 2, 3], apart(10) - apart(17) / 2 - apart(20) / 2 + 0.1),
    # None is farther than the positive: the farthest.
    ([0, 90, 30, 40], [0, 0, 1, 2], apart(90) - apart(40) / 2 - apart(60) / 2 + 0.1),
    # What is as far as the positive is not farther.
    ([0, 90, -90, 180], [0, 0, 1, 2], 0),
    ([0, 1, 180], [0, 0, 1], 0),
    ([7, 7, 7, 7], [0, 0, 1, 1], 0.1)], ids=["semi-hard", "hard", "tie", "easy", "collapsed"])
def test_choice_of_the_negative(compute, degrees, classes, expected):
    labels = np.eye(4, dtype=np.float32)[classes]
    found = compute(lambda *batch: losses.triplet(*batch, 0.1), on_a_circle(degrees), labels)
    assert found == pytest.approx(expected, abs=2e-6)


def triplet_and_gradient(q, labels):
    loss = losses.triplet(q, labels, 0.5)
    return loss, tf.gradients(loss, q)[0]


@pytest.mark.parametrize("classes", [[0, 0, 0], [0, 1, 2], [0]], ids=["no negatives", "no positives", "one image"])
def test_no_triplets(compute, classes):
    q, labels = on_a_circle(range(len(classes))), np.eye(3, dtype=np.float32)[classes]
    loss, gradient = compute(triplet_and_gradient, q, labels)
    assert loss == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(q))


def test_gradient_of_triplet(compute):
    """Against the slope of the slow loss, with an anchor that has no negative; also as XLA compiles it."""
    _, q, _, labels = random_batch(0)
    labels = one_of(labels)
    labels[0] = 1
    step = 1e-4 * np.random.default_rng(1).standard_normal(q.shape)
    slope = (expected_triplet(q + step, labels, 0.5) - expected_triplet(q - step, labels, 0.5)) / 2
    for found in (compute, under_xla):
        loss, gradient = found(triplet_and_gradient, q, labels)
        assert loss == pytest.approx(expected_triplet(q, labels, 0.5), rel=1e-5)
        assert np.sum(gradient * step) == pytest.approx(slope, rel=1e-3)


def test_gradient_of_triplet_where_images_coincide(compute):
    _, q, _, labels = random_batch(0)
    loss, gradient = compute(triplet_and_gradient, np.repeat(q[:1], B, axis=0), one_of(labels))
    assert loss == pytest.approx(0.5) and np.isfinite(gradient).all()


@pytest.mark.parametrize("follow", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_classification(compute, follow, seed):
    x, _, prototypes, labels = random_batch(seed)
    labels = one_of(labels)
    found = compute(lambda x, c, y: losses.classification(losses.class_logits(x, c, BETA, follow), y),
                    x, prototypes, labels)
    assert found == pytest.approx(expected_classification(x, prototypes, labels, follow), rel=1e-5)


@pytest.mark.parametrize("follow", FORMS)
@pytest.mark.parametrize("seed", range(3))
def test_entropy(compute, follow, seed):
    x, _, prototypes, _ = random_batch(seed)
    found = compute(lambda x, c: losses.subspace_entropy(losses.class_logits(x, c, BETA, follow), follow),
                    x, prototypes)
    assert found == pytest.approx(expected_entropy(x, prototypes, follow), rel=1e-5)


def test_entropy_of_a_certain_batch_is_finite(compute):
    """Probabilities that round to 0 count 0."""
    certain = np.array([[[0, 200, -200]]], np.float32)
    release, paper = compute(lambda x: [losses.subspace_entropy(x, form) for form in FORMS], certain)
    assert paper == pytest.approx(0) and release == pytest.approx(0, abs=2e-5)


def test_the_releases_losses(compute, reference):
    """From the features of the reference's fixed batch."""
    def graph(x, q, u, prototypes, labels):
        x, q, u, prototypes = (tf.reshape(array, [-1, 12, 12]) for array in (x, q, u, prototypes))
        seen, unseen = (losses.class_logits(tower, prototypes, BETA, "release") for tower in (x, u))
        return (losses.n_pair_pq(x, q, labels, "release"), losses.classification(seen, labels),
                -losses.subspace_entropy(unseen, "release"))

    names = ("train_feature_S_intra", "train_descriptor_S", "train_feature_T_intra", "Prototypes",
             "train_labels_onehot")
    found = compute(graph, *(reference[name] for name in names))
    theirs = [reference[f"loss_{name}"] for name in ("hash", "cls", "entropy")]
    np.testing.assert_allclose(found, theirs, atol=1e-5, rtol=0)


def test_gradient_reversal(compute):
    def graph(x):
        forward = losses.reverse_gradient(x)
        return forward, tf.gradients(tf.reduce_sum(forward ** 3), x)[0]

    x, *_ = random_batch(0)
    forward, gradient = compute(graph, x)
    np.testing.assert_array_equal(forward, x)
    np.testing.assert_allclose(gradient, -3 * x ** 2, rtol=1e-6)
