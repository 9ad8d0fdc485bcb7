"""DTQ (Liu et al., Deep Triplet Quantization, ACM Multimedia 2018).

Certain, read in the authors' code (thulab/DeepHash): the triplet loss on tanh features, its margin of 30 for 64
features, negatives drawn from those of a group that violate the margin, and codebooks fitted anew for the search. The
weight of the quantization is the one that its authors advise; their code has 0. The paper's loss also asks codebooks to
be orthogonal, from memory, unchecked; their code has no such part, and codebooks of different parts are orthogonal
here. Ours: a batch is a group, a margin in proportion to the features, parts with codebooks of their own in place of
codewords that are added, and codebooks that are fitted to the labelled images, as DQN's.
"""
from gpq.model.baselines import pairs, tanh_pq
from gpq.model.tf1 import tf

MARGIN = 30 / 64  # squared distance, a number of z
EACH = 8  # triplets of an anchor in a step, at most


def group_hard(z, labels, margin, step):
    """The triplet loss, a scalar: the mean of max(0, margin + |z - z+|^2 - |z - z-|^2).

    An anchor z comes EACH times, with an image z+ that shares a label with it, drawn at random from the batch, and an
    image z- that shares none, drawn from those nearer than |z - z+|^2 + margin. Where there is no such image, there is
    no triplet. z: float32 [B, D]; labels: bool [B, L]; margin: a squared distance; step: integer scalar, which decides
    the draw.
    """
    same, distances = pairs.same_label(labels), pairs.squared_distances(z)
    positives = pairs.exclude_self(same)
    near = tf.gather(distances, pairs.sample_index(positives, step, "positive", EACH), batch_dims=1)
    # The negatives from the nearest on, so that hard ones are the first.
    nearest = tf.nn.top_k(-tf.where_v2(same, float("inf"), tf.stop_gradient(distances)), z.shape[0])
    n_hard = tf.searchsorted(-nearest.values, near + margin)
    negative = tf.gather(nearest.indices, pairs.randint(n_hard, step, "negative", EACH), batch_dims=1)
    far = tf.gather(distances, negative, batch_dims=1)
    return pairs.masked_mean(margin + near - far, (n_hard > 0) & tf.reduce_any(positives, axis=1, keepdims=True))


class DTQ(tanh_pq.TanhPQ):
    """Hard triplets of a batch, and codebooks by k-means."""

    name = "dtq"

    def losses(self, batches, step):
        """total: triplet, over the hard triplets, and quantization, times its weight. batches: {"labelled":
        training.Batch}."""
        raw, averages = self.training_features(batches, step)
        z = tf.tanh(raw)
        triplet = group_hard(z, batches["labelled"].labels, MARGIN * self.dimension, step)
        quantized = self.quantization(z)
        return {"total": triplet + quantized, "triplet": triplet, "quantization": quantized}, averages
