"""Convolution, batch normalisation, the dense layer and dropout. The checkpoint's variable names are decided here.

Images are float32, NHWC, but where `fast` says [H, W, B, C], as Winograd's method takes them. Variables are made on
first use and shared afterwards (the two towers are one network).
"""
import functools
import zlib
from typing import NamedTuple

from model.networks import winograd
from model.tf1 import tf, tflearn

SCOPES = {"modified_vgg": "Fixed_VGG", "cnn_f": "CNN_F"}  # what the names of each F's variables begin with


DECAY = 0.9
EPSILON = 1e-3


class BatchStatistics(NamedTuple):
    """What one tower saw at one layer: `mean` and Bessel-corrected `variance`, float32 [channels] each."""

    scope: str
    mean: tf.Tensor
    variance: tf.Tensor


class Features(NamedTuple):
    """raw: float32 [B, D], not normalised. statistics: one BatchStatistics a layer, empty in retrieval."""

    raw: tf.Tensor
    statistics: list[BatchStatistics]


def variable(name, shape, initializer=None, trainable=True):
    """The float32 variable `name` of the current scope, Xavier-initialised unless told otherwise.

    What it begins with hangs on the graph's seed and its full name alone, however the rest of the graph is made.
    """
    seed = zlib.crc32(f"{tf.get_variable_scope().name}/{name}".encode()) >> 1
    return tf.get_variable(name, shape, tf.float32, initializer or tf.glorot_uniform_initializer(seed),
                           trainable=trainable)


def _kernel_and_bias(name, shape):
    with tf.variable_scope(name):
        return variable("kernel", shape), variable("bias", shape[-1:], tf.zeros_initializer())


def _normalisation(scope, channels):
    """beta, gamma, moving_mean, moving_variance, biased, local_step of the batch normalisation `scope`."""
    with tf.variable_scope(scope) as here:
        zeros, ones = tf.zeros_initializer(), tf.ones_initializer()
        # The release's zero-debiased mean keeps its two helpers under the scope's name a second time.
        debias = f"{here.name}/moving_mean"
        return (variable("beta", [channels], zeros), variable("gamma", [channels], ones),
                variable("moving_mean", [channels], zeros, trainable=False),
                variable("moving_variance", [channels], ones, trainable=False),
                variable(f"{debias}/biased", [channels], zeros, trainable=False),
                variable(f"{debias}/local_step", [], zeros, trainable=False))


def conv_bn_relu(x, filters, conv, norm, training, fast=False):
    """3 x 3 convolution (stride 1, SAME, bias), batch normalisation, ReLU.

    x: float32 [B, H, W, C], or [H, W, B, C] if `fast`, which convolves by Winograd's method. Returns (x of `filters`
    channels, BatchStatistics or None).

    In training the bias is left out of the convolution, since the batch mean takes it away again: it only
    shifts the statistics, its exact gradient is zero, and it stays where it was. In retrieval the moving
    averages are folded into the kernel, so that one convolution does the whole layer.
    """
    convolve = winograd.convolve if fast else functools.partial(tf.nn.conv2d, strides=1, padding="SAME")
    kernel, bias = _kernel_and_bias(conv, [3, 3, x.shape[-1], filters])
    beta, gamma, moving_mean, moving_variance, *_ = _normalisation(norm, filters)
    if training:
        x, mean, variance = tf.nn.fused_batch_norm(convolve(x, kernel), gamma, beta, epsilon=EPSILON)
        return tf.nn.relu(x), BatchStatistics(norm, mean + bias, variance)
    scale = gamma * tf.rsqrt(moving_variance + EPSILON)
    return tf.nn.relu(tf.nn.bias_add(convolve(x, kernel * scale), (bias - moving_mean) * scale + beta)), None


def update_moving_averages(statistics):
    """Take one tower's list of BatchStatistics into the moving averages, as the release does.

    The mean is zero-debiased (`biased`, `local_step`), the variance is not. Returns one operation. To be
    called in the variable scope that the layers were made in.
    """
    updates = []
    for scope, mean, variance in statistics:
        *_, moving_mean, moving_variance, biased, local_step = _normalisation(scope, mean.shape[-1])
        step = local_step.assign_add(1.0)
        total = biased.assign_sub((1 - DECAY) * (biased - mean))
        updates += [moving_mean.assign(total / (1 - tf.pow(DECAY, step))),
                    moving_variance.assign_sub((1 - DECAY) * (moving_variance - variance))]
    return tf.group(*updates)


def images_inside(x):
    """x, float32 [B, H, W, C], as [H, W, B, C]."""
    return tf.transpose(x, [1, 2, 0, 3])


def max_pool(x, fast=False):
    """2 x 2 max pooling. x: float32 [B, H, W, C], or [H, W, B, C] if `fast`, H and W even. Returns both halved."""
    if not fast:
        return tf.nn.max_pool2d(x, 2, 2, "SAME")
    height, width, _, channels = x.shape.as_list()
    x = tf.nn.max_pool2d(tf.reshape(x, [1, height, width, -1]), 2, 2, "SAME")
    return tf.reshape(x, [height // 2, width // 2, -1, channels])


def average_pool(x, fast=False):
    """Global average pooling. x: float32 [B, H, W, C], or [H, W, B, C] if `fast`. Returns float32 [B, C]."""
    return tf.reduce_mean(x, [0, 1]) if fast else tflearn.global_avg_pool(x)


def enlarge(images, size):
    """Bilinear enlargement. float32 [B, H, H, C] to [B, size, size, C]; H is static.

    Written as two products with the weights, since XLA's form of tf.image.resize is wrong at some pixels.
    """
    old = float(images.shape[1])
    centres = tf.clip_by_value((tf.range(float(size)) + 0.5) * old / size - 0.5, 0, old - 1)
    weights = tf.nn.relu(1 - tf.abs(centres[:, tf.newaxis] - tf.range(old)))
    return tf.einsum("jw,bhwc->bhjc", weights, tf.einsum("ih,bhwc->biwc", weights, images))


def conv_relu(x, filters, size, name, stride=1, padding="SAME"):
    """size x size convolution with bias, ReLU. x: float32 [B, H, W, C]. Returns float32 [B, H', W', filters]."""
    kernel, bias = _kernel_and_bias(name, [size, size, x.shape[-1], filters])
    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, stride, padding), bias))


def dense(x, units, name="dense"):
    """x: float32 [B, C]. Returns float32 [B, units], with bias, without activation."""
    kernel, bias = _kernel_and_bias(name, [x.shape[-1], units])
    return tf.matmul(x, kernel) + bias


def dropout(x, step):
    """Each number of x set to 0 with probability 1/2, else doubled. x: float32; step: integer scalar, of training.

    The step and which of the graph's dropouts it is decide what is dropped: a run is repeatable.
    """
    seed = tf.stack([tf.cast(step, tf.int64), len(tf.get_collection("dropouts"))])
    # Integers, since TensorFlow and XLA draw other floats from the same seed.
    twos = 2 * tf.random.stateless_uniform(tf.shape(x), seed, 0, 2, tf.int32)
    tf.add_to_collection("dropouts", twos)
    return x * tf.cast(twos, tf.float32)
