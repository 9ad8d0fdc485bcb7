"""What the deep baselines share: F on a step's batch, and the layout of their codes.

B images; a code has M = n_bits / 4 symbols of 4 bits. What a method has beside F are variables under its name:
`pqn/codebooks`.
"""
from gpq.model.baselines import hamming
from gpq.model.method import Method
from gpq.model.networks import layers
from gpq.model.tf1 import tf

WORDS = 2 ** hamming.NIBBLE  # codewords of a codebook, K
LENGTH = 12  # numbers in a sub-vector, d, as GPQ has it


class Deep(Method):
    """A method of F, trained on labelled images unless `roles` says otherwise."""

    @property
    def n_book(self):
        """Codebooks, M."""
        return self.config.n_bits // hamming.NIBBLE

    def scope(self):
        """The variable scope of the method."""
        return tf.variable_scope(self.name, reuse=tf.AUTO_REUSE)

    def training_features(self, batches, step):
        """F's numbers of the images of a step, varied at random: as one batch, in the order of `batches`, so that they
        are normalised together. Returns (float32 [all images, D], the operation that updates the moving averages)."""
        images = [self.F.augment(batch.images, role, step) for role, batch in batches.items()]
        x, update = self.F.train(tf.concat(images, axis=0), "+".join(batches))
        return x, update()


class Hashing(Deep):
    """A deep baseline of bits: a bit is 1 where its score is above 0, and the distance is Hamming's."""

    distance = "squared"

    def scores(self, x):
        """Scores float32 [B, n_bits] of F's numbers x, float32 [B, D]."""
        raise NotImplementedError

    def retrieval(self, images):
        """The Retrieval of images or vectors."""
        return hamming.retrieval(self.scores(self.F(images)) > 0)


def dense_init_001(x, units, name):
    """A dense layer as the fine-tuned baselines begin their last one: weights of deviation 0.01. x: float32 [B, C].
    Returns float32 [B, units]. Its variables are `name`'s in the current scope."""
    with tf.variable_scope(name):
        deviation = tf.random_normal_initializer(0, 0.01, layers.seed_of("kernel"))
        kernel = layers.variable("kernel", [int(x.shape[1]), units], deviation)
        return tf.matmul(x, kernel) + layers.variable("bias", [units], tf.zeros_initializer())
