"""PQN, SUBIC, DQN and DTQ: each loss against numpy written the long way, and what their codes rank by."""
import numpy as np
import pytest

from gpq import config
from gpq.model.baselines import dqn, dtq, pairs, pqn, subic
from gpq.model.tf1 import tf
from gpq.model.training import Batch
from gpq.utils.methods import METHODS

B, D, L, BITS = 7, 6, 3, 12
METHOD = ("pqn", "subic", "dqn", "dtq")
LABELS = np.eye(L, dtype=bool)[[0, 0, 1, 1, 0, 2, 1]]  # the last class has one image


def settings(method, **others):
    return config.METHODS[method](**{"n_bits": BITS, "n_CLASSES": L, "embeddings": "v.npz", **others})


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(B, D)).astype(np.float32)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_a_pick_is_allowed_random_and_repeatable(session):
    step = tf.placeholder(tf.int32, [])
    few = tf.constant([[False, True, True, True], [True, False, False, False], [False] * 4])
    some, one, same, other = (pairs.sample_index(mask, step, name) for mask, name in (
        (few, "a"), *((tf.ones([50, 50], tf.bool), name) for name in "aab")))
    picks = np.hstack([session.run(some, {step: number}) for number in range(60)]).T
    assert set(picks[:, 0]) == {1, 2, 3} and not picks[:, 1:].any()
    one, same, other = session.run([one, same, other], {step: 5})
    assert (one == same).all() and (one != other).any()


def test_pairs(compute, x):
    alike, distances = compute(lambda x, y: (pairs.same_label(y), pairs.squared_distances(x)), x, LABELS)
    np.testing.assert_array_equal(alike, (LABELS[:, None] & LABELS).any(2))
    np.testing.assert_allclose(distances, ((x[:, None] - x) ** 2).sum(2), atol=1e-5)


def test_pqn_takes_its_triplets_evenly_from_all(session, x):
    """Steps of random triplets have the mean of all triplets, each anchor counting as much as another."""
    s = x[::-1].copy() / 3
    products, of_anchors = x @ s.T, []
    for a in range(B):
        same, other = [np.flatnonzero((LABELS @ LABELS[a] > 0) == kind) for kind in (True, False)]
        each = [1 / (1 + np.exp(products[a, p] - products[a, n])) for p in same if p != a for n in other]
        of_anchors += [np.mean(each)] if each else []
    assert len(of_anchors) == B - 1
    step = tf.placeholder(tf.int32, [])
    loss = pqn.asymmetric_triplet(tf.constant(x), tf.constant(s), tf.constant(LABELS), step)
    found = np.array([session.run(loss, {step: number}) for number in range(150)])
    assert found.std() > 0
    assert found.mean() == pytest.approx(np.mean(of_anchors), abs=float(found.std()) / 3)
    assert session.run(pqn.asymmetric_triplet(tf.constant(x), tf.constant(s), tf.ones([B, 1], tf.bool), 0)) == 0


def test_subic_in_bits(compute, x):
    """The authors' units: entropies in bits, summed over the blocks and divided by all bits of a code."""
    z = softmax(np.random.default_rng(1).normal(size=(B, 2, 8))).astype(np.float32)
    logits = x[:, :L]
    found = compute(lambda z, logits, y: [*subic.losses_of(z, logits, y).values()], z, logits, LABELS)
    mean = np.mean([-(block * np.log2(block)).sum() for block in z]) / (2 * 3)
    batch = -(z.mean(0) * np.log2(z.mean(0))).sum() / (2 * 3)
    right = -np.log(softmax(logits)[LABELS]).mean() / np.log(L)
    np.testing.assert_allclose(found, [right + mean - batch, right, mean, batch], rtol=1e-5)
    sure = compute(lambda z: [*subic.losses_of(z, tf.zeros([16, L]), tf.ones([16, L])).values()],
                   np.eye(16, dtype=np.float32)[:, None])
    np.testing.assert_allclose(sure, [0, 1, 0, 1], atol=1e-6)  # one-hot blocks that use every word are the best


def test_dqn_is_lowest_where_two_classes_are_opposite(compute, x):
    cosines = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (x / np.linalg.norm(x, axis=1, keepdims=True)).T
    s = np.where((LABELS[:, None] & LABELS).any(2), 1, -1)
    assert compute(dqn.similarity, x, LABELS) == pytest.approx(((s - cosines) ** 2).mean(), rel=1e-5)
    two = LABELS[:, :1] * np.array([1, 0]) + ~LABELS[:, :1] * np.array([0, 1]) > 0
    assert compute(dqn.similarity, np.where(two[:, :1], x[:1], -x[:1]), two) == pytest.approx(0, abs=1e-6)


