"""Random variation inside the graph, with stateless seeds: the host sends uint8 bytes, a run is repeatable."""
from model.tf1 import tf

CHANNEL_MEAN = (125.642, 123.738, 114.46)
CHANNEL_STD = (63.01, 62.157, 66.94)


def standardise(images):
    """uint8 (or 0 to 255 float) [B, H, W, 3] to float32 of mean 0 and deviation 1 per channel (release)."""
    return (tf.cast(images, tf.float32) - CHANNEL_MEAN) / CHANNEL_STD


PADDING = 4
STEPS = 256  # to each side of what is drawn between -1 and 1
HOLE = 16


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


def distort(images, seed):
    """Vary images further: contrast and saturation by factors from 0.5 to 1.5, brightness by up to half a standard
    deviation, and a square of 16 x 16, which may reach over the edge, filled with the mean colour (Cutout, DeVries
    & Taylor, 2017).

    images: float32 [B, H, W, C], standardised; seed: int32 [2], another for every batch. Returns float32 [B, H, W, C].
    """
    batch, height, width, _ = images.shape
    # Integers, since TensorFlow and XLA draw other floats from the same seed.
    draws = tf.random.stateless_uniform([3, batch, 1, 1, 1], seed, -STEPS, STEPS + 1, tf.int32)
    contrast, saturation, brightness = tf.unstack(tf.cast(draws, tf.float32) / (2 * STEPS))
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    images = mean + (1 + contrast) * (images - mean)
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (1 + saturation) * (images - grey) + brightness

    corners = tf.random.stateless_uniform([2, batch, 1], seed + [0, 1], -HOLE // 2, height - HOLE // 2, tf.int32)
    rows, columns = (tf.range(side) - corner for side, corner in ((height, corners[0]), (width, corners[1])))
    hole = ((rows >= 0) & (rows < HOLE))[:, :, tf.newaxis] & ((columns >= 0) & (columns < HOLE))[:, tf.newaxis]
    return tf.where_v2(hole[..., tf.newaxis], 0., images)
