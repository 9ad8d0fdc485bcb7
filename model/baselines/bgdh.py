"""BGDH (Yan, Zhang and Li, Semi-supervised Deep Hashing with a Bipartite Graph, IJCAI 2017), its inductive variant.

No code of it is known and the paper was not at hand. From memory, unchecked: the bipartite graph of images and
landmarks; the embedding that foresees an image's contexts in walks through it and in labels (Planetoid's loss); the
hash layer on features and embedding together; the pairwise loss of DPSH (Li, Wang and Kang, IJCAI 2016). Ours is all
else: the graph is of a batch, whose labelled images are the landmarks in place of k-means centres of all; a context has
the vector that a layer makes of it, not a free one; instead of sampled walks and contexts their expectation is taken;
every constant.
"""
from typing import NamedTuple

from model.baselines import deep, hamming, pairs
from model.networks.spatial import DIRECT
from model.tf1 import tf

SCOPE = "bgdh"
EMBEDDING = 64  # numbers of an embedding
NEGATIVES = 5.0  # that stand against a context


class Losses(NamedTuple):
    """Scalars. total: the weighted sum of the others; pairwise: of labelled images; quantization: of bits; graph,
    labels: of the embedding, by walks and by labels."""

    total: tf.Tensor
    pairwise: tf.Tensor
    quantization: tf.Tensor
    graph: tf.Tensor
    labels: tf.Tensor


def walks(x, n_landmarks, n_neighbours):
    """Probability that a walk from an image to one of its landmarks and on to an image of that landmark ends at
    another: float32 [n, n], rows of sum 1; no gradient reaches x.

    x: float32 [n, D], the first n_landmarks the landmarks; each image is tied to the n_neighbours nearest of them by
    cosine, alike strongly.
    """
    unit = tf.nn.l2_normalize(tf.stop_gradient(x), axis=1)
    cosines = tf.matmul(unit, unit[:n_landmarks], transpose_b=True)
    nearest = tf.nn.top_k(cosines, min(n_neighbours, n_landmarks)).indices
    ties = tf.reduce_sum(tf.one_hot(nearest, n_landmarks), axis=1)
    there = ties / tf.reduce_sum(ties, axis=1, keepdims=True)
    back = tf.math.divide_no_nan(ties, tf.reduce_sum(ties, axis=0))
    return tf.matmul(there, back, transpose_b=True)


def shares(allowed):
    """Even probabilities over what `allowed`, bool [n, m], allows in each row: float32 [n, m], zeros where nothing."""
    allowed = tf.cast(allowed, tf.float32)
    return tf.math.divide_no_nan(allowed, tf.reduce_sum(allowed, axis=1, keepdims=True))


def context_loss(products, positive, negative):
    """Planetoid's loss in expectation, a scalar: -log sigmoid(w_c e_i) of contexts c drawn by `positive`, and
    -log sigmoid(-w_c e_i) of five times as many drawn by `negative`; the mean over images i.

    products: w_c e_i, float32 [n, m]; positive, negative: probabilities, float32 [n, m].
    """
    # softplus(-x) is softplus(x) - x.
    drawn = (positive + NEGATIVES * negative) * tf.nn.softplus(products) - positive * products
    return tf.reduce_mean(tf.reduce_sum(drawn, axis=1))


def pairwise(u, labels):
    """DPSH's loss, a scalar: the mean of log(1 + e^theta) - s theta over all pairs of different images, theta half the
    product of their u, float32 [B, n_bits], s whether they share a label. labels: bool [B, C]."""
    theta, same = tf.matmul(u, u, transpose_b=True) / 2, pairs.alike(labels)
    return pairs.mean_of(tf.nn.softplus(theta) - tf.cast(same, tf.float32) * theta,
                         pairs.others(tf.ones_like(same)))


def scores(x, config):
    """The hash layer on what F sees, float32 [n, D], and a layer of its embedding: u, float32 [n, n_bits]."""
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        of_embedding = tf.nn.relu(deep.small_layer(_embedding(x), EMBEDDING, "of_embedding"))
        return deep.small_layer(tf.concat([x, of_embedding], axis=1), config.n_bits, "bits")


def _embedding(x):
    return deep.small_layer(x, EMBEDDING, "embedding")


def loss_graph(x, labels, config):
    """The losses of what F sees in a batch, float32 [n, D], of the labelled images first. labels: bool [B, C], theirs.
    Returns Losses."""
    u, n_labelled = scores(x, config), labels.shape[0]
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        products = tf.matmul(_embedding(x), deep.small_layer(x, EMBEDDING, "context"), transpose_b=True)
    everybody, same = shares(tf.ones_like(products, tf.bool)), pairs.alike(labels)
    by_graph = context_loss(products, walks(x, n_labelled, config.n_neighbours), everybody)
    by_labels = context_loss(products[:n_labelled, :n_labelled], shares(pairs.others(same)), shares(~same))

    alike = pairwise(u[:n_labelled], labels)
    quantization = tf.reduce_mean((u - tf.sign(u)) ** 2)
    total = alike + config.eta * quantization + config.lam * (by_graph + by_labels)
    return Losses(total, alike, quantization, by_graph, by_labels)


def training_losses(batches, config, step, spatial=DIRECT):
    """The losses of a step. batches: {"labelled" and "unlabelled": training.Batch}; step: its number, integer scalar.
    Returns (Losses, the operation that updates F's moving averages). `spatial` as in `backbones.features`."""
    x, averages = deep.seen(batches, config, step, spatial=spatial)
    return loss_graph(x, batches["labelled"].labels, config), averages


def retrieval_graph(images, config, spatial=DIRECT):
    """The Retrieval of uint8 [B, H, W, 3] images or vectors, whose distance is Hamming's: a bit is 1 where its score is
    above 0. `spatial` as in `backbones.features`."""
    return hamming.retrieval(scores(deep.features(images, config, spatial=spatial), config) > 0)
