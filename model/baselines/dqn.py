"""DQN (Cao et al., Deep Quantization Network for Efficient Image Retrieval, AAAI 2016).

Certain, read in the public code (thulab/DeepHash): the loss and its weights, the second of which is 0 until there are
codebooks; k-means in each part of the features every two epochs; and the query's features ranked by their inner product
with the reconstruction, though the loss takes cosines. There the codewords of other parts are 0, so the code that it
searches for in rounds is simply the nearest word of each part. Ours: 12 numbers a part in place of 300 in all, and 16
codewords in place of 256, so that every length is made of 4 bits.

`config` is any object with the settings of config.py; nothing else is read.
"""
from typing import NamedTuple

from model.baselines import deep, pairs, tanh_codes
from model.networks.spatial import DIRECT
from model.tf1 import tf

LAM = 1e-4


class Losses(NamedTuple):
    """Scalars. similarity: of pairs; quantization: times its weight; total: both."""

    similarity: tf.Tensor
    quantization: tf.Tensor
    total: tf.Tensor


def similarity(z, labels):
    """The pairwise cosine loss, a scalar: the mean over all pairs of (s - cos(z_i, z_j))^2, where s is 1 for images
    that share a label and else -1. z: float32 [B, D]; labels: bool [B, L]."""
    unit = tf.nn.l2_normalize(z, axis=1)
    s = tf.where_v2(pairs.alike(labels), 1., -1.)
    return tf.reduce_mean(tf.math.squared_difference(s, tf.matmul(unit, unit, transpose_b=True)))


def training_losses(batches, config, step, spatial=DIRECT):
    """The losses of a step. batches: {"labelled": training.Batch}; step: its number, integer scalar. Returns (Losses,
    the operation that updates F's moving averages). `spatial` as in `backbones.features`."""
    raw, averages = deep.seen(batches, config, step, tanh_codes.width(config), spatial)
    z = tf.tanh(raw)
    paired, quantized = similarity(z, batches["labelled"].labels), LAM * tanh_codes.quantization(z, config)
    return Losses(paired, quantized, paired + quantized), averages


retrieval_graph = tanh_codes.retrieval_graph
