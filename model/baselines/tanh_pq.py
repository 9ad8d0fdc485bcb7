"""What DQN and DTQ share: features z, the tanh of F's output, whose parts are coded by codebooks that k-means finds."""
from gpq.model import quantizer
from gpq.model.baselines import deep
from gpq.model.fitting import product
from gpq.model.method import Retrieval
from gpq.model.networks import layers
from gpq.model.tf1 import tf

LAM = 1e-4


class TanhPQ(deep.Deep):
    """M codebooks of K words of d numbers, one for each part of z."""

    @property
    def dimension(self):
        """Numbers in z, M * d."""
        return self.n_book * deep.LENGTH

    def _codebooks(self):
        """float32 [M, K, d], which no gradient reaches."""
        with self.scope():
            return layers.variable("codebooks", [self.n_book, deep.WORDS, deep.LENGTH], tf.zeros_initializer(),
                                   trainable=False)

    def features_for_fit(self, images):
        """z of images or vectors, float32 [B, M * d]."""
        return tf.tanh(self.F(images))

    def quantization(self, z):
        """LAM times the mean of |z - q|^2, a scalar, for the nearest codewords q of z, float32 [B, M * d], by the
        codebooks as they are; 0 until they are fitted."""
        codebooks = self._codebooks()
        distances = quantizer.squared_distances(quantizer.split(z, self.n_book), tf.transpose(codebooks, [1, 0, 2]))
        fitted = tf.cast(tf.reduce_any(tf.not_equal(codebooks, 0)), tf.float32)
        return LAM * (fitted * tf.reduce_mean(tf.reduce_sum(tf.reduce_min(distances, axis=2), axis=1)))

    def fit(self, given, step):
        """The codebooks, k-means in each part of the features as they are, every product.EPOCHS epochs and after the
        last step."""
        config = self.config
        period = product.EPOCHS * max(1, given.counts[0] // config.batch_size)
        if step == 0 or step % period and step < given.n_steps:
            return {}
        return {f"{self.name}/codebooks": product.codebooks_of(given.features(), self.n_book, config.seed)}

    def retrieval(self, images):
        """z, the nearest codeword of each part, and the codebooks. A query's inner product with a code's joined
        codewords ranks."""
        z, codebooks = self.features_for_fit(images), self._codebooks()
        codes = quantizer.nearest(quantizer.split(z, self.n_book), tf.transpose(codebooks, [1, 0, 2]))
        return Retrieval(z, codes, codebooks)
