"""F with a softmax classifier on top, to pretrain F on labelled images of other classes."""
from typing import NamedTuple

from model import backbones
from model.augmentation import standardise
from model.tf1 import tf


class Losses(NamedTuple):
    """Scalars. total: mean softmax cross-entropy in nats; accuracy: of the batch, 0 to 1."""

    total: tf.Tensor
    accuracy: tf.Tensor


def loss_graph(images, labels, config, fast=False):
    """images: standardised float32 [B, 32, 32, 3]; labels: int32 [B].

    Returns (Losses, the operation that updates F's moving averages). `fast` as in `backbones.features`.
    """
    seen = backbones.features(config.backbone, images, config.n_CLASSES, training=True, fast=fast)
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=seen.raw)
    right = tf.equal(tf.argmax(seen.raw, axis=1, output_type=tf.int32), labels)
    accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
    return Losses(tf.reduce_mean(cross_entropy), accuracy), backbones.update_statistics(seen)


def prediction(images, config, fast=False):
    """The class of each of uint8 [B, 32, 32, 3] images, int64 [B]. `fast` as in `backbones.features`."""
    features = backbones.features(config.backbone, standardise(images), config.n_CLASSES, training=False,
                                  fast=fast)
    return tf.argmax(features.raw, axis=1)
