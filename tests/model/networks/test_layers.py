"""The layers against float64 numpy, pixel by pixel, in training and in retrieval."""
import itertools
import zlib
from typing import NamedTuple

import numpy as np
import pytest
from xla import under_xla

from gpq.model.networks import layers
from gpq.model.tf1 import tf

B, SIZE, IN, OUT = 3, 5, 2, 4
EPSILON, DECAY = 1e-3, 0.9


class Layer(NamedTuple):
    """The variables of one layer, float32, by the names that they bear in checkpoints."""

    kernel: np.ndarray
    bias: np.ndarray
    beta: np.ndarray
    gamma: np.ndarray
    moving_mean: np.ndarray
    moving_variance: np.ndarray
    biased: np.ndarray
    local_step: np.ndarray


NAMES = Layer("net/conv2d/kernel", "net/conv2d/bias", "net/batch0/beta", "net/batch0/gamma",
              "net/batch0/moving_mean", "net/batch0/moving_variance",
              "net/batch0/net/batch0/moving_mean/biased", "net/batch0/net/batch0/moving_mean/local_step")


def random_layer():
    draw = np.random.default_rng(0).standard_normal
    bias, beta, gamma, mean, variance, biased = draw((6, OUT), np.float32)
    return Layer(draw((3, 3, IN, OUT), np.float32), bias, beta, gamma, mean,
                 np.abs(variance) + np.float32(0.5), biased, np.float32(3))


def random_images():
    return np.random.default_rng(1).standard_normal((B, SIZE, SIZE, IN), np.float32)


def run_layer(session, layer, x, training):
    """Layer output, (mean, variance) or None, and the layer's variables after the moving averages' update."""
    tensor = tf.constant(x)
    with tf.variable_scope("net"):
        forward = layers.Forward(training)
        out = layers.conv_bn_relu(tensor, OUT, "conv2d", "batch0", forward)
    variables = {v.op.name: v for v in tf.global_variables()}
    assert set(variables) == set(NAMES)
    for name, value in zip(NAMES, layer, strict=True):
        variables[name].load(value, session)
    if not training:
        return session.run(out), forward.statistics, None
    (seen,) = forward.statistics
    update = layers.update_moving_averages([seen])
    out, mean, variance = session.run([out, seen.mean, seen.variance])
    session.run(update)
    return out, (mean, variance), Layer(*session.run([variables[name] for name in NAMES]))


