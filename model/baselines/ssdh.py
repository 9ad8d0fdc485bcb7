"""SSDH (Zhang and Peng, SSDH: Semi-supervised Deep Hashing for Large Scale Image Retrieval, TCSVT 2017).

Certain, from the authors' code (PKU-ICST-MIPL/SSDH_TCSVT2017): the losses, their weights and margins, those of its
Flickr-25k configurations. These make the graph of neighbours on the bits themselves; the layer's own default, and the
paper as remembered, unchecked, is F's features: `graph`. Ours: softmax cross-entropy for the classes, where the code's
gradient is that of a squared error of sigmoids; labelled and unlabelled images as many as each other; ranks of far
images as shares of the batch, which had 128 images.
"""
from gpq.model import losses
from gpq.model.baselines import deep, pairs
from gpq.model.tf1 import tf

MARGIN = 1.0  # of ranking, a squared distance
NEAREST = 8  # ranks that count as near, the image itself among them (release)


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
    near, far = (tf.gather(distances, tf.gather(ranked, pairs.sample_index(tf.ones_like(ranked, tf.bool), step, name),
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
    near, far, both = pairs.sample_pos_neg(distances[n_labelled:], having_likeliest & ~itself, having_least, step,
                                        "pseudo")
    return 0.5 * pairs.masked_mean(contrastive(near, far, far_margin(n_bits)), both)


class SSDH(deep.Hashing):
    """F with a hash layer and a classifier, trained on ranks, neighbours and pseudo-labels."""

    name = "ssdh"
    roles = ("labelled", "unlabelled")

    def loss_graph(self, x, labels, step):
        """The losses of F's numbers of a batch, float32 [n, D], of the labelled images first.

        ranking: of labelled triplets; neighbours: of the graph; pseudo: of pseudo-labels; classification: of the
        labelled, in nats. labels: bool [B, C], of the labelled; step: integer scalar.
        """
        config, h = self.config, tf.sigmoid(self.scores(x))
        with self.scope():
            logits = deep.dense_init_001(x, config.n_CLASSES, "classes")
        n_labelled = labels.shape[0]
        distances = pairs.squared_distances(h)
        graph = distances if config.graph == "bits" else pairs.squared_distances(x)

        ranking = 0.5 * pairs.triplet(h[:n_labelled], labels, MARGIN, step)
        near_and_far = neighbours(distances, graph, step, config.n_bits)
        pseudo = pseudo_labelled(distances, labels, logits, step, config.n_bits)
        classification = losses.cross_entropy(labels, logits[:n_labelled])
        total = ranking + config.lam * (near_and_far + pseudo) + classification
        return {"total": total, "ranking": ranking, "neighbours": near_and_far, "pseudo": pseudo,
                "classification": classification}

    def scores(self, x):
        """Before the sigmoid."""
        with self.scope():
            return deep.dense_init_001(x, self.config.n_bits, "bits")

    def losses(self, batches, step):
        """As `loss_graph`. batches: {"labelled" and "unlabelled": training.Batch}."""
        x, averages = self.training_features(batches, step)
        return self.loss_graph(x, batches["labelled"].labels, step), averages
