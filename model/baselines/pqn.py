"""PQN, the product quantization network (Yu et al., Product Quantization Network for Fast Image Retrieval, ECCV 2018).

No code by its authors was found. Sub-vectors and codewords of length 1, the soft assignment and its scale of 20 are
from somebody's summary of the paper; the asymmetric triplet loss, equation 15, is from that summary and from memory,
unchecked. Ours: 16 codewords a codebook, so that every length is made of 4 bits (the paper has 4 codebooks, from
memory, unchecked); s at length 1, as in GPQ's equation 1; and triplets that are made of each batch at random.

B images, M codebooks of K words, d numbers in a sub-vector. `config` is any object with the settings of config.py.
"""
from typing import NamedTuple

from model import quantizer
from model.baselines import deep, pairs
from model.networks.spatial import DIRECT
from model.retrieval import Retrieval
from model.tf1 import tf

ALPHA = 20.0  # scale of the soft assignment
EACH = 8  # triplets of an anchor in a step


class Losses(NamedTuple):
    """Scalars. total: the asymmetric triplet loss, between 0 and 1."""

    total: tf.Tensor


def _codewords(config):
    """Each of length 1: float32 [K, M, d]."""
    stored = deep.own_variable(config, "codebooks", [deep.n_book(config), deep.WORDS, deep.LENGTH])
    return quantizer.intra_normalise(tf.transpose(stored, [1, 0, 2]))


def _sub_vectors(raw, config):
    """F's output, float32 [B, M * d], as sub-vectors of length 1, float32 [B, M, d]."""
    return quantizer.intra_normalise(quantizer.split(raw, deep.n_book(config)))


def asymmetric_triplet(x, s, labels, step):
    """Equation 15, a scalar: the mean over triplets of sigmoid(<x, s-> - <x, s+>), without a margin.

    The features x of an anchor are compared with the softly quantized s of an image that shares a label with it, and of
    one that shares none, both drawn at random from the batch, EACH times an anchor. 0 where there is no triplet.
    x, s: float32 [B, D]; labels: bool [B, L]; step: integer scalar, which decides the draw.
    """
    same = pairs.alike(labels)
    right, wrong, both = pairs.drawn_pairs(tf.matmul(x, s, transpose_b=True), pairs.others(same), ~same, step,
                                           "triplet", EACH)
    return pairs.mean_of(tf.sigmoid(wrong - right), both)


def training_losses(batches, config, step, spatial=DIRECT):
    """The losses of a step. batches: {"labelled": training.Batch}; step: its number, integer scalar. Returns (Losses,
    the operation that updates F's moving averages). `spatial` as in `backbones.features`."""
    batch, dimension = batches["labelled"], deep.n_book(config) * deep.LENGTH
    raw, averages = deep.seen(batches, config, step, dimension, spatial)
    x = _sub_vectors(raw, config)
    s = quantizer.soft_assignment(x, _codewords(config), ALPHA)
    return Losses(asymmetric_triplet(quantizer.join(x), quantizer.join(s), batch.labels, step)), averages


def retrieval_graph(images, config, spatial=DIRECT):
    """A Retrieval of uint8 [B, H, W, 3] images or vectors: x, joined, the nearest codewords, and these, whose inner
    product with x ranks. `spatial` as in `backbones.features`."""
    x = _sub_vectors(deep.features(images, config, deep.n_book(config) * deep.LENGTH, spatial), config)
    codewords = _codewords(config)
    return Retrieval(quantizer.join(x), quantizer.hard_assignment(x, codewords), tf.transpose(codewords, [1, 0, 2]))
