"""WSDHQ (Wang et al., Weakly Supervised Deep Hyperspherical Quantization for Image Retrieval, AAAI 2021), and WDHT's
loss in the same program.

B images, T tags, D numbers in a tag's vector, M codebooks of K words of D numbers each, which are added. r: float32
[B, D], of the images; tags: bool [B, T], or a float of 0 and 1.

The release multiplies gradients of biases by 2 and of the last layer by 10; Adam is scale-free, so here they stay.
"""
import functools
from typing import NamedTuple

from gpq.model import training
from gpq.model.errors import UserError
from gpq.model.fitting import additive
from gpq.model.method import Method, Retrieval, table
from gpq.model.networks import layers
from gpq.model.tf1 import tf

SCOPE = "wsdhq"


class Memory(NamedTuple):
    """What a training keeps from step to step, besides the tables: variables that no gradient reaches.

    codes: int32 [N, M], of the images of its role, -1 for none; store: float32 [N, D], r of each as it last was in a
    batch, 0 before; started: bool scalar, whether the codebooks are fitted.
    """

    codes: tf.Variable
    store: tf.Variable
    started: tf.Variable


def unit(x):
    """Each row of x at length 1 (release's epsilon)."""
    return tf.nn.l2_normalize(x, axis=-1, epsilon=1e-12)


def cosine_margin(r, tags, tag_vectors, config):
    """The adaptive cosine margin (loss `WSDQH` of the release), a scalar: for each pair of a tag i that an image has
    and a tag j that it has not, max(0, m_ij - cos(r, i) + cos(r, j)); the mean over all pairs of the batch.

    m_ij is 2^(1 - gamma) (1 - cos(i, j))^gamma, or `config.margin`. 0 where no image has a tag. Made of the
    images' tags, one row each, and so never of [B, T, T]. tag_vectors: float32 [T, D].
    """
    s = unit(tag_vectors)
    cosines = tf.matmul(unit(r), s, transpose_b=True)
    pairs = tf.where(tf.cast(tags, tf.bool))
    image, tag = pairs[:, 0], pairs[:, 1]
    if config.margin_rule == "adaptive":
        apart = tf.maximum(1 - tf.matmul(s, s, transpose_b=True), 0)
        margin = tf.gather(2 ** (1 - config.gamma) * apart ** config.gamma, tag)
    else:
        margin = config.margin
    excess = tf.nn.relu(margin - tf.gather_nd(cosines, pairs)[:, tf.newaxis] + tf.gather(cosines, image))
    others = 1 - tf.gather(tf.cast(tags, r.dtype), image)
    return tf.math.divide_no_nan(tf.reduce_sum(excess * others), tf.reduce_sum(others))


def hinge(r, tags, tag_vectors, config):
    """WDHT's hinge loss in WSDHQ's release, a scalar: of every image, against the mean tag vector e of every other,
    max(0, margin + cos(r, e_other) - cos(r, e_own)), e as long as the mean leaves it, 0 without tags; the mean over
    all pairs."""
    tags = tf.cast(tags, r.dtype)
    means = tf.math.divide_no_nan(tf.matmul(tags, unit(tag_vectors)), tf.reduce_sum(tags, axis=1, keepdims=True))
    products = tf.matmul(unit(r), means, transpose_b=True)
    excess = tf.nn.relu(config.margin + products - tf.linalg.diag_part(products)[:, tf.newaxis])
    count = tf.cast(tf.shape(r)[0], r.dtype)
    return (tf.reduce_sum(excess) / count - config.margin) / (count - 1)


def quantization(r, codes, codebooks, gram):
    """Supervised cosine quantization, a scalar: the mean of |W (r - q)|^2 = (r - q)^T G (r - q), for the tag vectors W
    and G = W^T W. q: the sum of the words that `codes` int32 [B, M] name, nothing for -1. codebooks: float32 [M, K, D];
    gram: G, float32 [D, D]."""
    n_book, n_word, dimension = codebooks.shape.as_list()
    named = tf.reshape(tf.one_hot(codes, n_word, dtype=r.dtype), [-1, n_book * n_word])
    missing = r - tf.matmul(named, tf.reshape(codebooks, [-1, dimension]))
    return tf.reduce_mean(tf.reduce_sum(tf.matmul(missing, gram) * missing, axis=1))


def coded(r, codebooks, gram, sweeps):
    """Codes uint8 [B, M] by iterated conditional modes: each codebook's word in turn is the one that, beside the words
    of the others, brings (r - q)^T G (r - q) lowest; `sweeps` times, the first time beside those already chosen.

    The codebooks come in their order, not at random as in the release, so that an image has one code. Arguments as of
    `quantization`.
    """
    weighted = tf.einsum("mkd,de->mke", codebooks, gram)
    tables = 2 * tf.einsum("mkd,nld->mnkl", weighted, codebooks)  # what a word adds to another's cost
    costs = tf.reduce_sum(weighted * codebooks, axis=2) - 2 * tf.einsum("bd,mkd->bmk", r, weighted)
    chosen = {}
    for _ in range(sweeps):
        for m in range(codebooks.shape[0]):
            others = [tf.gather(tables[n, m], code) for n, code in chosen.items() if n != m]
            chosen[m] = tf.argmin(tf.add_n([costs[:, m], *others]), axis=1)
    return tf.cast(tf.stack([chosen[m] for m in sorted(chosen)], axis=1), tf.uint8)


