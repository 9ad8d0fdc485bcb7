"""Every network as its row describes it; CNN-F against its published table and a float64 numpy forward pass."""
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from gpq.config import GPQ
from gpq.model.backbone import NETWORKS, Backbone
from gpq.model.tf1 import tf

DIMENSION = 6
# Table 1 of Chatfield et al. 2014: 224 x 224 x 3 gives 54 x 54 after conv1, 27, 13 and 6 after the poolings.
KERNELS = {"conv1": (11, 11, 3, 64), "conv2": (5, 5, 64, 256), "conv3": (3, 3, 256, 256), "conv4": (3, 3, 256, 256),
           "conv5": (3, 3, 256, 256), "full6": (6 * 6 * 256, 4096), "full7": (4096, 4096), "dense": (4096, DIMENSION)}


@pytest.fixture(scope="module")
def network():
    """CNN-F: two towers in training and a third in retrieval, of the same two images, with random weights and biases.

    The images are forty times as strong as standardised ones, so that normalisation has something to do.
    """
    images = 40 * np.random.default_rng(0).standard_normal((2, 32, 32, 3), np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        F = Backbone(GPQ(backbone="cnn_f"), DIMENSION)
        (first, update), (second, _) = (F.train(tf.constant(images), name) for name in ("labelled", "unlabelled"))
        towers = first, second, F.features(tf.constant(images))[0]
        variables = {v.op.name: v for v in tf.global_variables()}
        session.run(tf.global_variables_initializer())
        for name, variable in variables.items():
            if name.endswith("/bias"):
                variable.load(np.random.default_rng(len(name)).normal(size=variable.shape), session)
        yield SimpleNamespace(images=images, towers=towers, averages=update(), variables=variables, session=session,
                              trainable=[v.op.name for v in tf.trainable_variables()])


def values_at(network, step):
    network.variables["global_step"].load(step, network.session)
    return network.session.run(network.towers)


def test_variables(network):
    """Shared by all towers; the step of training is not among CNN-F's."""
    expected = {f"CNN_F/{name}/kernel": shape for name, shape in KERNELS.items()}
    expected |= {f"CNN_F/{name}/bias": shape[-1:] for name, shape in KERNELS.items()}
    assert sorted(network.trainable) == sorted(expected)
    assert {name: tuple(v.shape.as_list()) for name, v in network.variables.items()} == {**expected, "global_step": ()}


def bilinear(old, new):
    """float64 [new, old]: each new pixel's weights of the old ones, by interpolation between their centres."""
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    return np.stack([np.interp(centres, np.arange(old), row) for row in np.eye(old)], axis=1)


def convolution(x, kernel, bias, stride, padding):
    size = kernel.shape[0]
    x = np.pad(x, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    windows = sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.maximum(0, np.einsum("bijckl,klco->bijo", windows, kernel, optimize=True) + bias)


def normalisation(x):
    """By the sum of squares over five neighbouring channels (Krizhevsky et al. 2012)."""
    squares = sliding_window_view(np.pad(x ** 2, [(0, 0)] * 3 + [(2, 2)]), 5, axis=3).sum(axis=-1)
    return x / (2 + 1e-4 * squares) ** 0.75


def pooling(x, after=0):
    """3 x 3, stride 2, with `after` pixels more at the right and the bottom."""
    x = np.pad(x, [(0, 0), (0, after), (0, after), (0, 0)])
    return sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2].max(axis=(-2, -1))


def expected_features(images, weights):
    def layer(name):
        return weights[f"CNN_F/{name}/kernel"], weights[f"CNN_F/{name}/bias"]

    grow = bilinear(32, 224)
    x = np.einsum("ih,jw,bhwc->bijc", grow, grow, images, optimize=True)
    x = pooling(normalisation(convolution(x, *layer("conv1"), 4, 0)), after=1)
    x = pooling(normalisation(convolution(x, *layer("conv2"), 1, 2)))
    for name in ("conv3", "conv4", "conv5"):
        x = convolution(x, *layer(name), 1, 1)
    x = pooling(x).reshape(len(images), -1)
    for name in ("full6", "full7"):
        kernel, bias = layer(name)
        x = np.maximum(0, x @ kernel + bias)
    kernel, bias = layer("dense")
    return x @ kernel + bias


def test_retrieval_is_the_published_network(network):
    weights = network.session.run({name: network.variables[name] for name in network.trainable})
    expected = expected_features(network.images, weights)
    assert np.abs(expected).min() > 1e-3
    np.testing.assert_allclose(values_at(network, 0)[2], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_dropout_depends_on_step_and_tower(network):
    first, again, later = (values_at(network, step) for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    labelled, unlabelled, retrieval = first
    for other in (unlabelled, later[0], later[1], retrieval):
        assert np.abs(labelled - other).max() > 0.01 * np.abs(retrieval).max()
    np.testing.assert_array_equal(retrieval, later[2])


def test_there_are_no_moving_averages(network):
    assert network.averages.type == "NoOp"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_as_its_row_says(name):
    """Its variables' scope, and its multiply-adds in convolutions and dense layers."""
    row = NETWORKS[name]
    with tf.Graph().as_default() as graph:
        images = row.standardise(tf.zeros([1, 1280] if name == "embeddings" else [1, 32, 32, 3], tf.uint8))
        raw, statistics = Backbone(GPQ(backbone=name, hidden=(), embeddings="v.npz" if name == "embeddings" else ""),
                                   144).features(images)
        assert images.dtype == tf.float32 and raw.shape.as_list() == [1, 144] and not statistics
        assert all(v.op.name.startswith(f"{row.scope}/") for v in tf.global_variables())
        products = [(op.inputs[1].shape, op.outputs[0].shape) for op in graph.get_operations()
                    if op.type in ("Conv2D", "MatMul")]
        depthwise = [(op.inputs[1].shape, op.outputs[0].shape) for op in graph.get_operations()
                     if op.type == "DepthwiseConv2dNative"]
    counted = sum(kernel[:-1].num_elements() * out.num_elements() for kernel, out in products)
    counted += sum(kernel[:2].num_elements() * out.num_elements() for kernel, out in depthwise)
    assert counted == pytest.approx(row.multiply_adds, rel=0.01)


def test_an_unknown_network_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="no network 'vgg', only modified_vgg, cnn_f"):
        Backbone(SimpleNamespace(backbone="vgg"))
