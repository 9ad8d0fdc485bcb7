"""PQN, the product quantization network (Yu et al., Product Quantization Network for Fast Image Retrieval, ECCV 2018).

No code by its authors was found. Sub-vectors and codewords of length 1, the soft assignment and its scale of 20 are
from somebody's summary of the paper; the asymmetric triplet loss, equation 15, is from that summary and from memory,
unchecked. Ours: 16 codewords a codebook, so that every length is made of 4 bits (the paper has 4 codebooks, from
memory, unchecked); s at length 1, as in GPQ's equation 1; and triplets that are made of each batch at random.

B images, M codebooks of K words, d numbers in a sub-vector.
"""
from gpq.model import quantizer
from gpq.model.baselines import deep, pairs
from gpq.model.method import Retrieval
from gpq.model.networks import layers
from gpq.model.tf1 import tf

ALPHA = 20.0  # scale of the soft assignment
EACH = 8  # triplets of an anchor in a step


def asymmetric_triplet(x, s, labels, step):
    """Equation 15, a scalar: the mean over triplets of sigmoid(<x, s-> - <x, s+>), without a margin.

    The features x of an anchor are compared with the softly quantized s of an image that shares a label with it, and of
    one that shares none, both drawn at random from the batch, EACH times an anchor. 0 where there is no triplet.
    x, s: float32 [B, D]; labels: bool [B, L]; step: integer scalar, which decides the draw.
    """
    same = pairs.same_label(labels)
    right, wrong, both = pairs.sample_pos_neg(tf.matmul(x, s, transpose_b=True), pairs.exclude_self(same), ~same, step,
                                           "triplet", EACH)
    return pairs.masked_mean(tf.sigmoid(wrong - right), both)


class PQN(deep.Deep):
    """F's numbers as sub-vectors of length 1, softly quantized."""

    name = "pqn"

    @property
    def dimension(self):
        """Numbers in a feature, M * d."""
        return self.n_book * deep.LENGTH

    def codewords(self):
        """Each of length 1: float32 [K, M, d]."""
        with self.scope():
            stored = layers.variable("codebooks", [self.n_book, deep.WORDS, deep.LENGTH])
        return quantizer.intra_normalise(tf.transpose(stored, [1, 0, 2]))

    def sub_vectors(self, raw):
        """F's output, float32 [B, M * d], as sub-vectors of length 1, float32 [B, M, d]."""
        return quantizer.intra_normalise(quantizer.split(raw, self.n_book))

    def losses(self, batches, step):
        """total: the asymmetric triplet loss, between 0 and 1. batches: {"labelled": training.Batch}."""
        raw, averages = self.training_features(batches, step)
        x = self.sub_vectors(raw)
        s = quantizer.soft_assignment(x, self.codewords(), ALPHA)
        return {"total": asymmetric_triplet(quantizer.join(x), quantizer.join(s), batches["labelled"].labels,
                                            step)}, averages

    def retrieval(self, images):
        """x, joined, the nearest codewords, and these, whose inner product with x ranks."""
        x, codewords = self.sub_vectors(self.F(images)), self.codewords()
        return Retrieval(quantizer.join(x), quantizer.hard_assignment(x, codewords),
                         tf.transpose(codewords, [1, 0, 2]))
