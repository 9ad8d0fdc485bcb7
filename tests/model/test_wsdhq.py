"""WSDHQ's losses and codes against numpy float64, written the long way."""
from types import SimpleNamespace

import numpy as np
import pytest

from gpq.config import WSDHQ
from gpq.model import training, wsdhq
from gpq.model.tf1 import tf
from gpq.model.training import Batch

B, T, D, M, K = 5, 7, 6, 3, 8


@pytest.fixture(scope="module")
def made():
    generator = np.random.default_rng(0)
    tags = generator.random((B, T)) < 0.4
    tags[1], tags[2] = False, np.arange(T) < 2  # an image without tags, and one with two at least
    return SimpleNamespace(
        r=np.tanh(generator.normal(size=(B, D))), tags=tags, w=generator.normal(size=(T, D)),
        codebooks=generator.normal(size=(M, K, D)), codes=generator.integers(0, K, (B, M)).astype(np.int32))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def settings(**others):
    return WSDHQ(dimension=D, n_book=M, bn_word=K.bit_length() - 1, backbone="embeddings", embeddings="v", **others)


def dense(r, tags, w, margin):
    """The loss by its definition, over [B, T, T]."""
    s, cosines = unit(w), unit(r) @ unit(w).T
    pairs = tags[:, :, None] & ~tags[:, None, :]
    excess = np.maximum(0, margin(s @ s.T) - cosines[:, :, None] + cosines[:, None, :])
    return (excess * pairs).sum() / pairs.sum()


@pytest.mark.parametrize("others, margin", [
    ({}, lambda cosines: 1 - cosines), ({"gamma": 2.0}, lambda cosines: (1 - cosines) ** 2 / 2),
    ({"margin_rule": "fixed"}, lambda cosines: 0.7), ({"margin_rule": "fixed", "margin": 0.2}, lambda cosines: 0.2)])
def test_the_margin_is_that_of_all_pairs(compute, made, others, margin):
    found = compute(lambda r, tags, w: wsdhq.cosine_margin(r, tags, w, settings(**others)),
                    *(x.astype(np.float32) for x in (made.r, made.tags, made.w)))
    assert found == pytest.approx(dense(made.r, made.tags, made.w, margin), abs=1e-6)


def test_no_array_is_of_images_tags_and_tags(made):
    with tf.Graph().as_default() as graph:
        wsdhq.cosine_margin(*map(tf.constant, (made.r, made.tags, made.w)), settings())
        ranks = [tensor.shape.ndims for op in graph.get_operations() for tensor in op.outputs]
    assert None not in ranks and max(ranks) == 2


def test_the_margin_is_zero_on_the_tag_and_what_is_said_of_orthogonal_features(compute, made):
    """Acceptance check 2."""
    def loss(r, tags, w):
        return compute(lambda *x: wsdhq.cosine_margin(*x, settings()), r, tags, w)

    one = np.eye(T, dtype=bool)
    assert loss(made.w, one, made.w) == pytest.approx(0, abs=1e-12)
    w = np.concatenate([made.w, np.zeros((T, 1))], axis=1)
    cosines = unit(made.w) @ unit(made.w).T
    off_diagonal = (cosines.sum() - T) / (T * (T - 1))
    assert loss(np.eye(D + 1)[[D] * T], one, w) == pytest.approx(1 - off_diagonal, abs=1e-12)
    assert loss(made.r, np.zeros((B, T), bool), made.w) == 0


def test_wdht_compares_an_image_with_the_mean_tags_of_every_other(compute, made):
    means = np.stack([unit(made.w)[row].mean(0) if row.any() else np.zeros(D) for row in made.tags])
    products, expected = unit(made.r) @ means.T, 0
    for b in range(B):
        others = [max(0, 0.7 + products[b, c] - products[b, b]) for c in range(B) if c != b]
        expected += sum(others) / (B - 1) / B
    found = compute(lambda *x: wsdhq.hinge(*x, settings()), made.r, made.tags, made.w)
    assert found == pytest.approx(expected, abs=1e-12)


def test_quantization_by_g_is_that_by_the_tags(compute, made):
    """Acceptance check 4; an image without a code is taken for 0."""
    codes = made.codes.copy()
    codes[3] = -1
    q = made.codebooks[np.arange(M), codes].sum(1) * (codes >= 0).any(1, keepdims=True)
    expected = np.mean([np.sum((made.w @ (r - z)) ** 2) for r, z in zip(made.r, q, strict=True)])
    found = compute(wsdhq.quantization, made.r, codes, made.codebooks, made.w.T @ made.w)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("loss", ["adaptive", "fixed", "hinge", "quantization"])
