"""What the losses of the deep baselines share: distances of all pairs, who is alike, and one drawn at random.

B images of a batch. Nothing is larger than [B, B].
"""
import zlib

from model.tf1 import tf


def squared_distances(h):
    """Between all rows of h, float32 [B, D]: float32 [B, B]."""
    squares = tf.reduce_sum(h ** 2, axis=1)
    return tf.nn.relu(squares[:, tf.newaxis] + squares - 2 * tf.matmul(h, h, transpose_b=True))


def alike(labels):
    """Which pairs share a label, bool [B, B]. labels: bool [B, C], one or several a row."""
    labels = tf.cast(labels, tf.float32)
    return tf.matmul(labels, labels, transpose_b=True) > 0


def others(pairs):
    """Pairs, bool [B, B], without an image's pair with itself."""
    return tf.linalg.set_diag(pairs, tf.zeros_like(pairs[:, 0]))


def pick(allowed, step, name):
    """One column of each row where `allowed`, bool [B, n], is True, each as likely as another: int32 [B], 0 where
    there is none. The step, an integer scalar, and the name decide which."""
    seed = tf.stack([tf.cast(step, tf.int64), zlib.crc32(name.encode())])
    # Integers, since TensorFlow and XLA draw other floats from the same seed.
    noise = tf.random.stateless_uniform(tf.shape(allowed), seed, 1, 2 ** 31 - 1, tf.int32)
    return tf.argmax(tf.where_v2(allowed, noise, 0), axis=1, output_type=tf.int32)


def mean_of(values, counts):
    """The mean of values, float32, where counts, bool of the same shape, is True; 0 where it never is."""
    counts = tf.cast(counts, values.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(values * counts), tf.reduce_sum(counts))


def drawn_pairs(distances, positive, negative, step, name):
    """The distances of each image to one that is `positive` for it and one that is `negative`, drawn at random.

    distances: float32 [B, n]; positive, negative: bool [B, n]. Returns float32 [B] and [B], and bool [B], whether an
    image has both.
    """
    near, far = (tf.gather(distances, pick(mask, step, f"{name}/{sign}"), batch_dims=1)
                 for mask, sign in ((positive, "positive"), (negative, "negative")))
    return near, far, tf.reduce_any(positive, axis=1) & tf.reduce_any(negative, axis=1)


def triplet(h, labels, margin, step, name="triplet"):
    """The triplet ranking loss, a scalar: the mean of max(0, margin + |h - h+|^2 - |h - h-|^2) over the images, each
    with one random image of the batch that shares a label with it and one that shares none.

    h: float32 [B, D]; labels: bool [B, C]; margin: a squared distance; step, name: see `pick`.
    """
    same = alike(labels)
    near, far, both = drawn_pairs(squared_distances(h), others(same), ~same, step, name)
    return mean_of(tf.nn.relu(margin + near - far), both)
