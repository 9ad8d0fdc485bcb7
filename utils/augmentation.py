"""Random flip and crop inside the graph, with stateless seeds: the host sends uint8 bytes, a run is repeatable."""
from model.backbones import standardise
from model.tf1 import tf

PADDING = 4


def augment(images, seed):
    """Standardise, flip with probability 1/2, crop at random from the image padded by 4 zeros (release).

    images: uint8 [B, H, W, C]; seed: int32 [2], another for every batch. Returns float32 [B, H, W, C].
    """
    batch, height, width, _ = images.shape
    padded = tf.pad(standardise(images), [[0, 0], [PADDING, PADDING], [PADDING, PADDING], [0, 0]])
    draws = tf.random.stateless_uniform([2, batch, 1], seed, 0, 2 * PADDING + 1, tf.int32)
    rows = draws[0] + tf.range(height)
    columns = draws[1] + tf.range(width)
    # A flipped image's columns are read from the right; its crop is as random as an unflipped one's.
    flip = tf.random.stateless_uniform([batch, 1], seed + [0, 1], 0, 2, tf.int32)
    columns = tf.where_v2(tf.equal(flip, 1), tf.reverse(columns, [1]), columns)
    cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
    each_row = tf.broadcast_to(columns[:, tf.newaxis], [batch, height, width])
    return tf.gather(cropped, each_row, axis=2, batch_dims=2)