def test_gradients_are_those_of_finite_differences(made, loss):
    made_of = {
        "hinge": lambda r: wsdhq.hinge(r, made.tags, tf.constant(made.w), settings()),
        "quantization": lambda r: wsdhq.quantization(r, made.codes, tf.constant(made.codebooks), made.w.T @ made.w)}
    build = made_of.get(loss, lambda r: wsdhq.cosine_margin(r, tf.constant(made.tags), tf.constant(made.w),
                                                            settings(margin_rule=loss)))
    with tf.Graph().as_default(), tf.Session() as session:
        r = tf.placeholder(tf.float64, [B, D])
        value = build(r)
        (gradient,) = tf.gradients(value, r)
        steps = 1e-6 * np.eye(B * D).reshape(-1, B, D)
        slopes = [session.run(value, {r: made.r + step}) - session.run(value, {r: made.r - step}) for step in steps]
        np.testing.assert_allclose(session.run(gradient, {r: made.r}).ravel(), np.array(slopes) / 2e-6, atol=1e-7)


def cost(r, words, w):
    """|W (r - sum of words)|^2, by the tags."""
    return np.sum((w @ (r - np.sum(words, axis=0))) ** 2)


def coded_slowly(made, sweeps, codebooks):
    """By the tags, word by word."""
    found = []
    for r in made.r:
        chosen = {}
        for _ in range(sweeps):
            for m in range(len(codebooks)):
                others = [codebooks[n][k] for n, k in chosen.items() if n != m]
                chosen[m] = np.argmin([cost(r, [*others, word], made.w) for word in codebooks[m]])
        found.append([chosen[m] for m in range(len(codebooks))])
    return found


@pytest.mark.parametrize("books, sweeps", [(1, 1), (1, 3), (2, 1), (3, 3)])
def test_codes_are_those_of_the_search_word_by_word(compute, made, books, sweeps):
    """Acceptance checks 4 and 7: with one codebook it is the nearest word."""
    codebooks = made.codebooks[:books]
    codes = compute(lambda *x: wsdhq.coded(*x, sweeps), made.r, codebooks, made.w.T @ made.w)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, coded_slowly(made, sweeps, codebooks))


@pytest.fixture(scope="module", params=["code", "paper"])
def step(request, made):
    """Before and after the first codebooks: the losses of a batch, what it leaves in the store, and retrieval."""
    config = settings(normalize=request.param, lam=0.5)
    vectors = np.random.default_rng(1).normal(size=(B, 4)).astype(np.float32)
    found = SimpleNamespace(config=config)
    with tf.Graph().as_default(), tf.Session() as session:
        batch = Batch(tf.constant(vectors), tf.constant(made.tags), tf.constant([4, 0, 2, 7, 6]), 8,
                      made.w.astype(np.float32))
        method = wsdhq.WSDHQ(config)
        losses, averages = method.losses({"tagged": batch}, 0)
        retrieval = method.retrieval(tf.constant(vectors))
        session.run(tf.global_variables_initializer())
        variables = {v.op.name: v for v in tf.global_variables()}
        found.trainable = [v.op.name for v in tf.trainable_variables()]
        found.before, _ = session.run([losses, averages])
        found.store, found.g, found.c = session.run([variables[f"wsdhq/{name}"] for name in ("store", "G", "C")])
        found.r = session.run(retrieval.features)
        variables["wsdhq/started"].load(True, session)
        variables["wsdhq/codes"].load(np.tile(made.codes[:1], (8, 1)), session)
        found.after = session.run(losses)
    return found


def test_the_quantization_loss_counts_once_there_are_codebooks(step, made):
    assert step.before["quantization"] == 0 and step.before["total"] == step.before["embedding"]
    q = step.c.reshape(M, K, D)[np.arange(M), made.codes[0]].sum(0)
    missing = step.r - q
    expected = 0.5 * np.mean(np.einsum("bd,de,be->b", missing, step.g, missing))
    assert step.after["quantization"] == pytest.approx(expected, rel=1e-4)
    assert step.after["total"] == pytest.approx(step.after["embedding"] + expected, rel=1e-5)


def test_a_step_stores_its_features_and_no_gradient_reaches_the_tables(step, made):
    np.testing.assert_allclose(step.store[[4, 0, 2, 7, 6]], step.r, rtol=1e-5, atol=1e-7)
    assert not step.store[[1, 3, 5]].any()
    assert sorted(step.trainable) == ["wsdhq/fc8/bias", "wsdhq/fc8/kernel"]
    w = made.w if step.config.normalize == "code" else unit(made.w)
    np.testing.assert_allclose(step.g, w.T @ w, rtol=1e-5, atol=1e-5)


def test_the_paper_quantizes_on_the_sphere(step):
    lengths = np.linalg.norm(step.r, axis=1)
    assert np.allclose(lengths, 1, atol=1e-5) == (step.config.normalize == "paper")


def test_the_learning_rate_halves_every_300_steps(session):
    """Acceptance check 5, with the last rates of the release's logs, on Flickr25K and NUS-WIDE; steps count from 1."""
    after = tf.placeholder(tf.int64, [])
    rate = training.learning_rate(after, WSDHQ(), n_steps=1500)
    found = {step: session.run(rate, {after: step - 1}) for step in (1, 300, 301, 600, 601, 800, 1500)}
    assert found == pytest.approx({1: 3e-4, 300: 3e-4, 301: 1.5e-4, 600: 1.5e-4, 601: 7.5e-5, 800: 7.5e-5,
                                   1500: 1.875e-5})
