"""Random variation inside the graph, with stateless seeds: the host sends uint8 bytes, a run is repeatable."""
import zlib

from gpq.model.networks.layers import dropout
from gpq.model.tf1 import tf

CHANNEL_MEAN = (125.642, 123.738, 114.46)
CHANNEL_STD = (63.01, 62.157, 66.94)
PADDING = 4
NOISE_LEVELS = 256  # strong_augment draws numbers from -1 to 1 in steps of 1 / NOISE_LEVELS
CUTOUT_SIZE = 16
# The streams of the first published runs, by the second number of their seeds at step 0; later steps add 4 each.
PUBLISHED = {"augment labelled": 0, "augment unlabelled": 2,
             "distort labelled": 2 ** 30, "distort unlabelled": 2 ** 30 + 2}


def standardise(images):
    """uint8 (or 0 to 255 float) [B, H, W, 3] to float32 of mean 0 and deviation 1 per channel (release)."""
    return (tf.cast(images, tf.float32) - CHANNEL_MEAN) / CHANNEL_STD


def stateless_seed(name, seed, step):
    """The seed of the random numbers `name` at a step, int32 [2], for tf.random.stateless_*.

    seed: the run's, from 0 to 2 ** 31 - 1; step: integer scalar from 0 to 2 ** 28 - 1. Other names and other steps have
    other seeds, also where [0, 1] is added for a second draw. Two names share one with a probability of 2 ** -31, and
    so does a name with the first published runs.
    """
    step = tf.cast(step, tf.int32)
    if name in PUBLISHED:
        return tf.stack([seed, 4 * step + PUBLISHED[name]])
    of_name = zlib.crc32(f"{seed} {name}".encode()) >> 1
    return tf.stack([of_name, 2 * step])  # not negative: of such a seed XLA draws other numbers than TensorFlow


def view(images, name, config, step, standardise=standardise):
    """Two variations of a step's batch `name`: (augmented, the same further distorted), float32 [B, H, W, 3] each.

    images: uint8 [B, H, W, 3]; config: has `seed`; step: as in `stateless_seed`; standardise: uint8 images to
    float32, the network's.
    """
    augmented = augment(images, stateless_seed(f"augment {name}", config.seed, step), standardise)
    return augmented, strong_augment(augmented, stateless_seed(f"distort {name}", config.seed, step))


def view_of_vectors(vectors, name, config, step, standardise):
    """Two variations of a step's batch `name` of vectors, of equal strength, float32 [B, D] each.

    vectors: float [B, D]; config: has `seed` and `dropout`; step: as in `stateless_seed`; standardise: the network's.
    """
    vectors = standardise(vectors)

    if not config.dropout:
        return vectors, vectors
    return tuple(dropout(vectors, config.dropout, stateless_seed(f"{which} drop {name}", config.seed, step))
                 for which in ("first", "second"))


def augment(images, seed, standardise=standardise):
    """Standardise, flip with probability 1/2, crop at random from the image padded by 4 zeros (release).

    images: uint8 [B, H, W, C]; seed: int32 [2], another for every batch; standardise: uint8 images to float32.
    Returns float32 [B, H, W, C].
    """
    _, height, width, _ = images.shape
    padded = tf.pad(standardise(images), [[0, 0], [PADDING, PADDING], [PADDING, PADDING], [0, 0]])
    return flip_and_crop(padded, height, width, seed)


def flip_and_crop(images, height, width, seed):
    """Flip with probability 1/2, crop [height, width] at random; both sides have the same room to spare.

    images: float32 [B, H, W, C], B static; seed: int32 [2], another for every batch. Returns float32
    [B, height, width, C].
    """
    batch, room = images.shape[0], images.shape[1] - height
    draws = tf.random.stateless_uniform([2, batch, 1], seed, 0, room + 1, tf.int32)
    rows = draws[0] + tf.range(height)
    columns = draws[1] + tf.range(width)
    # A flipped image's columns are read from the right; its crop is as random as an unflipped one's.
    flip = tf.random.stateless_uniform([batch, 1], seed + [0, 1], 0, 2, tf.int32)
    columns = tf.where_v2(tf.equal(flip, 1), tf.reverse(columns, [1]), columns)
    cropped = tf.gather(images, rows, axis=1, batch_dims=1)
    each_row = tf.broadcast_to(columns[:, tf.newaxis], [batch, height, width])
    return tf.gather(cropped, each_row, axis=2, batch_dims=2)


def strong_augment(images, seed):
    """Vary images further: contrast and saturation by factors from 0.5 to 1.5, brightness by up to half a standard
    deviation, and a square of 16 x 16, which may reach over the edge, filled with the mean colour (Cutout, DeVries
    & Taylor, 2017).

    images: float32 [B, H, W, C], standardised; seed: int32 [2], another for every batch. Returns float32 [B, H, W, C].
    """
    batch, height, width, _ = images.shape
    # Integers, since TensorFlow and XLA draw other floats from the same seed.
    draws = tf.random.stateless_uniform([3, batch, 1, 1, 1], seed, -NOISE_LEVELS, NOISE_LEVELS + 1, tf.int32)
    contrast, saturation, brightness = tf.unstack(tf.cast(draws, tf.float32) / (2 * NOISE_LEVELS))
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    images = mean + (1 + contrast) * (images - mean)
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (1 + saturation) * (images - grey) + brightness

    beyond = CUTOUT_SIZE // 2
    corners = tf.random.stateless_uniform([2, batch, 1], seed + [0, 1], -beyond, height - beyond, tf.int32)
    rows, columns = (tf.range(side) - corner for side, corner in ((height, corners[0]), (width, corners[1])))
    rows, columns = ((place >= 0) & (place < CUTOUT_SIZE) for place in (rows, columns))
    return tf.where_v2((rows[:, :, tf.newaxis] & columns[:, tf.newaxis])[..., tf.newaxis], 0., images)
