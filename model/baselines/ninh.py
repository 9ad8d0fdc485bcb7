"""NINH (Lai, Pan, Liu and Yan, Simultaneous Feature Learning and Hash Coding with Deep Neural Networks, CVPR 2015).

Certain, from a public port (HYPJUDY/caffe-dnnh): the triplet ranking loss with margin 1 on bits between 0 and 1, and
the divide-and-encode layer of 50 features a bit. Ours: F in place of the network in network, hence a dense layer to
these features, with ReLU. The paper's threshold, which sets bits beyond 0.5 +- epsilon to 0 or 1, is left out as in the
port: its epsilon is not known to us.
"""
from typing import NamedTuple

from model.baselines import deep, hamming, pairs
from model.networks import layers
from model.networks.spatial import DIRECT
from model.tf1 import tf

SCOPE = "ninh"
SLICE = 50  # features that a bit is made of
MARGIN = 1.0


class Losses(NamedTuple):
    """A scalar. total: the triplet loss."""

    total: tf.Tensor


def scores(x, config):
    """Divide and encode: each bit is made of a slice of 50 features of its own, and of no other. x: float32 [B, D].
    Returns float32 [B, n_bits], before the sigmoid."""
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        slices = tf.reshape(tf.nn.relu(layers.dense(x, SLICE * config.n_bits, "features")), [-1, config.n_bits, SLICE])
        kernel = layers.variable("kernel", [config.n_bits, SLICE])
        bias = layers.variable("bias", [config.n_bits], tf.zeros_initializer())
    return tf.einsum("bqs,qs->bq", slices, kernel) + bias


def training_losses(batches, config, step, spatial=DIRECT):
    """The loss of a step. batches: {"labelled": training.Batch}; step: its number, integer scalar. Returns (Losses, the
    operation that updates F's moving averages). `spatial` as in `backbones.features`."""
    x, averages = deep.seen(batches, config, step, spatial=spatial)
    return Losses(pairs.triplet(tf.sigmoid(scores(x, config)), batches["labelled"].labels, MARGIN, step)), averages


def retrieval_graph(images, config, spatial=DIRECT):
    """The Retrieval of uint8 [B, H, W, 3] images or vectors, whose distance is Hamming's: a bit is 1 where its score is
    above 0. `spatial` as in `backbones.features`."""
    return hamming.retrieval(scores(deep.features(images, config, spatial=spatial), config) > 0)
