"""The three losses of section 3.1, the triplet loss of figure 3, pseudo-labels and gradient reversal.

B images, M codebooks, C classes, d numbers a sub-vector; x and q are intra-normalised, float32 [B, M, d].
"""
from gpq.model.quantizer import inner_products, intra_normalise, join
from gpq.model.tf1 import tf


@tf.custom_gradient
def reverse_gradient(x):
    """Identity forward, -1 x gradient backward (between F(unlabelled) and intra-normalisation)."""
    return tf.identity(x), lambda gradient: -gradient


def cross_entropy(labels, logits):
    """The mean softmax cross-entropy, a scalar, in nats. labels: multi-hot or soft, [B, C], of which rows
    are normalised; logits: float32 [B, C]."""
    targets = tf.cast(labels, tf.float32)
    targets = tf.math.divide_no_nan(targets, tf.reduce_sum(targets, axis=1, keepdims=True))
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=targets, logits=logits))


def n_pair_pq(x, q, labels, follow):
    """N-pair product quantization loss (equation 2), a scalar.

    labels: float32 [B, C], one or several ones a row. Each anchor's targets are divided by their sum. The
    release adds 0.25 * 0.002 * (mean |x|^2 + mean |q|^2), a constant since both are normalised.
    """
    x, q = join(x), join(q)
    targets = tf.matmul(labels, labels, transpose_b=True)
    targets /= tf.reduce_sum(targets, axis=1, keepdims=True)
    similarity = tf.matmul(x, q, transpose_b=True)
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=targets, logits=similarity))
    if follow == "release":
        loss += 0.25 * 0.002 * tf.reduce_mean(tf.reduce_sum(x ** 2, axis=1) + tf.reduce_sum(q ** 2, axis=1))
    return loss


def triplet(q, labels, margin):
    """Triplet loss with semi-hard negatives (Schroff et al., CVPR 2015) on quantized vectors, a scalar (figure 3).

    The mean over pairs of an anchor and a positive, two images that share a label, of max(0, d_ap - d_an + margin),
    d the squared distance between the joined q of unit length. The negative, an image that shares none, is the
    nearest one farther than the positive, else the farthest. 0 where no pair has a negative.
    q: float32 [B, M, d]; labels: float32 [B, C], one or several ones a row; margin: squared distance.
    """
    q = tf.nn.l2_normalize(join(q), axis=1)
    distances = 2 - 2 * tf.matmul(q, q, transpose_b=True)
    related = tf.matmul(labels, labels, transpose_b=True) > 0
    negatives = tf.reduce_sum(tf.cast(~related, tf.int32), axis=1, keepdims=True)
    pairs = tf.linalg.set_diag(related & (negatives > 0), tf.zeros_like(labels[:, 0], tf.bool))

    # 5 is farther than unit vectors can be and, unlike infinity, harmless to the gradient.
    to_negatives = tf.sort(tf.where_v2(related, 5., distances))
    farther = tf.searchsorted(to_negatives, distances, side="right")
    to_negative = tf.gather(to_negatives, tf.minimum(farther, tf.maximum(negatives - 1, 0)), batch_dims=1)
    excess = tf.nn.relu(distances - to_negative + margin) * tf.cast(pairs, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(excess), tf.reduce_sum(tf.cast(pairs, tf.float32)))


def class_logits(x, prototypes, beta, follow):
    """Scaled cosines to the prototypes (float32 [C, M, d], as stored).

    The paper keeps one row of logits a codebook, beta * p: float32 [B, M, C]. The release scales both sides
    and averages over the codebooks: beta^2 * p, float32 [B, 1, C].
    """
    cosines = inner_products(x, intra_normalise(prototypes))
    if follow == "paper":
        return beta * cosines
    return beta ** 2 * tf.reduce_mean(cosines, axis=1, keepdims=True)


def _cross_entropies(logits, labels):
    """Of logits float32 [B, rows, C] against labels float32 [B, C]: float32 [B, rows]."""
    labels = tf.broadcast_to(labels[:, tf.newaxis], tf.shape(logits))
    return tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits)


def classification(logits, labels):
    """Cosine classification loss (equation 3), a scalar: mean over images and over the rows of logits.

    logits: float32 [B, rows, C] of `class_logits`, labels: float32 [B, C].
    """
    return tf.reduce_mean(_cross_entropies(logits, labels))


def subspace_entropy(logits, follow):
    """Subspace entropy (equation 4), a scalar: the entropy of softmax(logits), mean over images and rows.

    logits: float32 [B, rows, C] of `class_logits`. The release takes log(p + 1e-5) for log p.
    """
    p = tf.nn.softmax(logits)
    log_p = tf.nn.log_softmax(logits) if follow == "paper" else tf.log(p + 1e-5)
    return -tf.reduce_mean(tf.reduce_sum(p * log_p, axis=-1))
