"""Binary codes in the house's layout: four bits are a codeword's number, and Hamming distance is a squared distance."""
from gpq.model.method import Retrieval
from gpq.model.tf1 import tf

NIBBLE = 4  # bits of a symbol


def codewords(n_book):
    """The 16 patterns of four bits, each bit +1/2 or -1/2, the highest first: float32 [n_book, 16, 4], all books alike.
    """
    numbers, places = tf.range(2 ** NIBBLE)[:, tf.newaxis], tf.range(NIBBLE - 1, -1, -1)
    bits = tf.bitwise.right_shift(numbers, places) & 1
    return tf.tile(tf.cast(bits, tf.float32)[tf.newaxis] - 0.5, [n_book, 1, 1])


def retrieval(bits):
    """bits: bool [B, n_bits], n_bits a multiple of 4. Returns the Retrieval of which the squared distance of a query,
    bits of +-1/2, to a code is the number of bits in which they differ."""
    n_book = bits.shape[1] // NIBBLE
    nibbles = tf.reshape(tf.cast(bits, tf.int32), [-1, n_book, NIBBLE])
    codes = tf.reduce_sum(nibbles * [8, 4, 2, 1], axis=2)
    return Retrieval(tf.cast(bits, tf.float32) - 0.5, tf.cast(codes, tf.uint8), codewords(n_book))
