"""F with a softmax classifier on top: it pretrains F on labelled images of other classes, and it retrieves.

`config` is any object with the settings of config.py; nothing else is read.
"""
from typing import NamedTuple

from model import backbones, losses
from model.networks.layers import update_moving_averages
from model.networks.spatial import DIRECT
from model.retrieval import Retrieval
from model.tf1 import tf


class Losses(NamedTuple):
    """Scalars. total: mean softmax cross-entropy in nats; accuracy: of the batch, 0 to 1."""

    total: tf.Tensor
    accuracy: tf.Tensor


def loss_graph(images, labels, config, spatial=DIRECT):
    """images: standardised float32 [B, H, W, 3]; labels: [B, n_CLASSES] as `losses.cross_entropy` takes.

    Returns (Losses, the operation that updates F's moving averages). `spatial` as in `backbones.features`.
    """
    seen = backbones.features(config.backbone, images, config.n_CLASSES, training=True, spatial=spatial,
                              batch="labelled", hidden=config.hidden, side=config.input_side)
    right = tf.equal(tf.argmax(seen.raw, axis=1), tf.argmax(tf.cast(labels, tf.float32), axis=1))
    accuracy = tf.reduce_mean(tf.cast(right, tf.float32))
    return Losses(losses.cross_entropy(labels, seen.raw), accuracy), update_moving_averages(seen.statistics)


def training_losses(batches, config, step, spatial=DIRECT):
    """The losses of a step: its batch varied at random, and what `loss_graph` makes of it.

    batches: {"labelled": training.Batch}, whose labels may be soft; step: its number, integer scalar. Returns (Losses,
    the operation that updates F's moving averages). `spatial` as in `backbones.features`.
    """
    batch = batches["labelled"]
    augmented, distorted = backbones.views(batch.images, "labelled", config, step)
    return loss_graph(distorted if config.augmentation == "strong" else augmented, batch.labels, config, spatial)


def retrieval_graph(images, config, spatial=DIRECT):
    """Ranking by predicted class (Sablayrolles et al., How should we evaluate supervised hashing?, ICASSP 2017).

    images: uint8 [B, H, W, 3]. Returns a Retrieval: features [B, C] are the probabilities of the classes, codes [B, 1]
    the likeliest class, and codebooks [1, K, C] a one-hot codeword for each class, then zeros up to a power of two. A
    query's inner product with the codeword of an image is the query's probability of that image's predicted class; its
    inner product with the image's features gives the unquantised ranking. `spatial` as in `backbones.features`. Raises
    ValueError where there are too many classes for one byte.
    """
    classes = config.n_CLASSES
    if classes > 256:
        raise ValueError(f"a code of one byte tells 256 classes apart, not {classes}")
    images = backbones.network(config.backbone).standardise(images)
    logits = backbones.features(config.backbone, images, classes, training=False, spatial=spatial,
                                hidden=config.hidden, side=config.input_side).raw
    codes = tf.cast(tf.argmax(logits, axis=1), tf.uint8)[:, tf.newaxis]
    codewords = tf.one_hot(tf.range(2 ** (classes - 1).bit_length()), classes)
    return Retrieval(tf.nn.softmax(logits), codes, codewords[tf.newaxis])
