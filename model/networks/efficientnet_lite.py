"""EfficientNet-Lite: EfficientNet (Tan & Le, ICML 2019) without squeeze-excitation, with ReLU6 for swish, and with a
first and a last convolution that are as wide in every variant (tensorflow/tpu, models/official/efficientnet/lite).

Called inside the variable scope of the network, EfficientNetLite0 to EfficientNetLite2. In training there is no dropout
and no stochastic depth.
"""
import math
from typing import NamedTuple

import numpy as np

from gpq.model.networks import layers
from gpq.model.tf1 import tf

FEATURES = 1280
MEAN, RANGE = 127, 128  # the pixels that become 0, and 1 more than 0
PRECISION = 2 ** 22  # Pillow's weights are whole multiples of its inverse


class Block(NamedTuple):
    """An inverted residual block: size of its depthwise kernel, stride, expansion and output channels."""

    size: int
    stride: int
    expansion: int
    filters: int


BLOCKS = ((1, Block(3, 1, 1, 16)), (2, Block(3, 2, 6, 24)), (2, Block(5, 2, 6, 40)), (3, Block(3, 2, 6, 80)),
          (3, Block(5, 1, 6, 112)), (4, Block(5, 2, 6, 192)), (1, Block(3, 1, 6, 320)))  # Lite0: how many of each
SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))  # by variant: of the width and of the depth


def blocks(variant):
    """The Blocks of a variant (0, 1 or 2) in order. The first and the last kind are not multiplied by the depth."""
    width, depth = SCALES[variant]
    for number, block in BLOCKS:
        fixed = block in (BLOCKS[0][1], BLOCKS[-1][1])
        for k in range(number if fixed else math.ceil(number * depth)):
            yield block._replace(filters=_multiple_of_8(block.filters * width), stride=1 if k else block.stride)


def _multiple_of_8(filters):
    """The nearest multiple of 8, or the one above where that takes more than a tenth away."""
    nearest = int(filters + 4) // 8 * 8
    return nearest + 8 if nearest < 0.9 * filters else nearest


def standardise(images):
    """uint8 (or 0 to 255 float) [B, H, W, 3] to float32, as the published weights were trained; float [B, 1280],
    the network's own numbers, as they are."""
    images = tf.cast(images, tf.float32)
    return images if images.shape.ndims == 2 else (images - MEAN) / RANGE


def bicubic(old, new):
    """float64 [new, old]: what each new pixel of an axis takes of each old one, by Pillow's BICUBIC.

    That is Keys' cubic of a = -1/2, stretched where the axis shrinks, its weights normalised and rounded.
    """
    scale = old / new
    distance = np.abs((np.arange(new)[:, np.newaxis] + 0.5) * scale - 0.5 - np.arange(old)) / max(1, scale)
    near, far = (1.5 * distance - 2.5) * distance ** 2 + 1, ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    return np.round(weights / weights.sum(1, keepdims=True) * PRECISION) / PRECISION


def resize(images, side):
    """The very pixels of Pillow's resize(BICUBIC), which rounds to whole grey levels after each axis.

    images: float32 [B, h, w, 3], standardised, h and w static. Returns float32 [B, side, side, 3], standardised.
    Gradients do not pass. In float64 the sums are exact, so that halves are rounded as Pillow does.
    """
    _, height, width, _ = images.shape.as_list()
    if height == width == side:
        return images
    x = tf.cast(images * RANGE + MEAN, tf.float64)
    x = _whole(tf.einsum("jw,bhwc->bhjc", bicubic(width, side), x))
    x = _whole(tf.einsum("ih,bhwc->biwc", bicubic(height, side), x))
    return standardise(x)


def _whole(x):
    return tf.clip_by_value(tf.floor(x + 0.5), 0, 255)


def conv_bn(x, name, filters, forward, size=1, stride=1):
    """Convolution (SAME, no bias) and batch normalisation, x: float32 [B, H, W, C]. Returns x of `filters` channels."""
    with tf.variable_scope(name):
        kernel = layers.variable("kernel", [size, size, x.shape[-1], filters])

    def convolve(kernel):
        return tf.nn.conv2d(x, kernel, stride, "SAME")
    return layers.normalised(convolve, kernel, layers.normalisation(name, filters), forward)


def depthwise_bn(x, name, forward, size, stride):
    """As `conv_bn`, but each channel is convolved by itself."""
    channels = x.shape[-1]
    with tf.variable_scope(name):
        kernel = layers.variable("kernel", [size, size, channels])

    def convolve(kernel):
        return tf.nn.depthwise_conv2d(x, kernel[..., tf.newaxis], [1, stride, stride, 1], "SAME")
    return layers.normalised(convolve, kernel, layers.normalisation(name, channels), forward)


def efficientnet_lite(images, forward, variant):
    """What the ImageNet classifier sees, float32 [B, 1280].

    images: float32 [B, h, w, 3], standardised, h and w static; they are enlarged to `forward.side`. Or these 1,280
    numbers themselves, which are returned. variant: 0, 1 or 2.
    """
    if images.shape.ndims == 2:
        return images
    x = tf.nn.relu6(conv_bn(resize(images, forward.side), "stem", 32, forward, size=3, stride=2))
    for number, block in enumerate(blocks(variant)):
        with tf.variable_scope(f"block{number}"):
            entry, channels = x, x.shape[-1]
            if block.expansion > 1:
                x = tf.nn.relu6(conv_bn(x, "expand", block.expansion * channels, forward))
            x = tf.nn.relu6(depthwise_bn(x, "depthwise", forward, block.size, block.stride))
            x = conv_bn(x, "project", block.filters, forward)
            if block.stride == 1 and block.filters == channels:
                x += entry
    return tf.reduce_mean(tf.nn.relu6(conv_bn(x, "head", FEATURES, forward)), [1, 2])
