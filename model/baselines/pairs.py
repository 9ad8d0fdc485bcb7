"""What the losses of the deep baselines share: distances of all pairs, who is alike, and some drawn at random.

B images of a batch. Nothing is larger than [B, B].
"""
from gpq.model.networks.layers import stateless_seed
from gpq.model.tf1 import tf


def squared_distances(h):
    """Between all rows of h, float32 [B, D]: float32 [B, B]."""
    squares = tf.reduce_sum(h ** 2, axis=1)
    return tf.nn.relu(squares[:, tf.newaxis] + squares - 2 * tf.matmul(h, h, transpose_b=True))


def same_label(labels):
    """Which pairs share a label, bool [B, B]. labels: bool [B, C], one or several a row."""
    labels = tf.cast(labels, tf.float32)
    return tf.matmul(labels, labels, transpose_b=True) > 0


def exclude_self(pairs):
    """Pairs, bool [B, B], without an image's pair with itself."""
    return tf.linalg.set_diag(pairs, tf.zeros_like(pairs[:, 0]))


def randint(counts, step, name, each=1):
    """`each` whole numbers from 0 to below a count, each as likely as another: int32 [B, each], 0 where the count is.

    counts: int32 [B, 1] or [B, each]. The graph's seed, the step, an integer scalar, and the name decide which.
    """
    # Integers, since TensorFlow and XLA draw other floats from the same seed.
    seed, most = stateless_seed(name, step), 2 ** 31 - 1
    draws = tf.random.stateless_uniform([tf.shape(counts)[0], each], seed, 0, most, tf.int32)
    return draws % tf.maximum(counts, 1)


def sample_index(allowed, step, name, each=1):
    """Columns of each row where `allowed`, bool [B, n], is True, each as likely as another: int32 [B, each], 0 where
    there is none. `step` and `name` as in `randint`."""
    so_far = tf.cumsum(tf.cast(allowed, tf.int32), axis=1)
    counts = so_far[:, -1:]
    return tf.where_v2(counts > 0, tf.searchsorted(so_far, randint(counts, step, name, each), side="right"), 0)


def masked_mean(values, counts):
    """The mean of values, float32 [B, n], where counts, bool [B, n] or [B, 1], is True; 0 where it never is."""
    counts = tf.cast(counts, values.dtype) * tf.ones_like(values)
    return tf.math.divide_no_nan(tf.reduce_sum(values * counts), tf.reduce_sum(counts))


def sample_pos_neg(distances, positive, negative, step, name, each=1):
    """The distances of each image to some that are `positive` for it and as many that are `negative`, drawn at random.

    distances: float32 [B, n]; positive, negative: bool [B, n]. Returns float32 [B, each] and [B, each], and bool
    [B, 1], whether an image has both.
    """
    near, far = (tf.gather(distances, sample_index(mask, step, f"{name}/{sign}", each), batch_dims=1)
                 for mask, sign in ((positive, "positive"), (negative, "negative")))
    both = tf.reduce_any(positive, axis=1, keepdims=True) & tf.reduce_any(negative, axis=1, keepdims=True)
    return near, far, both


def triplet(h, labels, margin, step, name="triplet"):
    """The triplet ranking loss, a scalar: the mean of max(0, margin + |h - h+|^2 - |h - h-|^2) over the images, each
    with one random image of the batch that shares a label with it and one that shares none.

    h: float32 [B, D]; labels: bool [B, C]; margin: a squared distance; step, name: see `sample_index`.
    """
    same = same_label(labels)
    near, far, both = sample_pos_neg(squared_distances(h), exclude_self(same), ~same, step, name)
    return masked_mean(tf.nn.relu(margin + near - far), both)
