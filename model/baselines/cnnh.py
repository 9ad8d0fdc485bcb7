"""CNNH (Xia et al., Supervised Hashing for Image Retrieval via Image Representation Learning, AAAI 2014).

Stage 1 finds the codes of the labelled images from their similarities (utils.fitting.similarity), stage 2, here, is to
teach F to give them. The paper's loss of stage 2 is from memory, unchecked: a classification of each bit; hence the
sigmoid cross-entropy, which is ours, where public ports take a squared error. The codes are a variable that no gradient
reaches, so that a training can be resumed.
"""
from typing import NamedTuple

from model.baselines import deep, hamming
from model.networks import layers
from model.networks.spatial import DIRECT
from model.tf1 import tf

SCOPE = "cnnh"


class Losses(NamedTuple):
    """Scalars. total: mean cross-entropy of a bit in nats; right: the share of bits that are as stage 1 has them."""

    total: tf.Tensor
    right: tf.Tensor


def scores(x, config):
    """x: float32 [B, D]. Returns float32 [B, n_bits], before the sigmoid."""
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        return layers.dense(x, config.n_bits, "bits")


def regression(given, codes):
    """The Losses of scores `given`, float32 [B, n_bits], against codes, float32 [B, n_bits] of +-1."""
    bits = tf.cast(codes > 0, tf.float32)
    right = tf.cast(tf.equal(given > 0, codes > 0), tf.float32)
    return Losses(tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=bits, logits=given)),
                  tf.reduce_mean(right))


def training_losses(batches, config, step, spatial=DIRECT):
    """The loss of a step. batches: {"labelled": training.Batch}, whose `places` say which codes of stage 1 are theirs;
    step: its number, integer scalar. Returns (Losses, the operation that updates F's moving averages). `spatial` as in
    `backbones.features`."""
    batch = batches["labelled"]
    x, averages = deep.seen(batches, config, step, spatial=spatial)
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        codes = layers.variable("codes", [batch.count, config.n_bits], tf.zeros_initializer(), trainable=False)
    return regression(scores(x, config), tf.gather(codes, batch.places)), averages


def retrieval_graph(images, config, spatial=DIRECT):
    """The Retrieval of uint8 [B, H, W, 3] images or vectors, whose distance is Hamming's: a bit is 1 where its score is
    above 0. `spatial` as in `backbones.features`."""
    return hamming.retrieval(scores(deep.features(images, config, spatial=spatial), config) > 0)
