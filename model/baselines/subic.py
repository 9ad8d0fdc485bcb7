"""SUBIC (Jain et al., SUBIC: A Supervised, Structured Binary Code for Image Search, ICCV 2017).

Certain, read in the authors' code: blocks of softmax on a ReLU, the three parts of the loss, each weighed 1, codes by
the largest number of a block, and queries by the numbers before the softmax. Ours: F in place of their network; blocks
of 16 for every length, where they have 2 of 64 for 12 bits. If ReLU zeroes a whole
block, it gets no gradient; the log's `mean_entropy` then stays high.

B images, M blocks of K numbers.
"""
import math

from gpq.model import losses
from gpq.model.baselines import deep
from gpq.model.method import Retrieval, weighted
from gpq.model.networks import layers
from gpq.model.tf1 import tf


def entropy(p):
    """Of blocks of probabilities, float32 [..., M, K]: their mean over the blocks, in units of log K, float32 [...]."""
    return -tf.reduce_mean(tf.reduce_sum(tf.math.xlogy(p, p), axis=-1), axis=-1) / math.log(int(p.shape[-1]))


def losses_of(z, logits, labels):
    """The losses of blocks z, float32 [B, M, K], each of which sums to 1, and logits float32 [B, C] made of them.

    classification: cross-entropy over the logarithm of the number of classes; mean_entropy: of the blocks of an image,
    which should be low, so that they are nearly one-hot; batch_entropy: of the blocks' means over the batch, which
    should be high, so that all codewords are used, both 0 to 1; total: the first two less the third. labels: bool
    [B, C], one or several a row, which count alike.
    """
    return weighted({"classification": (1, losses.cross_entropy(labels, logits) / math.log(int(logits.shape[1]))),
                     "mean_entropy": (1, tf.reduce_mean(entropy(z))),
                     "batch_entropy": (-1, entropy(tf.reduce_mean(z, axis=0)))})


class SUBIC(deep.Deep):
    """Blocks of softmax on F, and a classifier on them."""

    name = "subic"

    @property
    def dimension(self):
        """Numbers of all blocks, M * K."""
        return self.n_book * deep.WORDS

    def blocks(self, raw):
        """The activations of F's output, float32 [B, M * K], as float32 [B, M, K], not below 0."""
        return tf.nn.relu(tf.reshape(raw, [-1, self.n_book, deep.WORDS]))

    def losses(self, batches, step):
        """As `losses_of`. batches: {"labelled": training.Batch}."""
        raw, averages = self.training_features(batches, step)
        z = tf.nn.softmax(self.blocks(raw))
        with self.scope():
            logits = layers.dense(tf.reshape(z, [-1, self.dimension]), self.config.n_CLASSES, "classifier")
        return losses_of(z, logits, batches["labelled"].labels), averages

    def retrieval(self, images):
        """A code names the largest number of each block; its codewords are one-hot, so that their inner product with a
        query's activations adds up those that the code names."""
        blocks = self.blocks(self.F(images))
        one_hot = tf.tile(tf.eye(deep.WORDS)[tf.newaxis], [self.n_book, 1, 1])
        codes = tf.cast(tf.argmax(blocks, axis=2), tf.uint8)
        return Retrieval(tf.reshape(blocks, [-1, self.dimension]), codes, one_hot)
