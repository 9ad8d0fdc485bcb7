"""SPQ (Jang & Cho, Self-supervised Product Quantization for Deep Unsupervised Image Retrieval, ICCV 2021)."""
from typing import NamedTuple

from gpq.model import quantizer, training
from gpq.model.errors import UserError
from gpq.model.method import Method, Retrieval, table, unit
from gpq.model.networks import layers
from gpq.model.tf1 import tf
from gpq.model.views import view

NEVER = -1e9  # a logit whose probability is 0
VIEWS = ("first view", "second view")


class Tower(NamedTuple):
    """One view. x: features, z: the same quantized, softly in training; float32 [B, M * d] each."""

    x: tf.Tensor
    z: tf.Tensor


def contrastive(x, z, temperature, loss):
    """The loss of one pairing, a scalar: x of one view with z of the other, float32 [B, D] each, cosines compared.

    The mean over its anchors of minus the logarithm of the positive's share. code (release): each row of [x; z] against
    all other rows. paper, by the release's figure and from memory, unchecked: each x against the z of the other images,
    without its own.
    """
    x, z = (tf.nn.l2_normalize(rows, axis=1, epsilon=1e-16) for rows in (x, z))
    if loss == "code":
        anchors = others = tf.concat([x, z], axis=0)
    else:
        anchors, others = x, z
    logits = tf.matmul(anchors, others, transpose_b=True) / temperature
    diagonal = tf.linalg.diag_part(logits)
    logits = tf.linalg.set_diag(logits, tf.fill(tf.shape(diagonal), NEVER))
    if loss == "paper":
        return tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - diagonal)
    rows = tf.shape(anchors)[0]
    positives = tf.math.floormod(tf.range(rows) + rows // 2, rows)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=positives, logits=logits))


def cross_quantized(one, other, config):
    """The loss of two Towers, a scalar: x of each view with z of the other. The release adds the two pairings, the
    paper, from memory, unchecked, takes their mean. SPQ-C compares z with z."""
    pairs = [(one.z if config.variant == "spq_c" else one.x, other.z),
             (other.z if config.variant == "spq_c" else other.x, one.z)]
    total = sum(contrastive(x, z, config.contrastive_temperature, config.loss) for x, z in pairs)
    return total if config.loss == "code" else total / 2


class SPQ(Method):
    """F, a linear head and codebooks, trained by contrasting two views of each image, without labels."""

    name = "spq"
    roles = ("training",)
    forward_passes = 2
    distance = "norms"

    def _frozen(self):
        """Whether F's training normalises by its moving averages: a bool variable, which checkpoints keep."""
        with tf.variable_scope("spq", reuse=tf.AUTO_REUSE):
            return tf.get_variable("frozen", dtype=tf.bool, initializer=False, trainable=False)

    def _head(self, features):
        """x float32 [B, M * d] of F's numbers, float32 [B, n], and the codebooks [K, M, d].

        Initial values as PyTorch's and the release's of December 2021; those of September have a tenth of Xavier's
        deviation, and no bias.
        """
        config = self.config
        dimension = config.N_books * config.L_word

        def matrix(name, rows):
            deviation = 0.1 * (2 / (rows + dimension)) ** 0.5
            september = tf.random_normal_initializer(0, deviation, layers.seed_of(name))
            return layers.variable(name, [rows, dimension], september if config.init == "sep2021" else None)

        with tf.variable_scope("spq", reuse=tf.AUTO_REUSE):
            codebooks = matrix("C", config.N_words)
            with tf.variable_scope("fc"):
                rows = int(features.shape[-1])
                x = tf.matmul(features, matrix("kernel", rows))
                if config.init == "dec2021":
                    x += layers.uniform_variable("bias", [dimension], rows ** -0.5)
        return x, quantizer.split(codebooks, config.books)

    def tower(self, features):
        """The head and the quantizer on F's numbers of one view, float32 [B, n], in training: a Tower.

        SPQ-H takes the nearest codeword for z; its gradient is the soft one's, since no source says another.
        """
        config, (x, codebooks) = self.config, self._head(features)
        sub_vectors = quantizer.split(x, config.books)
        z = quantizer.soft_quantize_l2(sub_vectors, codebooks, config.soft_quantization_scale)
        if config.variant == "spq_h":
            named = tf.one_hot(quantizer.nearest(sub_vectors, codebooks), config.N_words)
            z += tf.stop_gradient(tf.einsum("bmk,kmd->bmd", named, codebooks) - z)
        return Tower(x, quantizer.join(z))

    def loss_graph(self, one, other):
        """The loss of two views of a batch, standardised float32 [B, H, W, 3] each, each normalised by itself. Both are
        taken into F's moving averages, one after the other."""
        x, update_first = self.F.train(one, VIEWS[0], self._frozen())
        first = self.tower(x)
        y, update_second = self.F.train(other, VIEWS[1], self._frozen())
        second = self.tower(y)
        averages = update_second(after=update_first())
        return {"total": cross_quantized(first, second, self.config)}, averages

    def losses(self, batches, step):
        """total: the cross-quantized contrastive loss, in nats. batches: {"training": training.Batch}, whose labels are
        not looked at."""
        images = batches["training"].images
        if images.shape.ndims == 2:  # vectors
            views = self.F.views(images, "training", step)
        else:
            views = [self.F.network.standardise(255 * view(images, name, self.config, step)) for name in VIEWS]
        return self.loss_graph(*views)

    def optimise(self, losses, averages, n_steps):
        """Adam as in PyTorch, with weight decay. After the first measurement on held-back images batch normalisation
        stays as it is where `config.bn_after_eval` is "frozen": the release leaves its network in evaluation mode."""
        graph = training.training_graph(losses, averages, self.config, n_steps, training.torch_adam,
                                        self.config.weight_decay)
        return graph._replace(judged=self._frozen().assign(self.config.bn_after_eval == "frozen"))

    def retrieval(self, images):
        """features are x, neither quantized nor normalised; codes name the nearest codeword of each codebook."""
        x, codebooks = self._head(self.F(images))
        codes = quantizer.nearest(quantizer.split(x, self.config.books), codebooks)
        return Retrieval(x, codes, tf.transpose(codebooks, [1, 0, 2]))

    def vectors(self, features):
        """Each at length 1."""
        return unit(features)

    def check(self, path, shapes):
        """Raise UserError where codebooks and head are not those of the settings."""
        config, (words, dimension) = self.config, table(path, shapes, "spq/C", "SPQ")
        self.F.check(path, shapes)
        if words != config.N_words:
            raise UserError(f"{path} has {words} codewords a codebook, the settings ask for {config.N_words}; "
                            f"set N_words={words}")
        if dimension != config.N_books * config.L_word:
            mend = (f"N_books={dimension // config.L_word}" if dimension % config.L_word == 0
                    else f"N_books and L_word, whose product is {dimension}")
            raise UserError(f"{path} has features of {dimension} numbers, the settings ask for {config.N_books} x "
                            f"{config.L_word}; set {mend}")
        if ("spq/fc/bias" in shapes) != (config.init == "dec2021"):
            made = "dec2021" if "spq/fc/bias" in shapes else "sep2021"
            raise UserError(f"{path} was made with init={made} and the settings say {config.init}; set init={made}")
