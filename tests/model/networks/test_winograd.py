"""Winograd's convolution against TensorFlow's own."""
import numpy as np
import pytest

from model.networks import winograd
from model.tf1 import tf


def both(compute, x, kernel, above):
    """[ours, TensorFlow's] of the convolution and its gradients by image and kernel, `above` being the one by it."""
    def graph(convolve):
        def build(x, kernel, above):
            y = convolve(x, kernel)
            return [y, *tf.gradients(y, [x, kernel], above)]
        return build

    def ours(x, kernel):
        return tf.transpose(winograd.convolve(tf.transpose(x, [1, 2, 0, 3]), kernel), [2, 0, 1, 3])

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
