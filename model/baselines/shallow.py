"""The shallow baselines of GPQ's table 2, of what a network that is not trained here sees: ITQ, SH, SDH, PQ, OPQ, LOPQ.

Their variables are fitted once to images, most without labels, and named by the method: `itq/projection`. x: float32
[B, D], of images; in `found` float [n, D], of the images fitted to. M = n_bits / 4 codebooks.
"""
import numpy as np

from gpq.model.baselines import hamming
from gpq.model.fitting import hashing, product
from gpq.model.fitting.product import CELLS, WORDS
from gpq.model.method import Method, Retrieval
from gpq.model.networks.layers import variable
from gpq.model.tf1 import tf


class Shallow(Method):
    """A method without steps."""

    roles = ("examples",)
    distance = "squared"

    def features_for_fit(self, images):
        """What the network sees before its last layer, each at length 1: float32 [B, D]."""
        return tf.nn.l2_normalize(self.F(images), axis=1)

    def fit(self, given, step):
        """All that the method learns, at once."""
        return {f"{self.name}/{name}": array for name, array in self.found(given.features(), given.labels).items()}

    def found(self, x, labels):
        """{variable's name: array}. labels: bool [n, L]."""
        raise NotImplementedError

    def retrieval(self, images):
        """The Retrieval of images or vectors."""
        return self.coded(self.features_for_fit(images))

    def coded(self, x):
        """The Retrieval of features of length 1."""
        raise NotImplementedError

    def fitted(self, name, *shape):
        """A variable of the method, zero until it is loaded."""
        with tf.variable_scope(self.name, reuse=tf.AUTO_REUSE):
            return variable(name, shape, tf.zeros_initializer(), trainable=False)


def squared_distances(x, points):
    """x: float32 [B, D], points: float32 [P, D]. Returns float32 [B, P]."""
    squares = tf.reduce_sum(x ** 2, axis=1, keepdims=True) + tf.reduce_sum(points ** 2, axis=1)
    return tf.maximum(squares - 2 * tf.matmul(x, points, transpose_b=True), 0)


class ITQ(Shallow):
    """Iterative quantization (Gong and Lazebnik, CVPR 2011): the signs of (x - mean) W R, where W are the principal
    axes and R the rotation that brings the training vectors nearest to their signs."""

    name = "itq"

    def found(self, x, labels):
        return hashing.itq(x, self.config.n_bits, self.config.seed)

    def coded(self, x):
        mean, projection = self.fitted("mean", x.shape[1]), self.fitted("projection", x.shape[1], self.config.n_bits)
        return hamming.retrieval(tf.matmul(x - mean, projection) >= 0)


class SH(Shallow):
    """Spectral hashing (Weiss, Torralba and Fergus, NIPS 2008): a bit is the sign of sin(pi/2 + w y), an eigenfunction
    of the Laplacian of evenly spread data, where y goes along one principal axis from its lowest training value."""

    name = "sh"

    def found(self, x, labels):
        return hashing.sh(x, self.config.n_bits)

    def coded(self, x):
        n_bits = self.config.n_bits
        projection = self.fitted("projection", x.shape[1], n_bits)
        lowest, frequency = self.fitted("lowest", n_bits), self.fitted("frequency", n_bits)
        return hamming.retrieval(tf.sin(np.pi / 2 + frequency * (tf.matmul(x, projection) - lowest)) >= 0)


class SDH(Shallow):
    """Supervised discrete hashing (Shen et al., CVPR 2015): the signs of phi(x) P and a constant, where phi is how near
    x is to each anchor, exp(-|x - anchor|^2 / 2 sigma^2)."""

    name = "sdh"
    roles = ("labelled",)

    def found(self, x, labels):
        config = self.config
        return hashing.sdh(x, labels, config.n_bits, config.seed, config.n_anchors, config.sigma)

    def coded(self, x):
        config = self.config
        anchors = self.fitted("anchors", config.n_anchors, x.shape[1])
        phi = tf.exp(-squared_distances(x, anchors) / (2 * config.sigma ** 2))
        projection = self.fitted("projection", config.n_anchors, config.n_bits)
        return hamming.retrieval(tf.matmul(phi, projection) + self.fitted("constant", config.n_bits) >= 0)


class PQ(Shallow):
    """Product quantization (Jegou et al., TPAMI 2011): each of M parts of x, zeros behind the last, is coded by its
    nearest codeword; distances are squared and asymmetric."""

    name = "pq"

    def found(self, x, labels):
        return product.pq(x, self.config.n_bits, self.config.seed)

    def parted(self, x, width):
        """x as the M parts are cut from it: float32 [B, width]."""
        return tf.pad(x, [[0, 0], [0, width - int(x.shape[1])]])

    def coded(self, x):
        n_book = self.config.n_bits // 4
        part = -(-int(x.shape[1]) // n_book)
        y = self.parted(x, n_book * part)
        codebooks = self.fitted("codebooks", n_book, WORDS, part)
        products = tf.einsum("bmd,mkd->bmk", tf.reshape(y, [-1, n_book, part]), codebooks)
        distances = tf.reduce_sum(codebooks ** 2, axis=2) - 2 * products
        return Retrieval(y, tf.cast(tf.argmin(distances, axis=2), tf.uint8), codebooks)


class OPQ(PQ):
    """Optimized product quantization (Ge et al., CVPR 2013): PQ of x R, where R, a rotation, is found together with the
    codebooks."""

    name = "opq"

    def found(self, x, labels):
        return product.opq(x, self.config.n_bits, self.config.seed)

    def parted(self, x, width):
        return tf.matmul(x, self.fitted("rotation", x.shape[1], width))


class LOPQ(Shallow):
    """Locally optimized product quantization (Kalantidis and Avrithis, CVPR 2014): the nearest of 16 cells, then OPQ of
    x - cell by a rotation and codebooks of the cell's own.

    The cell's 4 bits count, so n_bits / 4 - 1 codebooks are left. `words`, [M, cells, K, D], are turned back to where x
    is, so no rotation is needed: words of different books are at right angles. A code's byte is 16 * cell + word, and
    its codewords add up to the reconstruction, each with its share of the cell.
    """

    name = "lopq"
    added = True

    def found(self, x, labels):
        return product.lopq(x, self.config.n_bits, self.config.seed)

    def coded(self, x):
        n_book, dimension = self.config.n_bits // 4 - 1, x.shape[1]
        cells = self.fitted("cells", CELLS, dimension)
        words = self.fitted("words", n_book, CELLS, WORDS, dimension)
        cell = tf.argmin(squared_distances(x, cells), axis=1, output_type=tf.int32)
        local = x - tf.gather(cells, cell)
        distances = tf.reduce_sum(words ** 2, axis=3) - 2 * tf.einsum("bd,mvkd->bmvk", local, words)
        here = tf.gather(tf.transpose(distances, [0, 2, 1, 3]), cell, batch_dims=1)
        codes = WORDS * cell[:, tf.newaxis] + tf.argmin(here, axis=2, output_type=tf.int32)
        codebooks = tf.reshape(words + cells[:, tf.newaxis] / n_book, [n_book, CELLS * WORDS, dimension])
        return Retrieval(x, tf.cast(codes, tf.uint8), codebooks)