def test_dtq_takes_only_negatives_that_violate_the_margin(compute, x):
    """Of each step's hard triplets the loss is the mean; with one violating negative it is that one's, exactly."""
    line = np.array([[0], [1], [9], [1.5]], np.float32)
    labels = np.eye(3, dtype=bool)[[0, 0, 1, 2]]
    # Anchor 0 and 1: the positive is at 1; at margin 2 anchor 0 has the negative 3 at 2.25, anchor 1 the same at .25.
    found = compute(lambda z, y: dtq.group_hard(z, y, 2.0, 4), line, labels)
    assert found == pytest.approx(((2 + 1 - 2.25) + (2 + 1 - 0.25)) / 2, abs=1e-5)
    far = np.array([[0], [1], [90], [150]], np.float32)
    assert compute(lambda z, y: dtq.group_hard(z, y, 2.0, 4), far, labels) == 0


def test_dtq_takes_its_triplets_evenly_from_all_hard_ones(session):
    """Of five images on a line, each with a hard negative for each positive, and three with one that is none."""
    z, classes, margin = np.array([[0], [1], [0.5], [1.5], [3]], np.float32), np.array([0, 0, 1, 1, 1]), 2.0
    distances, of_anchors = ((z[:, None] - z) ** 2).sum(2), []
    for a in range(5):
        of_positives = []
        for p in np.flatnonzero((classes == classes[a]) & (np.arange(5) != a)):
            losses = margin + distances[a, p] - distances[a][classes != classes[a]]
            of_positives.append(losses[losses > 0].mean())
        of_anchors.append(np.mean(of_positives))
    step = tf.placeholder(tf.int32, [])
    loss = dtq.group_hard(tf.constant(z), tf.constant(np.eye(2, dtype=bool)[classes]), margin, step)
    found = np.array([session.run(loss, {step: number}) for number in range(150)])
    assert found.std() > 0
    assert found.mean() == pytest.approx(np.mean(of_anchors), abs=float(found.std()) / 3)


def test_quantization_and_codes_are_of_the_nearest_words(session):
    method = dqn.DQN(settings("dqn"))
    vectors = tf.constant(np.random.default_rng(2).normal(size=(5, D)).astype(np.float32))
    found = method.retrieval(vectors)
    lost = 1e4 * method.quantization(method.features_for_fit(vectors))
    session.run(tf.global_variables_initializer())
    assert session.run(lost) == 0
    words = np.random.default_rng(3).normal(size=(3, 16, 12)).astype(np.float32)
    (table,) = [v for v in tf.global_variables() if v.op.name == "dqn/codebooks"]
    table.load(words, session)
    (features, codes, codebooks), lost = session.run([found, lost])
    parts = features.reshape(5, 3, 1, 12)
    distances = ((parts - words) ** 2).sum(3)
    np.testing.assert_array_equal(codes, distances.argmin(2))
    np.testing.assert_array_equal(codebooks, words)
    assert lost == pytest.approx(distances.min(2).sum(1).mean(), rel=1e-4) and abs(features).max() < 1


def test_codes_of_pqn_and_subic(compute, x):
    (x, codes, words), (activations, named, one_hot) = (
        compute(METHODS[name](settings(name)).retrieval, x[:5])
        for name in ("pqn", "subic"))
    np.testing.assert_allclose(np.linalg.norm(x.reshape(5, 3, 12), axis=2), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(words, axis=2), 1, rtol=1e-5)
    distances = ((x.reshape(5, 3, 1, 12) - words) ** 2).sum(3)
    np.testing.assert_array_equal(codes, distances.argmin(2))
    blocks = activations.reshape(5, 3, 16)
    added = np.einsum("qmk,gmk->qg", blocks, one_hot[np.arange(3), named])  # a query's table by a gallery's codes
    for q in range(5):
        assert added[q, q] == pytest.approx(blocks[q].max(1).sum()) == pytest.approx(added[q].max())
    assert (blocks >= 0).all()


@pytest.mark.parametrize("method", METHOD)
def test_a_head_alone_lowers_its_loss(session, method):
    """64 vectors in 50 steps."""
    row = METHODS[method](settings(method, learning_rate=1e-2))
    generator = np.random.default_rng(0)
    classes = generator.integers(0, L, 64)
    vectors = tf.constant((2 * np.eye(L, 16)[classes] + generator.normal(size=(64, 16))).astype(np.float32))
    batch = Batch(vectors, tf.constant(np.eye(L, dtype=bool)[classes]))
    losses, averages = row.losses({"labelled": batch}, tf.train.get_or_create_global_step())
    graph = row.optimise(losses, averages, 50)
    session.run(tf.global_variables_initializer())
    totals = [session.run([graph.losses["total"], graph.step])[0] for _ in range(50)]
    assert np.mean(totals[-5:]) < 0.8 * np.mean(totals[:5]) or np.mean(totals[-5:]) < np.mean(totals[:5]) - 0.5
    assert {v.op.name for v in tf.trainable_variables()} >= {"Embeddings/dense/kernel"}
