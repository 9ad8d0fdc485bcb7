"""CNNH (Xia et al., Supervised Hashing for Image Retrieval via Image Representation Learning, AAAI 2014).

Stage 1 finds the codes of the labelled images from their similarities (model.fitting.similarity), stage 2 is to teach F
to give them. The paper's loss of stage 2 is from memory, unchecked: a classification of each bit; hence the sigmoid
cross-entropy, which is ours, where public ports take a squared error. The codes are a variable that no gradient
reaches, so that a training can be resumed.
"""
from gpq.model.baselines import deep
from gpq.model.fitting import similarity
from gpq.model.networks import layers
from gpq.model.tf1 import tf


def regression(given, codes):
    """The losses of scores `given`, float32 [B, n_bits], against codes, float32 [B, n_bits] of +-1.

    total: mean cross-entropy of a bit in nats; right: the share of bits that are as stage 1 has them.
    """
    bits = tf.cast(codes > 0, tf.float32)
    right = tf.cast(tf.equal(given > 0, codes > 0), tf.float32)
    return {"total": tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=bits, logits=given)),
            "right": tf.reduce_mean(right)}


class CNNH(deep.Hashing):
    """F and a dense layer, taught the codes of stage 1."""

    name = "cnnh"

    def scores(self, x):
        """Before the sigmoid."""
        with self.scope():
            return layers.dense(x, self.config.n_bits, "bits")

    def losses(self, batches, step):
        """As `regression`. batches: {"labelled": training.Batch}, whose `places` say which codes of stage 1 are theirs.
        """
        batch = batches["labelled"]
        x, averages = self.training_features(batches, step)
        with self.scope():
            codes = layers.variable("codes", [batch.count, self.config.n_bits], tf.zeros_initializer(), trainable=False)
        return regression(self.scores(x), tf.gather(codes, batch.places)), averages

    def fit(self, given, step):
        """Stage 1, before the first step."""
        if step:
            return {}
        return {"cnnh/codes": similarity.similarity_codes(given.labels, self.config.n_bits, self.config.seed)}
