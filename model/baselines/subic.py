"""SUBIC (Jain et al., SUBIC: A Supervised, Structured Binary Code for Image Search, ICCV 2017).

Certain, read in the authors' code: blocks of softmax on a ReLU, the three parts of the loss, each weighed 1, codes by
the largest number of a block, and queries by the numbers before the softmax. Ours: F in place of their network; blocks
of 16 for every length, where they have 2 of 64 for 12 bits. A block that the ReLU makes 0 throughout learns nothing
from its image; the log's `mean_entropy` then stays high.

B images, M blocks of K numbers. `config` is any object with the settings of config.py; nothing else is read.
"""
import math
from typing import NamedTuple

from model import losses
from model.baselines import deep
from model.networks import layers
from model.networks.spatial import DIRECT
from model.retrieval import Retrieval
from model.tf1 import tf


class Losses(NamedTuple):
    """Scalars. classification: cross-entropy over the logarithm of the number of classes; mean_entropy: of the blocks
    of an image, which should be low, so that they are nearly one-hot; batch_entropy: of the blocks' means over the
    batch, which should be high, so that all codewords are used, both 0 to 1; total: the first two less the third."""

    classification: tf.Tensor
    mean_entropy: tf.Tensor
    batch_entropy: tf.Tensor
    total: tf.Tensor


def _blocks(raw, config):
    """The activations of F's output, float32 [B, M * K], as float32 [B, M, K], not below 0."""
    return tf.nn.relu(tf.reshape(raw, [-1, deep.n_book(config), deep.WORDS]))


def entropy(p):
    """Of blocks of probabilities, float32 [..., M, K]: their mean over the blocks, in units of log K, float32 [...]."""
    return -tf.reduce_mean(tf.reduce_sum(tf.math.xlogy(p, p), axis=-1), axis=-1) / math.log(int(p.shape[-1]))


def losses_of(z, logits, labels):
    """Losses of blocks z, float32 [B, M, K], each of which sums to 1, and logits float32 [B, C] that were made of them.
    labels: bool [B, C], one or several a row, which count alike."""
    classification = losses.cross_entropy(labels, logits) / math.log(int(logits.shape[1]))
    mean_entropy, batch_entropy = tf.reduce_mean(entropy(z)), entropy(tf.reduce_mean(z, axis=0))
    return Losses(classification, mean_entropy, batch_entropy, classification + mean_entropy - batch_entropy)


def training_losses(batches, config, step, spatial=DIRECT):
    """The losses of a step. batches: {"labelled": training.Batch}; step: its number, integer scalar. Returns (Losses,
    the operation that updates F's moving averages). `spatial` as in `backbones.features`."""
    width = deep.n_book(config) * deep.WORDS
    raw, averages = deep.seen(batches, config, step, width, spatial)
    z = tf.nn.softmax(_blocks(raw, config))
    with tf.variable_scope(config.method, reuse=tf.AUTO_REUSE):
        logits = layers.dense(tf.reshape(z, [-1, width]), config.n_CLASSES, "classifier")
    return losses_of(z, logits, batches["labelled"].labels), averages


def retrieval_graph(images, config, spatial=DIRECT):
    """A Retrieval of uint8 [B, H, W, 3] images or vectors. A code names the largest number of each block; its codewords
    are one-hot, so that their inner product with a query's activations adds up those that the code names. `spatial` as
    in `backbones.features`."""
    n_book = deep.n_book(config)
    blocks = _blocks(deep.features(images, config, n_book * deep.WORDS, spatial), config)
    one_hot = tf.tile(tf.eye(deep.WORDS)[tf.newaxis], [n_book, 1, 1])
    codes = tf.cast(tf.argmax(blocks, axis=2), tf.uint8)
    return Retrieval(tf.reshape(blocks, [-1, n_book * deep.WORDS]), codes, one_hot)