def convolution(x, layer):
    """3 x 3, zero-padded, with bias, float64."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (1, 1), (1, 1), (0, 0)])
    out = np.zeros((B, SIZE, SIZE, OUT)) + layer.bias
    for row in range(SIZE):
        for column in range(SIZE):
            window = padded[:, row:row + 3, column:column + 3]
            out[:, row, column] += np.tensordot(window, layer.kernel, axes=3)
    return out


def normalise_and_rectify(x, mean, variance, layer):
    return np.maximum(0, (x - mean) / np.sqrt(variance + EPSILON) * layer.gamma + layer.beta)


def test_training_normalises_by_the_batch(session):
    layer, x = random_layer(), random_images()
    found, (mean, variance), _ = run_layer(session, layer, x, training=True)
    convolved = convolution(x, layer)
    of_batch = convolved.mean(axis=(0, 1, 2)), convolved.var(axis=(0, 1, 2))
    np.testing.assert_allclose(found, normalise_and_rectify(convolved, *of_batch, layer), atol=1e-5)
    np.testing.assert_allclose(mean, of_batch[0], atol=1e-5)
    np.testing.assert_allclose(variance, convolved.var(axis=(0, 1, 2), ddof=1), rtol=1e-5)


def test_bias_shifts_the_mean_alone(session):
    layer, x = random_layer(), random_images()
    before, (mean, variance), _ = run_layer(session, layer, x, training=True)
    with tf.Graph().as_default(), tf.Session() as another:
        after, (shifted, same), _ = run_layer(another, layer._replace(bias=layer.bias + 5), x, training=True)
    np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(same, variance)
    np.testing.assert_allclose(shifted, mean + 5, rtol=1e-6)


def test_retrieval_normalises_by_the_moving_averages(session):
    """Folded into one convolution, it is the plain batch normalisation."""
    layer, x = random_layer(), random_images()
    found, seen, _ = run_layer(session, layer, x, training=False)
    expected = normalise_and_rectify(convolution(x, layer), layer.moving_mean, layer.moving_variance, layer)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert not seen


def test_moving_averages(session):
    """The mean is zero-debiased, the variance is not."""
    layer = random_layer()
    _, (mean, variance), after = run_layer(session, layer, random_images(), training=True)
    biased = DECAY * layer.biased + (1 - DECAY) * mean
    assert after.local_step == 4
    np.testing.assert_allclose(after.biased, biased, rtol=1e-5)
    np.testing.assert_allclose(after.moving_mean, biased / (1 - DECAY ** 4), rtol=1e-5)
    expected = DECAY * layer.moving_variance + (1 - DECAY) * variance
    np.testing.assert_allclose(after.moving_variance, expected, rtol=1e-5)
    for same in ("kernel", "bias", "beta", "gamma"):
        np.testing.assert_array_equal(getattr(after, same), getattr(layer, same))


def test_first_moving_mean_is_the_batch_mean(session):
    zero = np.zeros(OUT, np.float32)
    layer = random_layer()._replace(moving_mean=zero, biased=zero, local_step=np.float32(0))
    _, (mean, _), after = run_layer(session, layer, random_images(), training=True)
    np.testing.assert_allclose(after.moving_mean, mean, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_two_towers_are_one_network(session, training):
    images = tf.constant(random_images())
    with tf.variable_scope("net", reuse=tf.AUTO_REUSE):
        towers = [layers.conv_bn_relu(images, OUT, "conv2d", "batch0", layers.Forward(training)) for _ in range(2)]
    assert sorted(v.op.name for v in tf.global_variables()) == sorted(NAMES)
    session.run(tf.global_variables_initializer())
    first, second = session.run(towers)
    np.testing.assert_array_equal(first, second)


def test_dense(session):
    x, kernel = random_images()[0, 0], np.arange(IN * 3, dtype=np.float32).reshape(IN, 3)
    found = layers.dense(tf.constant(x), 3)
    by_name = {v.op.name: v for v in tf.trainable_variables()}
    by_name["dense/kernel"].load(kernel, session)
    by_name["dense/bias"].load(np.float32([1, 2, 3]), session)
    np.testing.assert_allclose(session.run(found), x @ kernel + [1, 2, 3], rtol=1e-6)


@pytest.mark.parametrize("size, stride, padding", [(3, 1, "SAME"), (3, 2, "VALID"), (5, 4, "VALID")])
def test_conv_relu(session, size, stride, padding):
    x = random_images()
    kernel = np.random.default_rng(2).standard_normal((size, size, IN, OUT), np.float32)
    bias = np.arange(OUT, dtype=np.float32)
    found = layers.conv_relu(tf.constant(x), OUT, size, "conv1", stride, padding)
    for variable, value in zip(tf.trainable_variables(), (kernel, bias), strict=True):
        assert variable.op.name == ("conv1/kernel" if value is kernel else "conv1/bias")
        variable.load(value, session)
    found, margin = session.run(found), size // 2 if padding == "SAME" else 0
    padded = np.pad(x, [(0, 0), (margin, margin), (margin, margin), (0, 0)])
    assert found.shape[1] == (padded.shape[1] - size) // stride + 1
    for row, column in np.ndindex(found.shape[1:3]):
        window = padded[:, row * stride:, column * stride:][:, :size, :size]
        expected = np.maximum(0, np.tensordot(window, kernel, axes=3) + bias)
        np.testing.assert_allclose(found[:, row, column], expected, atol=1e-5)


def test_enlarge_is_bilinear(compute):
    """As TensorFlow's own, and the same when XLA compiles it, where TensorFlow's own is not."""
    x = np.random.default_rng(0).standard_normal((2, 32, 32, 3), np.float32)
    theirs = compute(lambda x: tf.image.resize_bilinear(x, [224, 224], half_pixel_centers=True), x)

    def enlarge(x):
        return layers.enlarge(x, 224)

    for ours in (compute(enlarge, x), under_xla(enlarge, x)):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def drop(x, step, layer):
    return layers.Forward(training=True, name="labelled", step=step).drop(x, layer)


def test_dropout_keeps_half_and_the_mean(compute):
    dropped = compute(lambda: drop(tf.ones([100, 4096]), 3, "full6"))
    assert set(np.unique(dropped)) == {0, 2}
    np.testing.assert_allclose(dropped.mean(), 1, atol=0.01)
    np.testing.assert_allclose(dropped.mean(axis=1), 1, atol=0.1)


def test_dropout_depends_on_step_and_name_alone(compute):
    def two(step):
        return compute(lambda: [drop(tf.ones([8, 512]), step, name) for name in ("full6", "full7")])

    (one, other), again, later = two(3), two(3), two(4)
    np.testing.assert_array_equal([one, other], again)
    np.testing.assert_array_equal(compute(lambda: drop(tf.ones([8, 512]), 3, "full7")), other)
    for different in (other, *later):
        assert 0.4 < np.mean(one == different) < 0.6


def test_the_graphs_seed_decides_what_is_dropped_too(compute):
    """Seed 0 drops what it dropped when there was no other."""
    def dropped(seed):
        tf.set_random_seed(seed)
        return drop(tf.ones([8, 512]), 3, "full6")

    by_seed = [compute(lambda seed=seed: dropped(seed)) for seed in (0, 1, 2)]
    for one, other in itertools.combinations(by_seed, 2):
        assert 0.4 < np.mean(one == other) < 0.6
    np.testing.assert_array_equal(by_seed[0], compute(
        lambda: 2 * tf.random.stateless_uniform([8, 512], [3, zlib.crc32(b"labelled/full6")], 0, 2, tf.int32)))


def test_dropout_under_xla_is_the_same(compute):
    def graph(x):
        dropped = drop(x, 3, "full6")
        return dropped, tf.gradients(tf.reduce_sum(dropped), x)[0]

    x = np.random.default_rng(0).uniform(1, 2, (8, 512)).astype(np.float32)
    dropped, gradient = compute(graph, x)
    np.testing.assert_array_equal(gradient, dropped / x)
    np.testing.assert_array_equal(under_xla(graph, x), [dropped, gradient])