def _variable(name, shape, initializer, dtype=tf.float32):
    """One that no gradient reaches."""
    with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE):
        return tf.get_variable(name, shape, dtype, initializer, trainable=False)


class WSDHQ(Method):
    """F and the layer fc8, trained by images and their tags, beside codebooks that are fitted in rounds."""

    name = "wsdhq"
    roles = ("tagged",)
    targets = "tags"
    added = True

    def embedding(self, r, tags, tag_vectors):
        """The loss of images and tags, a scalar."""
        return cosine_margin(r, tags, tag_vectors, self.config)

    def _tables(self, tag_vectors=None):
        """The codebooks, float32 [M, K, D], and G, float32 [D, D], which is of the tag vectors where they are given."""
        config, dimension = self.config, self.config.dimension
        zeros = tf.zeros_initializer()
        words = _variable("C", [config.n_book * config.intn_word, dimension],
                          tf.random_uniform_initializer(-1, 1, layers.seed_of(f"{SCOPE}/C")))
        gram = zeros if tag_vectors is None else lambda *_, **__: tf.matmul(tag_vectors, tag_vectors, transpose_a=True)
        return (tf.reshape(words, [config.n_book, config.intn_word, dimension]),
                _variable("G", [dimension, dimension], gram))

    def memory(self, count):
        """The Memory of a training of `count` images."""
        zeros = tf.zeros_initializer()
        return Memory(_variable("codes", [count, self.config.n_book], tf.constant_initializer(-1), tf.int32),
                      _variable("store", [count, self.config.dimension], zeros),
                      _variable("started", [], zeros, tf.bool))

    def _fc8(self, features):
        """tanh of the layer fc8 on F's numbers, float32 [B, D]."""
        with tf.variable_scope(SCOPE, reuse=tf.AUTO_REUSE), tf.variable_scope("fc8"):
            deviation = tf.random_normal_initializer(0, 0.01, layers.seed_of("kernel"))
            kernel = layers.variable("kernel", [int(features.shape[-1]), self.config.dimension], deviation)
            bias = layers.variable("bias", [self.config.dimension], tf.zeros_initializer())
        return tf.tanh(tf.matmul(features, kernel) + bias)

    def _as_quantized(self, x):
        """Features or tag vectors as the quantizer and retrieval take them: as they are (code), or of length 1 (paper).
        """
        return unit(x) if self.config.normalize == "paper" else x

    def losses(self, batches, step):
        """total: embedding, of images and tags, and quantization, times lambda. batches: {"tagged": training.Batch},
        whose labels are tags.

        The operation stores the batch's r, too, which dropout and crop have part in, as in the release.
        """
        batch = batches["tagged"]
        features, update = self.F.train(self.F.augment(batch.images, "tagged", step), "tagged")
        r, tag_vectors = self._fc8(features), tf.constant(batch.tag_vectors)
        embedding = self.embedding(r, batch.labels, tag_vectors)
        codebooks, gram = self._tables(self._as_quantized(tag_vectors))
        memory = self.memory(batch.count)
        r = self._as_quantized(r)
        lost = quantization(r, tf.gather(memory.codes, batch.places), codebooks, gram)
        lost *= tf.where_v2(memory.started, self.config.lam, 0.)
        stored = tf.scatter_update(memory.store, batch.places, r)
        return ({"total": embedding + lost, "embedding": embedding, "quantization": lost}, tf.group(update(), stored))

    def optimise(self, losses, averages, n_steps):
        """Adam as the release has it."""
        return training.training_graph(losses, averages, self.config, n_steps,
                                       functools.partial(training.tf_adam, beta1=0.9))

    def fit(self, given, step):
        """Codes and codebooks, where a round is due."""
        return additive.fit(given, self.config, step)

    def retrieval(self, images):
        """The Retrieval of images, whose codewords are added.

        features are the tanh layer's, the average over F's test-time crops (AlexNet's ten), whose inner product with a
        code's sum of words ranks (AQD).
        """
        r = self._as_quantized(self.F.over_test_crops(images, self._fc8))
        codebooks, gram = self._tables()
        return Retrieval(r, coded(r, codebooks, gram, self.config.sweeps), codebooks)

    def check(self, path, shapes):
        """Raise UserError where codebooks and fc8 are not those of the settings."""
        config, (words, dimension) = self.config, table(path, shapes, "wsdhq/C", self.name)
        self.F.check(path, shapes)
        if dimension != config.dimension:
            raise UserError(f"{path} has features of {dimension} numbers, the settings ask for {config.dimension}; "
                            f"set dimension={dimension}")
        if words != config.n_book * config.intn_word:
            mend = (f"n_book={words // config.intn_word}" if words % config.intn_word == 0
                    else f"n_book and bn_word, of which n_book * 2 ** bn_word is {words}")
            raise UserError(f"{path} has {words} codewords, the settings ask for {config.n_book} x {config.intn_word}; "
                            f"set {mend}")


class WDHT(WSDHQ):
    """WDHT's hinge loss in WSDHQ's program."""

    name = "wdht"

    def embedding(self, r, tags, tag_vectors):
        """The loss of images and tags, a scalar."""
        return hinge(r, tags, tag_vectors, self.config)
