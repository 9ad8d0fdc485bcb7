"""Both forms of convolution and pooling are the same function of the images, layer by layer and as a whole network."""
import numpy as np
import pytest

from gpq.config import GPQ
from gpq.model.backbone import Backbone
from gpq.model.gpq import GPQ as Method
from gpq.model.networks.convolution import Direct, Winograd, fastest, winograd
from gpq.model.tf1 import tf
from gpq.model.training import Batch


def leave(y):
    """[H, W, B, C] images as [B, H, W, C]; what has no H and W as it is."""
    return tf.transpose(y, [2, 0, 1, 3]) if y.shape.ndims == 4 else y


@pytest.mark.parametrize("layer", [
    lambda form, x, kernel: form.convolve(x, kernel),
    lambda form, x, kernel: form.max_pool(x) * kernel[0, 0, 0],
    lambda form, x, kernel: form.average_pool(x) * kernel[0, 0, 0]], ids=["convolve", "max_pool", "average_pool"])
def test_layers_and_their_gradients(compute, layer):
    def graph(x, kernel):
        direct, winograd = layer(Direct(), x, kernel), leave(layer(Winograd(), Winograd().to_layout(x), kernel))
        return [[y, *tf.gradients(y ** 2, [x, kernel])] for y in (winograd, direct)]

    draw = np.random.default_rng(0).standard_normal
    found, expected = compute(graph, draw((3, 4, 6, 5), np.float32), draw((3, 3, 5, 5), np.float32))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("name", ["modified_vgg", "resnet18"])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_the_same(compute, training, name):
    def graph(images):
        return [Backbone(GPQ(backbone=name), 6, form).features(images, training)[0]
                for form in (Direct(), Winograd())]

    direct, winograd = compute(graph, np.random.default_rng(0).standard_normal((4, 32, 32, 3), np.float32))
    assert np.abs(direct).max() > 0.01 and (direct != winograd).any()
    np.testing.assert_allclose(winograd, direct, atol=1e-4 * np.abs(direct).max())


def test_training_begins_with_the_same_weights():
    """With either form: initial values depend on the seed and their names alone."""
    def initial(form):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(3)
            batch = Batch(tf.placeholder(tf.uint8, [2, 32, 32, 3]), tf.placeholder(tf.bool, [2, 10]))
            Method(GPQ(n_book=3), form).losses({"labelled": batch, "unlabelled": batch}, 0)
            session.run(tf.global_variables_initializer())
            return session.run({v.op.name: v for v in tf.global_variables()})

    winograd, direct = initial(Winograd()), initial(Direct())
    assert winograd.keys() == direct.keys()
    for name, value in winograd.items():
        np.testing.assert_array_equal(value, direct[name], name)
    assert np.abs(winograd["Fixed_VGG/conv2d_5/kernel"] - winograd["Fixed_VGG/conv2d_6/kernel"]).max() > 0.01


@pytest.mark.parametrize("batch_size, gpus, way", [(50, [], Winograd), (49, [], Direct), (None, [], Winograd),
                                                   (500, ["a GPU"], Direct)])
def test_winograds_method_is_for_large_batches_on_processors(monkeypatch, batch_size, gpus, way):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert isinstance(fastest(batch_size), way)


def both(compute, x, kernel, above):
    """[ours, TensorFlow's] of the convolution and its gradients by image and kernel, `above` being the one by it."""
    def graph(convolve):
        def build(x, kernel, above):
            y = convolve(x, kernel)
            return [y, *tf.gradients(y, [x, kernel], above)]
        return build

    def ours(x, kernel):
        return tf.transpose(winograd(tf.transpose(x, [1, 2, 0, 3]), kernel), [2, 0, 1, 3])

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
