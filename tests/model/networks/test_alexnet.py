"""The Caffe AlexNet: the published table, its groups, and the crops of training and of retrieval."""
from types import SimpleNamespace

import numpy as np
import pytest

from gpq.config import WSDHQ
from gpq.model import augmentation
from gpq.model.backbone import Backbone
from gpq.model.networks import alexnet, layers
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import wsdhq_release

KERNELS = {"conv1": (11, 11, 3, 96), "conv2": (5, 5, 48, 256), "conv3": (3, 3, 256, 384), "conv4": (3, 3, 192, 384),
           "conv5": (3, 3, 192, 256), "fc6": (9216, 4096), "fc7": (4096, 4096), "dense": (4096, 300)}
PARAMETERS = {"conv1": 34944, "conv2": 307456, "conv3": 885120, "conv4": 663936, "conv5": 442624, "fc6": 37752832,
              "fc7": 16781312, "dense": 1229100}  # 58,097,324 in all
MILLIONS = {"conv1": 105.4, "conv2": 223.9, "conv3": 149.5, "conv4": 112.1, "conv5": 74.8, "fc6": 37.7, "fc7": 16.8,
            "dense": 1.2}  # multiply-adds of a view


@pytest.fixture(scope="module")
def graph():
    with tf.Graph().as_default() as made:
        Backbone(WSDHQ(backbone="alexnet"), 300).features(tf.zeros([1, 227, 227, 3]))
        made.variables = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    return made


def test_the_table_of_layers(graph):
    """Acceptance check 1."""
    expected = {f"AlexNet/{name}/kernel": list(shape) for name, shape in KERNELS.items()}
    expected |= {f"AlexNet/{name}/bias": [shape[-1]] for name, shape in KERNELS.items()}
    assert graph.variables == expected
    counts = {name: sum(np.prod(shape) for full, shape in graph.variables.items() if f"/{name}/" in full)
              for name in KERNELS}
    assert counts == PARAMETERS and sum(counts.values()) == 58_097_324
    found = dict.fromkeys(MILLIONS, 0)
    for op in graph.get_operations():
        if op.type in ("Conv2D", "MatMul"):
            # a layer's kernel, and the part of it that a group has, are of the width that no other layer's are
            height, depth = op.inputs[1].shape[0], op.inputs[1].shape[-2]
            name = next(n for n, shape in KERNELS.items() if n not in ("conv4", "conv5")
                        and (height, depth) == (shape[0], shape[-2])) if op.type == "MatMul" or height > 3 else (
                "conv3" if depth == 256 else "conv4" if op.outputs[0].shape[-1] == 192 else "conv5")
            name = "dense" if op.type == "MatMul" and op.outputs[0].shape[-1] == 300 else name
            found[name] += op.inputs[1].shape[:-1].num_elements() * op.outputs[0].shape.num_elements() / 1e6
    assert found == pytest.approx(MILLIONS, abs=0.06)


def test_every_layer_has_its_place_in_the_released_files(graph):
    places = {f"{scope}/{layer}/{kind}" for layer, scope in wsdhq_release.SCOPES.items() for kind in ("kernel", "bias")}
    assert {name for name in graph.variables if "/dense/" not in name} | {
        "wsdhq/fc8/kernel", "wsdhq/fc8/bias"} == places


def test_a_group_of_filters_sees_its_group_of_channels(session):
    images = np.random.default_rng(0).normal(size=(2, 5, 5, 4)).astype(np.float32)
    both = layers.conv_relu(tf.constant(images), 6, 3, "both", groups=2)
    kernel = tf.global_variables()[0]
    halves = [tf.nn.relu(tf.nn.conv2d(images[..., 2 * g:2 * g + 2], kernel[..., 3 * g:3 * g + 3], 1, "SAME"))
              for g in range(2)]
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(*session.run([both, tf.concat(halves, axis=3)]), rtol=1e-5, atol=1e-6)


def test_the_means_are_in_the_released_order(compute):
    found = compute(alexnet.standardise, np.full((1, 256, 256, 3), 200, np.uint8))
    np.testing.assert_allclose(found[0, 0, 0], [200 - 103.939, 200 - 116.779, 200 - 123.68], rtol=1e-6)
    assert compute(alexnet.standardise, np.zeros((2, 32, 32, 3), np.uint8)).shape == (2, 256, 256, 3)


def places(height):
    """Images whose pixels tell where they are: float32 [1, height, height, 2]."""
    return np.stack(np.meshgrid(np.arange(height), np.arange(height), indexing="ij"), axis=2)[None].astype(np.float32)


def test_training_sees_crops_of_the_image_or_its_mirror_image(compute):
    images = np.repeat(places(20), 400, axis=0)
    crops = compute(lambda x: augmentation.flip_and_crop(x, 17, 17, tf.constant([1, 2])), images)
    across = crops[:, 0, 1, 1] - crops[:, 0, 0, 1]
    top, left = crops[:, 0, 0, 0], np.where(across > 0, crops[:, 0, 0, 1], crops[:, 0, -1, 1])
    assert set(across) == {1, -1} and 0.4 < np.mean(across > 0) < 0.6
    assert set(top) == set(left) == {0, 1, 2, 3} and abs(np.corrcoef(top, left)[0, 1]) < 0.2
    for row, crop in enumerate(crops):
        whole = places(20)[0] if across[row] > 0 else places(20)[0][:, ::-1]
        start = int(left[row]) if across[row] > 0 else 20 - 17 - int(left[row])
        np.testing.assert_array_equal(crop, whole[int(top[row]):int(top[row]) + 17, start:start + 17])


def test_retrieval_takes_the_mean_over_ten_crops(compute):
    images = np.random.default_rng(0).normal(size=(2, 256, 256, 3)).astype(np.float32)
    weights = np.random.default_rng(1).normal(size=(227 * 227 * 3, 2)).astype(np.float32) / 400

    def see(crops):
        return tf.tanh(tf.matmul(tf.reshape(crops, [-1, 227 * 227 * 3]), weights))

    expected = [np.tanh(whole[:, top:top + 227, left:left + 227].reshape(2, -1) @ weights)
                for whole in (images, images[:, :, ::-1])
                for top, left in ((0, 0), (28, 28), (28, 0), (0, 28), (14, 14))]
    found = compute(lambda x: alexnet.ten_crops(x, see), images)
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-5)


def test_a_view_of_a_batch(session):
    images = tf.constant(np.full((3, 32, 32, 3), 90, np.uint8))
    augmented, distorted = Backbone(SimpleNamespace(backbone="alexnet", seed=1)).views(images, "tagged", 4)
    first, second = session.run([augmented, distorted])
    assert first.shape == second.shape == (3, 227, 227, 3)
    np.testing.assert_allclose(first[0, 5, 5], 90 - np.array(alexnet.MEAN), rtol=1e-4)
    assert np.abs(first - second).max() > 1
