"""What DQN and DTQ share: features z, the tanh of F's output, whose parts are coded by codebooks that k-means finds
(utils.fitting.product).

B images, M codebooks of K words of d numbers. `config` is any object with the settings of config.py.
"""
from model import quantizer
from model.baselines import deep
from model.networks.spatial import DIRECT
from model.retrieval import Retrieval
from model.tf1 import tf


def _codebooks(config):
    """float32 [M, K, d], which no gradient reaches."""
    return deep.own_variable(config, "codebooks", [deep.n_book(config), deep.WORDS, deep.LENGTH],
                             tf.zeros_initializer(), trainable=False)


def width(config):
    """Numbers in z, M * d."""
    return deep.n_book(config) * deep.LENGTH


def features(images, config, spatial=DIRECT):
    """z of uint8 [B, H, W, 3] images or vectors: float32 [B, M * d]. `spatial` as in `backbones.features`."""
    return tf.tanh(deep.features(images, config, width(config), spatial))


def quantization(z, config):
    """The mean of |z - q|^2, a scalar, for the nearest codewords q of z, float32 [B, M * d], by the codebooks as they
    are; 0 until they are fitted."""
    codebooks = _codebooks(config)
    distances = quantizer.squared_distances(quantizer.split(z, deep.n_book(config)),
                                            tf.transpose(codebooks, [1, 0, 2]))
    fitted = tf.cast(tf.reduce_any(tf.not_equal(codebooks, 0)), tf.float32)
    return fitted * tf.reduce_mean(tf.reduce_sum(tf.reduce_min(distances, axis=2), axis=1))


def retrieval_graph(images, config, spatial=DIRECT):
    """A Retrieval of uint8 [B, H, W, 3] images or vectors: z, the nearest codeword of each part, and the codebooks. A
    query's inner product with a code's joined codewords ranks. `spatial` as in `backbones.features`."""
    z, codebooks = features(images, config, spatial), _codebooks(config)
    codes = quantizer.nearest(quantizer.split(z, deep.n_book(config)), tf.transpose(codebooks, [1, 0, 2]))
    return Retrieval(z, codes, codebooks)
