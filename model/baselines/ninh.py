"""NINH (Lai, Pan, Liu and Yan, Simultaneous Feature Learning and Hash Coding with Deep Neural Networks, CVPR 2015).

Certain, from a public port (HYPJUDY/caffe-dnnh): the triplet ranking loss with margin 1 on bits between 0 and 1, and
the divide-and-encode layer of 50 features a bit. Ours: F in place of the network in network, hence a dense layer to
these features, with ReLU. The paper's threshold, which sets bits beyond 0.5 +- epsilon to 0 or 1, is left out as in the
port: its epsilon is not known to us.
"""
from gpq.model.baselines import deep, pairs
from gpq.model.networks import layers
from gpq.model.tf1 import tf

SLICE = 50  # features that a bit is made of
MARGIN = 1.0


class NINH(deep.Hashing):
    """F, and the divide-and-encode layer."""

    name = "ninh"

    def scores(self, x):
        """Divide and encode: each bit is made of a slice of 50 features of its own, and of no other. x: float32 [B, D].
        Returns float32 [B, n_bits], before the sigmoid."""
        n_bits = self.config.n_bits
        with self.scope():
            slices = tf.reshape(tf.nn.relu(layers.dense(x, SLICE * n_bits, "features")), [-1, n_bits, SLICE])
            kernel = layers.variable("kernel", [n_bits, SLICE])
            bias = layers.variable("bias", [n_bits], tf.zeros_initializer())
        return tf.einsum("bqs,qs->bq", slices, kernel) + bias

    def losses(self, batches, step):
        """total: the triplet loss. batches: {"labelled": training.Batch}."""
        x, averages = self.training_features(batches, step)
        return {"total": pairs.triplet(tf.sigmoid(self.scores(x)), batches["labelled"].labels, MARGIN, step)}, averages
