"""Winograd's convolution against TensorFlow's own."""
import numpy as np
import pytest

from config import Config
from model import gpq
from model.networks import layers, winograd
from model.tf1 import tf


def both(compute, x, kernel, above):
    """[ours, TensorFlow's] of the convolution and its gradients by image and kernel, `above` being the one by it."""
    def graph(convolve):
        def build(x, kernel, above):
            y = convolve(x, kernel)
            return [y, *tf.gradients(y, [x, kernel], above)]
        return build

    def ours(x, kernel):
        return tf.transpose(winograd.convolve(layers.images_inside(x), kernel), [2, 0, 1, 3])

    return [compute(graph(convolve), x, kernel, above)
            for convolve in (ours, lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"))]


@pytest.mark.parametrize("height, width", [(32, 32), (4, 4), (5, 13), (1, 2)])
def test_convolution_and_its_gradients(compute, height, width):
    draw = np.random.default_rng(height).standard_normal
    shapes = (3, height, width, 6), (3, 3, 6, 5), (3, height, width, 5)
    for ours, expected in zip(*both(compute, *(draw(shape, np.float32) for shape in shapes)), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_rounding(compute):
    """A sum over 256 channels after ReLU, as in F, against float64: not ten times as far as the direct one."""
    draw = np.random.default_rng(0).standard_normal
    x, kernel = np.maximum(0, draw((4, 8, 8, 256))), draw((3, 3, 256, 32))
    exact = compute(lambda x, kernel: tf.nn.conv2d(x, kernel, 1, "SAME"), x, kernel)
    ours, direct = (np.sqrt(np.mean((found - exact) ** 2)) for found, *_ in both(
        compute, np.float32(x), np.float32(kernel), np.zeros((4, 8, 8, 32), np.float32)))
    assert ours < 10 * direct and ours < 2e-6 * np.sqrt(np.mean(exact ** 2))


def test_training_begins_with_the_same_weights():
    """Whichever convolution the machine takes: initial values hang on seed and name alone."""
    def initial(fast):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(3)
            images = tf.placeholder(tf.float32, [2, 32, 32, 3])
            gpq.loss_graph(images, tf.placeholder(tf.float32, [2, 10]), images, Config(n_book=3), fast=fast)
            session.run(tf.global_variables_initializer())
            return session.run({v.op.name: v for v in tf.global_variables()})

    fast, direct = initial(True), initial(False)
    assert fast.keys() == direct.keys()
    for name, value in fast.items():
        np.testing.assert_array_equal(value, direct[name], name)
    assert np.abs(fast["Fixed_VGG/conv2d_5/kernel"] - fast["Fixed_VGG/conv2d_6/kernel"]).max() > 0.01
