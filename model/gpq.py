"""GPQ (Jang & Cho, Generalized Product Quantization Network for Semi-supervised Image Retrieval, CVPR 2020)."""
from typing import NamedTuple

from gpq.model import losses, quantizer
from gpq.model.errors import UserError
from gpq.model.method import Method, Retrieval, table, unit, weighted
from gpq.model.networks.layers import variable
from gpq.model.tf1 import tf

LOG_NAMES = {"total": "loss", "n_pair": "hash", "classification": "cls", "entropy": "ent"}


class Towers(NamedTuple):
    """What the losses are made of. labelled, unlabelled: intra-normalised float32 [B, M, d]; quantized: the soft
    descriptors of the labelled; logits, unlabelled_logits: of `losses.class_logits`; codewords: Z', float32 [K, M, d].
    """

    labelled: tf.Tensor
    unlabelled: tf.Tensor
    quantized: tf.Tensor
    logits: tf.Tensor
    unlabelled_logits: tf.Tensor
    codewords: tf.Tensor


class GPQ(Method):
    """F with codebooks Z and prototypes C, trained on labelled and unlabelled images."""

    name = "gpq"
    roles = ("labelled", "unlabelled")
    sampler = "random_batches"

    @property
    def dimension(self):
        """Numbers in a feature, M * d."""
        return self.config.n_book * self.config.len_code

    def _split(self, x):
        return quantizer.split(x, self.config.n_book)

    def _tables(self):
        """Z [K, M, d] and C [classes, M, d], as stored. Also the variable that tflearn keeps in every checkpoint."""
        with tf.variable_scope("", reuse=tf.AUTO_REUSE):
            tf.get_variable("is_training", dtype=tf.bool, initializer=False, trainable=False)
            z = variable("Z", [self.config.intn_word, self.dimension])
            c = variable("C", [self.config.n_CLASSES, self.dimension])
        return self._split(z), self._split(c)

    def features(self, labelled, unlabelled):
        """F of both batches, standardised float32 [B, H, W, 3] each, in training: (float32 [B, M * d] each, the
        operation that updates F's moving averages)."""
        seen, update_seen = self.F.train(labelled, "labelled")
        unseen, update_unseen = self.F.train(unlabelled, "unlabelled")
        # The release leaves the order of the towers to chance; in its reference run the unlabelled came first.
        return seen, unseen, update_seen(after=update_unseen())

    def towers(self, seen, unseen):
        """The Towers of F's numbers, float32 [B, M * d] each."""
        config, (codebooks, prototypes) = self.config, self._tables()
        codewords = quantizer.update_codewords(codebooks, prototypes, config.alpha, config.follow)
        x = quantizer.intra_normalise(self._split(seen))
        q = quantizer.soft_assignment(x, codewords, config.alpha)
        u = quantizer.intra_normalise(losses.reverse_gradient(self._split(unseen)))
        return Towers(x, u, q, *(losses.class_logits(each, prototypes, config.beta, config.follow) for each in (x, u)),
                      codewords)

    def terms(self, towers, labels):
        """Each loss and its weight, {name: (weight, scalar)}, of Towers (equations 2 to 5).

        labels: float32 [B, n_CLASSES]. What is added here is trained, logged and drawn by TensorBoard.
        """
        config, (x, _, q, logits, unlabelled_logits, _) = self.config, towers
        n_pair = (losses.n_pair_pq(x, q, labels, config.follow) if config.metric_loss == "n_pair"
                  else losses.triplet(q, labels, config.margin))
        return {"n_pair": (1, n_pair),
                "classification": (config.lam_classification, losses.classification(logits, labels)),
                "entropy": (-config.lam_entropy, losses.subspace_entropy(unlabelled_logits, config.follow))}

    def losses(self, batches, step):
        """The losses of a step. batches: {"labelled" and "unlabelled": training.Batch}, as large as each other."""
        seen, unseen, averages = self.features(*(self.F.augment(batches[role].images, role, step)
                                                 for role in self.roles))
        labels = tf.cast(batches["labelled"].labels, tf.float32)
        return weighted(self.terms(self.towers(seen, unseen), labels)), averages

    def retrieval(self, images):
        """Features and codes of images (section 3.2).

        The release codes by the nearest intra-normalised Z and takes distances to Z as stored; the paper form does
        both with the updated, normalised Z', and its features are intra-normalised.
        """
        config, (codebooks, prototypes) = self.config, self._tables()
        if config.follow == "paper":
            codebooks = quantizer.update_codewords(codebooks, prototypes, config.alpha, config.follow)
        features = self.F(images)
        sub_vectors = self._split(features)
        if config.follow == "paper":
            features = quantizer.join(quantizer.intra_normalise(sub_vectors))
        codes = quantizer.hard_assignment(sub_vectors, codebooks)
        return Retrieval(features, codes, tf.transpose(codebooks, [1, 0, 2]))

    def vectors(self, features):
        """Each sub-vector at one length, and the whole at length 1."""
        sub_vectors = features.reshape(len(features), self.config.n_book, -1)
        return unit(unit(sub_vectors).reshape(features.shape))

    def log(self, losses):
        """As the release prints it; `ent` is the negative entropy."""
        return ", ".join(f"{LOG_NAMES.get(name, name)}: {-value if name == 'entropy' else value:.4f}"
                         for name, value in losses.items())

    def check(self, path, shapes):
        """Raise UserError where the tables are not those of the settings."""
        config = self.config
        (codewords, dimension), (classes, _) = (table(path, shapes, name, "GPQ") for name in "ZC")
        self.F.check(path, shapes)
        if codewords != config.intn_word:
            raise UserError(f"{path} has {codewords} codewords a codebook, the settings ask for {config.intn_word}; "
                            f"set bn_word={codewords.bit_length() - 1}")
        if dimension != self.dimension:
            mend = (f"n_book={dimension // config.len_code}" if dimension % config.len_code == 0
                    else f"len_code={dimension // config.n_book}" if dimension % config.n_book == 0
                    else f"n_book and len_code, whose product is {dimension}")
            raise UserError(f"{path} has features of {dimension} numbers, the settings ask for {config.n_book} x "
                            f"{config.len_code}; set {mend}")
        if classes != config.n_CLASSES:
            raise UserError(f"{path} knows {classes} classes, the settings ask for {config.n_CLASSES}; "
                            f"set n_CLASSES={classes}")
