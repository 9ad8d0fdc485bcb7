"""Both forms of convolution and pooling are the same function of the images, layer by layer and as a whole network."""
import numpy as np
import pytest

from config import GPQ
from model import backbones, gpq
from model.networks.spatial import Direct, Winograd
from model.tf1 import tf


def leave(y):
    """[H, W, B, C] images as [B, H, W, C]; what has no H and W as it is."""
    return tf.transpose(y, [2, 0, 1, 3]) if y.shape.ndims == 4 else y


@pytest.mark.parametrize("layer", [
    lambda spatial, x, kernel: spatial.convolve(x, kernel),
    lambda spatial, x, kernel: spatial.max_pool(x) * kernel[0, 0, 0],
    lambda spatial, x, kernel: spatial.average_pool(x) * kernel[0, 0, 0]], ids=["convolve", "max_pool", "average_pool"])
def test_layers_and_their_gradients(compute, layer):
    def graph(x, kernel):
        direct, winograd = layer(Direct(), x, kernel), leave(layer(Winograd(), Winograd().enter(x), kernel))
        return [[y, *tf.gradients(y ** 2, [x, kernel])] for y in (winograd, direct)]

    draw = np.random.default_rng(0).standard_normal
    found, expected = compute(graph, draw((3, 4, 6, 5), np.float32), draw((3, 3, 5, 5), np.float32))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("name", ["modified_vgg", "resnet18"])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_the_same(compute, training, name):
    def graph(images):
        return [backbones.features(name, images, 6, training, spatial).raw
                for spatial in (Direct(), Winograd())]

    direct, winograd = compute(graph, np.random.default_rng(0).standard_normal((4, 32, 32, 3), np.float32))
    assert np.abs(direct).max() > 0.01 and (direct != winograd).any()
    np.testing.assert_allclose(winograd, direct, atol=1e-4 * np.abs(direct).max())


def test_training_begins_with_the_same_weights():
    """With either form: initial values depend on the seed and their names alone."""
    def initial(spatial):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(3)
            images = tf.placeholder(tf.float32, [2, 32, 32, 3])
            gpq.loss_graph(images, tf.placeholder(tf.float32, [2, 10]), images, GPQ(n_book=3), spatial=spatial)
            session.run(tf.global_variables_initializer())
            return session.run({v.op.name: v for v in tf.global_variables()})

    winograd, direct = initial(Winograd()), initial(Direct())
    assert winograd.keys() == direct.keys()
    for name, value in winograd.items():
        np.testing.assert_array_equal(value, direct[name], name)
    assert np.abs(winograd["Fixed_VGG/conv2d_5/kernel"] - winograd["Fixed_VGG/conv2d_6/kernel"]).max() > 0.01
