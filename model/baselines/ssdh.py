"""SSDH (Zhang and Peng, SSDH: Semi-supervised Deep Hashing for Large Scale Image Retrieval, TCSVT 2017).

Certain, from the authors' code (PKU-ICST-MIPL/SSDH_TCSVT2017): the losses, their weights and margins, those of its
Flickr-25k configurations. These make the graph of neighbours on the bits themselves; the layer's own default, and the
paper as remembered, unchecked, is F's features: `graph`. Ours: softmax cross-entropy for the classes, where the code's
gradient is that of a squared error of sigmoids; labelled and unlabelled images as many as each other; ranks of far
images as shares of the batch, which had 128 images.
"""
from typing import NamedTuple

from model import losses
from model.baselines import deep, hamming, pairs
from model.networks.spatial import DIRECT
from model.tf1 import tf

SCOPE = "ssdh"
MARGIN = 1.0  # of ranking, a squared distance
NEAREST = 8  # ranks that count as near, the image itself among them (release)


class Losses(NamedTuple):
    """Scalars. total: the weighted sum of the others; ranking: of labelled triplets; neighbours: of the graph; pseudo:
    of pseudo-labels; classification: of the labelled, in nats."""

    total: tf.Tensor
    ranking: tf.Tensor
    neighbours: tf.Tensor
    pseudo: tf.Tensor
    classification: tf.Tensor


def far_ranks(n, n_bits):
    """(first, last) of the ranks among n images that count as far: those of 120 to 123, or at more than 12 bits 114 to
    123, among 128."""
    first = (120 if n_bits <= 12 else 114) * n // 128
    return first, max(first, 124 * n // 128 - 1)


def far_margin(n_bits):
    """How far apart far images shall be, a distance between bits of 0 to 1 (release: 2.5 at 12 bits, else 3)."""
    return 2.5 if n_bits <= 12 else 3.0


def contrastive(near, far, margin):
    """|h - h'|^2 of near pairs and max(0, margin - |h - h'|)^2 of far ones, both from squared distances, float32
    [B]. The gradient of the root is kept finite at 0."""
    return near + tf.nn.relu(margin - tf.sqrt(far + 1e-12)) ** 2


def neighbours(distances, graph, step, n_bits):
    """Each image against one of its nearest and one far away in the graph, both drawn at random: a scalar.

    distances: squared, between bits, float32 [n, n]; graph: squared distances that rank, float32 [n, n], of which no
    gradient is taken.
    """
    n = int(graph.shape[0])
    first, last = far_ranks(n, n_bits)
    graph = tf.stop_gradient(graph)
    # Sorted from the nearest, and from the farthest: rank r is place n - 1 - r there.
    near = tf.nn.top_k(-graph, min(NEAREST, n)).indices
    far = tf.nn.top_k(graph, n - first).indices[:, n - 1 - last:]
    near, far = (tf.gather(distances, tf.gather(ranked, pairs.pick(tf.ones_like(ranked, tf.bool), step, name),
                                                batch_dims=1), batch_dims=1)
                 for ranked, name in ((near, "near"), (far, "far")))
    return 0.5 * tf.reduce_mean(contrastive(near, far, far_margin(n_bits)))


def pseudo_labelled(distances, labels, logits, step, n_bits):
    """Unlabelled images against one of the batch that has their likeliest class, and one that has their least likely:
    a scalar.

    distances: squared, between bits, float32 [n, n], of the labelled images first; labels: bool [B, C], theirs; logits:
    float32 [n, C], of which no gradient is taken. An unlabelled image has its likeliest class as pseudo-label.
    """
    n_labelled, n_classes = labels.shape.as_list()
    unlabelled = tf.stop_gradient(logits[n_labelled:])
    likeliest, least = tf.argmax(unlabelled, axis=1), tf.argmin(unlabelled, axis=1)
    members = tf.concat([labels, tf.one_hot(likeliest, n_classes, True, False, dtype=tf.bool)], axis=0)
    itself = tf.eye(int(logits.shape[0]), dtype=tf.bool)[n_labelled:]
    having_likeliest, having_least = (tf.gather(tf.transpose(members), one) for one in (likeliest, least))
    near, far, both = pairs.drawn_pairs(distances[n_labelled:], having_likeliest & ~itself, having_least, step,
                                        "pseudo")
    return 0.5 * pairs.mean_of(contrastive(near, far, far_margin(n_bits)), both)


def loss_graph(x, labels, config, step):
    """The losses of what F sees in a batch, float32 [n, D], of the labelled images first. labels: bool [B, C], theirs;
    step: integer scalar. Returns Losses."""
    h, logits = tf.sigmoid(scores(x, config)), _logits(x, config)
    n_labelled = labels.shape[0]
    distances = pairs.squared_distances(h)
    graph = distances if config.graph == "bits" else pairs.squared_distances(x)

    ranking = 0.5 * pairs.triplet(h[:n_labelled], labels, MARGIN, step)
    near_and_far = neighbours(distances, graph, step, config.n_bits)
    pseudo = pseudo_labelled(distances, labels, logits, step, config.n_bits)
    classification = losses.cross_entropy(labels, logits[:n_labelled])
    total = ranking + config.lam * (near_and_far + pseudo) + classification
    return Losses(total, ranking, near_and_far, pseudo, classification)


def scores(x, config):
    """x: float32 [n, D]. Returns float32 [n, n_bits], before the sigmoid."""
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        return deep.small_layer(x, config.n_bits, "bits")


def _logits(x, config):
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        return deep.small_layer(x, config.n_CLASSES, "classes")


def training_losses(batches, config, step, spatial=DIRECT):
    """The losses of a step. batches: {"labelled" and "unlabelled": training.Batch}; step: its number, integer scalar.
    Returns (Losses, the operation that updates F's moving averages). `spatial` as in `backbones.features`."""
    x, averages = deep.seen(batches, config, step, spatial=spatial)
    return loss_graph(x, batches["labelled"].labels, config, step), averages


def retrieval_graph(images, config, spatial=DIRECT):
    """The Retrieval of uint8 [B, H, W, 3] images or vectors, whose distance is Hamming's: a bit is 1 where its score is
    above 0. `spatial` as in `backbones.features`."""
    return hamming.retrieval(scores(deep.features(images, config, spatial=spatial), config) > 0)
