"""The shallow baselines of GPQ's table 2, of what a network that is not trained here sees: ITQ, SH, SDH, PQ, OPQ, LOPQ.

Each graph takes uint8 [B, H, W, 3] images, or vectors float [B, D], to a Retrieval, by variables that utils.fitting
finds from the labelled images. `config` is any object with the settings of config.py; nothing else is read. A variable
is named by its method: `itq/projection`.
"""
import numpy as np

from model import backbones
from model.baselines import hamming
from model.networks.layers import variable
from model.networks.spatial import DIRECT
from model.retrieval import Retrieval
from model.tf1 import tf

WORDS = 16  # codewords of a codebook, so that 4 bits are a symbol
CELLS = 16  # of LOPQ; cell and word share a byte


def unit_features(images, config, spatial=DIRECT):
    """What the network sees before its last layer, each at length 1: float32 [B, D]. `spatial` as in
    `backbones.features`."""
    standardised = backbones.network(config.backbone).standardise(images)
    raw = backbones.features(config.backbone, standardised, None, training=False, spatial=spatial,
                             side=config.input_side).raw
    return tf.nn.l2_normalize(raw, axis=1)


def _fitted(config, name, shape):
    """A variable of the method, zero until it is loaded."""
    with tf.variable_scope(config.method, reuse=tf.AUTO_REUSE):
        return variable(name, shape, tf.zeros_initializer(), trainable=False)


def _squared_distances(x, points):
    """x: float32 [B, D], points: float32 [P, D]. Returns float32 [B, P]."""
    squares = tf.reduce_sum(x ** 2, axis=1, keepdims=True) + tf.reduce_sum(points ** 2, axis=1)
    return tf.maximum(squares - 2 * tf.matmul(x, points, transpose_b=True), 0)


def itq(images, config, spatial=DIRECT):
    """Iterative quantization (Gong and Lazebnik, CVPR 2011): the signs of (x - mean) W R, where W are the principal
    axes and R the rotation that brings the training vectors nearest to their signs."""
    x = unit_features(images, config, spatial)
    mean, projection = _fitted(config, "mean", x.shape[1:]), _fitted(config, "projection", [x.shape[1], config.n_bits])
    return hamming.retrieval(tf.matmul(x - mean, projection) >= 0)


def sh(images, config, spatial=DIRECT):
    """Spectral hashing (Weiss, Torralba and Fergus, NIPS 2008): a bit is the sign of sin(pi/2 + w y), an eigenfunction
    of the Laplacian of evenly spread data, where y goes along one principal axis from its lowest training value."""
    x = unit_features(images, config, spatial)
    projection = _fitted(config, "projection", [x.shape[1], config.n_bits])
    lowest, frequency = _fitted(config, "lowest", [config.n_bits]), _fitted(config, "frequency", [config.n_bits])
    return hamming.retrieval(tf.sin(np.pi / 2 + frequency * (tf.matmul(x, projection) - lowest)) >= 0)


def sdh(images, config, spatial=DIRECT):
    """Supervised discrete hashing (Shen et al., CVPR 2015): the signs of phi(x) P and a constant, where phi is how near
    x is to each anchor, exp(-|x - anchor|^2 / 2 sigma^2)."""
    x = unit_features(images, config, spatial)
    anchors = _fitted(config, "anchors", [config.n_anchors, x.shape[1]])
    phi = tf.exp(-_squared_distances(x, anchors) / (2 * config.sigma ** 2))
    projection = _fitted(config, "projection", [config.n_anchors, config.n_bits])
    return hamming.retrieval(tf.matmul(phi, projection) + _fitted(config, "constant", [config.n_bits]) >= 0)


def _parts(x, config):
    """How many parts product quantization cuts x, float32 [B, D], into, and of how many numbers."""
    n_book = config.n_bits // 4
    return n_book, -(-int(x.shape[1]) // n_book)


def _product_quantization(y, config, n_book, part):
    """The Retrieval of y, float32 [B, n_book * part], where each part is coded by the nearest of its own codewords."""
    codebooks = _fitted(config, "codebooks", [n_book, WORDS, part])
    products = tf.einsum("bmd,mkd->bmk", tf.reshape(y, [-1, n_book, part]), codebooks)
    distances = tf.reduce_sum(codebooks ** 2, axis=2) - 2 * products
    return Retrieval(y, tf.cast(tf.argmin(distances, axis=2), tf.uint8), codebooks)


def pq(images, config, spatial=DIRECT):
    """Product quantization (Jegou et al., TPAMI 2011): each of M = n_bits / 4 parts of x, zeros behind the last, is
    coded by its nearest codeword; distances are squared and asymmetric."""
    x = unit_features(images, config, spatial)
    n_book, part = _parts(x, config)
    y = tf.pad(x, [[0, 0], [0, n_book * part - int(x.shape[1])]])
    return _product_quantization(y, config, n_book, part)


def opq(images, config, spatial=DIRECT):
    """Optimized product quantization (Ge et al., CVPR 2013): PQ of x R, where R, a rotation, is found together with the
    codebooks."""
    x = unit_features(images, config, spatial)
    n_book, part = _parts(x, config)
    y = tf.matmul(x, _fitted(config, "rotation", [x.shape[1], n_book * part]))
    return _product_quantization(y, config, n_book, part)


def lopq(images, config, spatial=DIRECT):
    """Locally optimized product quantization (Kalantidis and Avrithis, CVPR 2014): the nearest of 16 cells, then OPQ of
    x - cell by a rotation and codebooks of the cell's own.

    The cell's 4 bits count, so n_bits / 4 - 1 codebooks are left. `words`, [M, cells, K, D], are turned back to where x
    is, so no rotation is needed: words of different books are at right angles. A code's byte is 16 * cell + word, and
    its codewords add up to the reconstruction, each with its share of the cell.
    """
    x = unit_features(images, config, spatial)
    n_book, dimension = config.n_bits // 4 - 1, x.shape[1]
    cells = _fitted(config, "cells", [CELLS, dimension])
    words = _fitted(config, "words", [n_book, CELLS, WORDS, dimension])
    cell = tf.argmin(_squared_distances(x, cells), axis=1, output_type=tf.int32)
    local = x - tf.gather(cells, cell)
    distances = tf.reduce_sum(words ** 2, axis=3) - 2 * tf.einsum("bd,mvkd->bmvk", local, words)
    here = tf.gather(tf.transpose(distances, [0, 2, 1, 3]), cell, batch_dims=1)
    codes = WORDS * cell[:, tf.newaxis] + tf.argmin(here, axis=2, output_type=tf.int32)
    codebooks = tf.reshape(words + cells[:, tf.newaxis] / n_book, [n_book, CELLS * WORDS, dimension])
    return Retrieval(x, tf.cast(codes, tf.uint8), codebooks)
