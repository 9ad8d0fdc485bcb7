"""DQN (Cao et al., Deep Quantization Network for Efficient Image Retrieval, AAAI 2016).

Certain, read in the public code (thulab/DeepHash): the loss and its weights, the second of which is 0 until there are
codebooks; k-means in each part of the features every two epochs; and the query's features ranked by their inner product
with the reconstruction, though the loss takes cosines. There the codewords of other parts are 0, so the code that it
searches for in rounds is simply the nearest word of each part. Ours: 12 numbers a part in place of 300 in all, and 16
codewords in place of 256, so that every length is made of 4 bits.
"""
from gpq.model.baselines import pairs, tanh_pq
from gpq.model.tf1 import tf


def similarity(z, labels):
    """The pairwise cosine loss, a scalar: the mean over all pairs of (s - cos(z_i, z_j))^2, where s is 1 for images
    that share a label and else -1. z: float32 [B, D]; labels: bool [B, L]."""
    unit = tf.nn.l2_normalize(z, axis=1)
    s = tf.where_v2(pairs.same_label(labels), 1., -1.)
    return tf.reduce_mean(tf.math.squared_difference(s, tf.matmul(unit, unit, transpose_b=True)))


class DQN(tanh_pq.TanhPQ):
    """Cosines of pairs, and codebooks by k-means."""

    name = "dqn"

    def losses(self, batches, step):
        """total: similarity, of pairs, and quantization, times its weight. batches: {"labelled": training.Batch}."""
        raw, averages = self.training_features(batches, step)
        z = tf.tanh(raw)
        paired, quantized = similarity(z, batches["labelled"].labels), self.quantization(z)
        return {"total": paired + quantized, "similarity": paired, "quantization": quantized}, averages
