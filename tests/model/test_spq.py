"""SPQ's quantizer, loss, variants and network on small numbers, and the acceptance checks of its specification."""
from types import SimpleNamespace

import numpy as np
import pytest

from gpq.config import SPQ
from gpq.model import quantizer, spq, training
from gpq.model.networks import embeddings, layers
from gpq.model.tf1 import tf
from gpq.model.training import Batch

B, M, K, D = 6, 2, 4, 3


def rows(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("books, head", [(4, 32_832 + 1_024), (8, 65_664 + 2_048), (16, 131_328 + 4_096)])
def test_there_are_as_many_parameters_as_in_the_release(books, head):
    with tf.Graph().as_default():
        config = SPQ(N_books=books)
        found = spq.SPQ(config).retrieval(tf.placeholder(tf.uint8, [None, 32, 32, 3]))
        sizes = {v.op.name: v.shape.num_elements() for v in tf.trainable_variables()}
        running = sum(v.shape.num_elements() for v in tf.global_variables() if "/moving_" in v.op.name)
    assert sum(size for name, size in sizes.items() if name.startswith("resnet18/")) == 11_431_488
    assert sum(size for name, size in sizes.items() if name.startswith("spq/")) == head and running == 9_600
    assert found.codebooks.shape.as_list() == [books, 16, 16] and config.n_bits == 4 * books


@pytest.mark.parametrize("init, bound, spread, bias", [
    ("dec2021", (6 / 640) ** 0.5, (2 / 640) ** 0.5, True), ("sep2021", np.inf, 0.1 * (2 / 640) ** 0.5, False)])
def test_initial_weights(session, init, bound, spread, bias):
    spq.SPQ(SPQ(init=init)).retrieval(tf.placeholder(tf.uint8, [None, 32, 32, 3]))
    wanted = {v.op.name: v for v in tf.trainable_variables()}
    names = ["spq/fc/kernel", "spq/C", "resnet18/layer3/0/conv1/kernel", "resnet18/fc_out/kernel",
             "resnet18/fc_out/bias", *["spq/fc/bias"] * bias]
    session.run([wanted[name].initializer for name in names])
    head, codebooks, convolution, *dense = (session.run(wanted[name]) for name in names)
    assert np.abs(head).max() <= bound and head.std() == pytest.approx(spread, rel=0.02)
    smaller = (640 / 144) ** 0.5  # of 16 words, where the head has 512 rows
    assert np.abs(codebooks).max() <= smaller * bound and codebooks.std() == pytest.approx(smaller * spread, rel=0.05)
    assert ("spq/fc/bias" in wanted) == bias
    for value, limit in ((convolution, (9 * 128) ** -0.5), *((value, 512 ** -0.5) for value in dense)):
        assert 0.97 * limit < np.abs(value).max() <= limit and value.std() == pytest.approx(limit / 3 ** 0.5, rel=0.15)


def test_the_wave_of_the_learning_rate(session):
    """Of 195 steps an epoch, at the first and the last step of an epoch."""
    config, step = SPQ(), tf.placeholder(tf.int64, [])
    rate = training.learning_rate(step, config, config.total_epochs * 195)
    for epoch, expected in ((0, 3e-4), (10, 3e-4), (100, 1.6808e-4), (205, 0), (206, 1.95e-8), (400, 3e-4),
                            (1999, 2.7135e-4)):
        for within in (0, 194):
            found = session.run(rate, {step: epoch * 195 + within})
            assert found == pytest.approx(expected, rel=2e-3, abs=1e-12), epoch


def test_squared_distances_and_the_nearest(compute):
    x, words = rows(0, B, M, D), rows(1, K, M, D)
    found, codes = compute(lambda x, words: [quantizer.squared_distances(x, words), quantizer.nearest(x, words)], x,
                           words)
    expected = ((x[:, :, np.newaxis] - words.transpose(1, 0, 2)) ** 2).sum(3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(codes, expected.argmin(2))


def test_soft_quantization_multiplies_by_the_scale(compute):
    x, words = rows(0, B, M, D), rows(1, K, M, D)
    weights = np.exp(-5 * ((x[:, :, np.newaxis] - words.transpose(1, 0, 2)) ** 2).sum(3))
    expected = np.einsum("bmk,kmd->bmd", weights / weights.sum(2, keepdims=True), words)
    found = compute(lambda x, c: quantizer.soft_quantize_l2(x, c, 5.0), x, words)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_single_codeword_and_a_large_scale(compute):
    x, words = rows(0, B, M, D), rows(1, K, M, D)
    alone = compute(lambda x, c: quantizer.soft_quantize_l2(x, c, 5.0), x, words[:1])
    np.testing.assert_allclose(alone, np.repeat(words[:1], B, axis=0), atol=1e-6)
    hard, codes = compute(lambda x, c: [quantizer.soft_quantize_l2(x, c, 1e5), quantizer.nearest(x, c)], x, words)
    np.testing.assert_allclose(hard, words[codes, np.arange(M)], atol=1e-5)


def towers(*seeds):
    return [spq.Tower(tf.constant(rows(seed, B, D)), tf.constant(rows(seed + 10, B, D))) for seed in seeds]


def settings(**more):
    return SimpleNamespace(**{"contrastive_temperature": 0.5, "loss": "code", "variant": "spq", **more})


def plain_loss(x_a, z_a, x_b, z_b, tau, loss):
    """Row by row, in float64."""
    def cosine(u, v):
        return np.dot(np.float64(u), v) / np.linalg.norm(u) / np.linalg.norm(v) / tau

    total = 0
    for x, z in ((x_a, z_b), (x_b, z_a)):
        pairs = [*x, *z]
        for i in range(len(pairs) if loss == "code" else B):
            positive = cosine(pairs[i], pairs[(i + B) % (2 * B)])
            others = ([j for j in range(2 * B) if j != i] if loss == "code" else [B + j for j in range(B) if j != i])
            total -= positive - np.log(sum(np.exp(cosine(pairs[i], pairs[j])) for j in others))
    return total / (2 * B)


@pytest.mark.parametrize("loss", ["code", "paper"])
@pytest.mark.parametrize("variant", ["spq", "spq_c"])
def test_the_loss_row_by_row_and_with_the_views_swapped(compute, loss, variant):
    config = settings(loss=loss, variant=variant)
    found, swapped = compute(lambda: [spq.cross_quantized(*towers(*order), config) for order in ((0, 1), (1, 0))])
    x_a, x_b, z_a, z_b = (rows(seed, B, D) for seed in (0, 1, 10, 11))
    if variant == "spq_c":
        x_a, x_b = z_a, z_b
    assert found == pytest.approx(plain_loss(x_a, z_a, x_b, z_b, 0.5, loss), rel=1e-5)
    assert swapped == pytest.approx(found, rel=1e-5)


def test_the_loss_of_rows_that_are_all_alike(compute):
    """Chance, 2 ln 511 at a batch of 256; the paper's has 255 negatives and no positive below the bar."""
    code, paper = compute(lambda: [spq.cross_quantized(*[spq.Tower(tf.ones([256, D]), tf.ones([256, D]))] * 2,
                                                       settings(loss=loss)) for loss in ("code", "paper")])
    assert code == pytest.approx(2 * np.log(511), rel=1e-5) and paper == pytest.approx(np.log(255), rel=1e-5)


VECTORS = SPQ(backbone="embeddings", dataset="embeddings", N_books=M, N_words=K, L_word=D, hidden=(5,))


@pytest.mark.parametrize("variant, bits", [("spq", 4), ("spq_h", 4), ("spq_q", 2)])
def test_variants_on_vectors(compute, variant, bits):
    """z is made of the codewords; SPQ-H takes the nearest and has the soft one's gradient, SPQ-Q has one book."""
    config = VECTORS.model_copy(update={"variant": variant})

    def graph(vectors):
        vectors, method = embeddings.unit_scale(vectors), spq.SPQ(config)
        made = method.tower(method.F.train(vectors, "first view")[0])
        codebooks = next(v for v in tf.trainable_variables() if v.op.name == "spq/C")
        retrieval = method.retrieval(vectors)
        split = (quantizer.split(each, config.books) for each in (made.x, codebooks))
        soft = quantizer.soft_quantize_l2(*split, config.soft_quantization_scale)
        slopes = [tf.gradients(tf.reduce_sum(z), codebooks)[0] for z in (made.z, soft)]
        return made.z, quantizer.join(soft), *slopes, retrieval

    z, soft, slope, soft_slope, retrieval = compute(graph, rows(0, B, 7))
    words = retrieval.codebooks[np.arange(config.books), retrieval.codes].reshape(B, -1)
    np.testing.assert_allclose(z, words if variant == "spq_h" else soft, atol=1e-6)
    np.testing.assert_allclose(slope, soft_slope, atol=1e-6)
    assert retrieval.codes.shape == (B, config.books) and config.n_bits == bits


def test_a_step_on_vectors_contrasts_two_varied_ones(session):
    config = VECTORS.model_copy(update={"dropout": 0.2})
    method = spq.SPQ(config)
    batch = {"training": Batch(tf.constant(rows(0, B, 7)), tf.zeros([B, 10], tf.bool))}
    losses, averages = method.losses(batch, 0)
    graph = method.optimise(losses, averages, n_steps=config.total_epochs)
    session.run(tf.global_variables_initializer())
    seen = [session.run([graph.losses["total"], graph.step])[0] for _ in range(30)]
    assert np.isfinite(seen).all() and seen[-1] < seen[0]


def test_weight_decay_reaches_every_parameter(session):
    """Where the loss says nothing: Adam's first step is the learning rate, towards 0."""
    method = spq.SPQ(VECTORS)
    made = method.tower(method.F.train(tf.constant(rows(0, B, 7)), "first view")[0])
    graph = method.optimise({"total": 0 * tf.reduce_sum(made.z)}, tf.no_op(), n_steps=VECTORS.total_epochs)
    variables = tf.trainable_variables()
    session.run(tf.global_variables_initializer())
    for variable in variables:
        variable.load(np.resize([2., -3.], variable.shape.as_list()), session)
    before, _, after = session.run(variables), session.run(graph.step), session.run(variables)
    assert len(variables) == 5
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new - old, -3e-4 * np.sign(old), rtol=2e-3)


@pytest.mark.parametrize("setting", ["frozen", "train"])
def test_what_a_measurement_does_to_batch_normalisation(session, setting):
    config = VECTORS.model_copy(update={"bn_after_eval": setting})
    method = spq.SPQ(config)
    views = [tf.constant(rows(seed, B, 7)) for seed in (0, 1)]
    graph = method.optimise(*method.loss_graph(*views), n_steps=config.total_epochs)
    frozen = next(v for v in tf.global_variables() if v.op.name == "spq/frozen")
    session.run(tf.global_variables_initializer())
    session.run(graph.step)
    assert not session.run(frozen)
    session.run(graph.judged)
    assert session.run(frozen) == (setting == "frozen")


def frozen_layer(value):
    """A tiny layer in training, frozen or not: (output, its slope by gamma, moving averages before, after)."""
    with tf.Graph().as_default(), tf.Session() as session:
        x, norm = tf.constant(rows(0, 4, 5, 5, 2)), layers.normalisation("bn", 2, debiased=False)
        frozen = tf.get_variable("frozen", dtype=tf.bool, initializer=value, trainable=False)
        forward = layers.Forward(training=True, frozen=frozen)
        y = layers.normalised(lambda kernel: x * kernel, tf.constant([2., 3.]), norm, forward, 1e-5)
        slope = tf.gradients(tf.reduce_sum(y ** 2), norm.gamma)[0]
        session.run(tf.global_variables_initializer())
        norm.moving_mean.load([1, -1], session)
        norm.moving_variance.load([4, 9], session)
        moving = norm.moving_mean, norm.moving_variance
        values = session.run([y, slope, moving])
        session.run(layers.update_moving_averages(forward.statistics))
        return *values, session.run(moving)


def test_frozen_statistics_normalise_and_stay():
    y, slope, before, after = frozen_layer(True)
    expected = (rows(0, 4, 5, 5, 2) * [2, 3] - [1, -1]) / [2, 3]
    np.testing.assert_allclose(y, expected, atol=1e-4)
    np.testing.assert_allclose(slope, 2 * (expected ** 2).sum((0, 1, 2)), rtol=1e-4)
    np.testing.assert_array_equal(after, before)


def test_statistics_that_are_not_frozen_move_by_a_tenth():
    y, _, before, after = frozen_layer(False)
    x = np.float64(rows(0, 4, 5, 5, 2)) * [2, 3]
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-6)
    expected = [0.9 * old + 0.1 * seen
                for old, seen in zip(before, (x.mean((0, 1, 2)), x.var((0, 1, 2), ddof=1)), strict=True)]
    np.testing.assert_allclose(after, expected, rtol=1e-5)
