"""Intra-normalisation, soft and hard assignment, and the codeword update (sections 3.1 and 3.2).

Sub-vectors have an axis of their own: features are [B, M, d], codebooks and prototypes [K, M, d] and [C, M, d],
for M codebooks of K codewords of d numbers and C classes.
"""
from gpq.model.tf1 import tf


def split(x, n_book):
    """float32 [B, M * d] to [B, M, d]."""
    return tf.reshape(x, [-1, n_book, x.shape[-1] // n_book])


def join(x):
    """float32 [B, M, d] to [B, M * d]."""
    return tf.reshape(x, [-1, x.shape[1] * x.shape[2]])


def intra_normalise(x):
    """l2-normalise each sub-vector. x: float32 [B, M, d], returned in the same shape (section 3.1)."""
    return tf.nn.l2_normalize(x, axis=-1)


def inner_products(x, codewords):
    """x: [B, M, d], codewords: [K, M, d]. Returns the products in each sub-space, float32 [B, M, K]."""
    return tf.einsum("bmd,kmd->bmk", x, codewords)


def soft_assignment(x, codewords, alpha):
    """Equation 1 with its sign mended (+alpha), l2-normalised.

    x: float32 [B, M, d], codewords: float32 [K, M, d]. Returns q, float32 [B, M, d].
    """
    weights = tf.nn.softmax(alpha * inner_products(x, codewords))
    return intra_normalise(tf.einsum("bmk,kmd->bmd", weights, codewords))


def hard_assignment(x, codewords):
    """The index of the nearest codeword by cosine (section 3.2).

    x: float32 [B, M, d], codewords: float32 [K, M, d]. Returns uint8 [B, M].
    """
    return tf.cast(tf.argmax(inner_products(x, intra_normalise(codewords)), axis=-1), tf.uint8)


def update_codewords(codebooks, prototypes, alpha, follow):
    """Z', each codeword softly assigned to the l2-normalised prototypes (last paragraph of 3.1).

    codebooks: float32 [K, M, d], prototypes: float32 [C, M, d], both as stored. Returns float32 [K, M, d].
    The paper l2-normalises the codewords first; the release takes them as they are.
    """
    if follow == "paper":
        codebooks = intra_normalise(codebooks)
    return soft_assignment(codebooks, intra_normalise(prototypes), alpha)


def squared_distances(x, codewords):
    """Between sub-vectors x, float32 [B, M, d], and codewords, float32 [K, M, d]: float32 [B, M, K]."""
    return tf.reduce_sum(tf.math.squared_difference(x[:, :, tf.newaxis], tf.transpose(codewords, [1, 0, 2])), axis=-1)


def soft_quantize_l2(x, codewords, scale):
    """The mean of the codewords by softmax(-scale * squared distance), nothing normalised (SPQ, as its release
    computes it).

    x: float32 [B, M, d], codewords: float32 [K, M, d]. Returns float32 [B, M, d].
    """
    weights = tf.nn.softmax(-scale * squared_distances(x, codewords))
    return tf.einsum("bmk,kmd->bmd", weights, codewords)


def nearest(x, codewords):
    """The index of the nearest codeword, the first of several, uint8 [B, M].

    x: float32 [B, M, d], codewords: float32 [K, M, d].
    """
    return tf.cast(tf.argmin(squared_distances(x, codewords), axis=-1), tf.uint8)
