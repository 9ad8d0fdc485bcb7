"""BGDH (Yan, Zhang and Li, Semi-supervised Deep Hashing with a Bipartite Graph, IJCAI 2017), its inductive variant.

No code of it is known and the paper was not at hand. From memory, unchecked: the bipartite graph of images and
landmarks; an embedding trained to predict random-walk contexts and labels (Planetoid); the
hash layer on features and embedding together; the pairwise loss of DPSH (Li, Wang and Kang, IJCAI 2016). Ours is all
else: the graph is of a batch, whose labelled images are the landmarks in place of k-means centres of all; a context has
the vector that a layer makes of it, not a free one; instead of sampled walks and contexts their expectation is taken;
every constant.
"""
from gpq.model.baselines import deep, pairs
from gpq.model.tf1 import tf

EMBEDDING = 64  # numbers of an embedding
NEGATIVES = 5.0  # that stand against a context


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
    theta, same = tf.matmul(u, u, transpose_b=True) / 2, pairs.same_label(labels)
    return pairs.masked_mean(tf.nn.softplus(theta) - tf.cast(same, tf.float32) * theta,
                         pairs.exclude_self(tf.ones_like(same)))


class BGDH(deep.Hashing):
    """F, an embedding of its numbers, and a hash layer on both."""

    name = "bgdh"
    roles = ("labelled", "unlabelled")

    def scores(self, x):
        """The hash layer on F's numbers, float32 [n, D], and a layer of their embedding: u, float32 [n, n_bits]."""
        with self.scope():
            of_embedding = tf.nn.relu(deep.dense_init_001(self._embedding(x), EMBEDDING, "of_embedding"))
            return deep.dense_init_001(tf.concat([x, of_embedding], axis=1), self.config.n_bits, "bits")

    def _embedding(self, x):
        return deep.dense_init_001(x, EMBEDDING, "embedding")

    def loss_graph(self, x, labels):
        """The losses of F's numbers of a batch, float32 [n, D], of the labelled images first.

        pairwise: of labelled images; quantization: of bits; graph, labels: of the embedding, by walks and by labels.
        labels: bool [B, C], of the labelled.
        """
        config, u, n_labelled = self.config, self.scores(x), labels.shape[0]
        with self.scope():
            products = tf.matmul(self._embedding(x), deep.dense_init_001(x, EMBEDDING, "context"), transpose_b=True)
        everybody, same = shares(tf.ones_like(products, tf.bool)), pairs.same_label(labels)
        by_graph = context_loss(products, walks(x, n_labelled, config.n_neighbours), everybody)
        by_labels = context_loss(products[:n_labelled, :n_labelled], shares(pairs.exclude_self(same)), shares(~same))

        alike = pairwise(u[:n_labelled], labels)
        quantization = tf.reduce_mean((u - tf.sign(u)) ** 2)
        total = alike + config.eta * quantization + config.lam * (by_graph + by_labels)
        return {"total": total, "pairwise": alike, "quantization": quantization, "graph": by_graph, "labels": by_labels}

    def losses(self, batches, step):
        """As `loss_graph`. batches: {"labelled" and "unlabelled": training.Batch}."""
        x, averages = self.training_features(batches, step)
        return self.loss_graph(x, batches["labelled"].labels), averages
