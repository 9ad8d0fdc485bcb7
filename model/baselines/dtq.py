"""DTQ (Liu et al., Deep Triplet Quantization, ACM Multimedia 2018).

Certain, read in the authors' code (thulab/DeepHash): the triplet loss on tanh features, its margin of 30 for 64
features, negatives drawn from those of a group that violate the margin, and codebooks fitted anew for the search. The
weight of the quantization is the one that its authors advise; their code has 0. The paper's loss also asks codebooks to
be orthogonal, from memory, unchecked; their code has no such part, and codebooks of different parts are orthogonal
here. Ours: a batch is a group, a margin in proportion to the features, parts with codebooks of their own in place of
codewords that are added, and codebooks that are fitted to the labelled images, as DQN's.

`config` is any object with the settings of config.py; nothing else is read.
"""
from typing import NamedTuple

from model.baselines import deep, pairs, tanh_codes
from model.networks.spatial import DIRECT
from model.tf1 import tf

LAM = 1e-4
MARGIN = 30 / 64  # squared distance, a number of z
EACH = 8  # triplets of an anchor in a step, at most


class Losses(NamedTuple):
    """Scalars. triplet: over the hard triplets; quantization: times its weight; total: both."""

    triplet: tf.Tensor
    quantization: tf.Tensor
    total: tf.Tensor


def group_hard(z, labels, margin, step):
    """The triplet loss, a scalar: the mean of max(0, margin + |z - z+|^2 - |z - z-|^2).

    An anchor z comes EACH times, with an image z+ that shares a label with it, drawn at random from the batch, and an
    image z- that shares none, drawn from those nearer than |z - z+|^2 + margin. Where there is no such image, there is
    no triplet. z: float32 [B, D]; labels: bool [B, L]; margin: a squared distance; step: integer scalar, which decides
    the draw.
    """
    same, distances = pairs.alike(labels), pairs.squared_distances(z)
    positives = pairs.others(same)
    near = tf.gather(distances, pairs.pick(positives, step, "positive", EACH), batch_dims=1)
    # The negatives from the nearest on, so that hard ones are the first.
    nearest = tf.nn.top_k(-tf.where_v2(same, float("inf"), tf.stop_gradient(distances)), z.shape[0])
    n_hard = tf.searchsorted(-nearest.values, near + margin)
    negative = tf.gather(nearest.indices, pairs.below(n_hard, step, "negative", EACH), batch_dims=1)
    far = tf.gather(distances, negative, batch_dims=1)
    return pairs.mean_of(margin + near - far, (n_hard > 0) & tf.reduce_any(positives, axis=1, keepdims=True))


def training_losses(batches, config, step, spatial=DIRECT):
    """The losses of a step. batches: {"labelled": training.Batch}; step: its number, integer scalar. Returns (Losses,
    the operation that updates F's moving averages). `spatial` as in `backbones.features`."""
    width = tanh_codes.width(config)
    raw, averages = deep.seen(batches, config, step, width, spatial)
    z = tf.tanh(raw)
    triplet = group_hard(z, batches["labelled"].labels, MARGIN * width, step)
    quantized = LAM * tanh_codes.quantization(z, config)
    return Losses(triplet, quantized, triplet + quantized), averages


retrieval_graph = tanh_codes.retrieval_graph
