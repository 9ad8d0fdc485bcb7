"""GPQ wired into the two graphs that users meet: the losses that training lowers, and retrieval.

`config` is any object with the settings of config.py; nothing else is read.
"""
from typing import NamedTuple

from model import backbones, losses, quantizer
from model.networks.layers import update_moving_averages, variable
from model.networks.spatial import DIRECT
from model.retrieval import Retrieval
from model.tf1 import tf


class Losses(NamedTuple):
    """Scalars. `total` is what training minimises: n_pair (or the triplet loss in its place) + weighted
    classification - weighted entropy."""

    n_pair: tf.Tensor
    classification: tf.Tensor
    entropy: tf.Tensor
    total: tf.Tensor


class Towers(NamedTuple):
    """What the losses are made of. labelled, unlabelled: intra-normalised float32 [B, M, d]; quantized: the soft
    descriptors of the labelled; logits: of the labelled; codewords: Z', float32 [K, M, d]."""

    labelled: tf.Tensor
    unlabelled: tf.Tensor
    quantized: tf.Tensor
    logits: tf.Tensor
    codewords: tf.Tensor


def _tables(config):
    """Z [K, M, d] and C [classes, M, d], as stored. Also the variable that tflearn keeps in every checkpoint."""
    dimension = config.n_book * config.len_code
    with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        tf.get_variable("is_training", dtype=tf.bool, initializer=False, trainable=False)
        z = variable("Z", [config.intn_word, dimension])
        c = variable("C", [config.n_CLASSES, dimension])
    return quantizer.split(z, config.n_book), quantizer.split(c, config.n_book)


def _features(images, config, training, spatial, batch=""):
    return backbones.features(config.backbone, images, config.n_book * config.len_code, training, spatial, batch,
                              config.hidden, config.input_side)


def _two_towers(labelled, unlabelled, config, training, spatial):
    """Raw features of both batches, and the operation that updates F's moving averages."""
    seen = _features(labelled, config, training, spatial, "labelled")
    unseen = _features(unlabelled, config, training, spatial, "unlabelled")
    # The release leaves the order of the towers to chance; in its reference run the unlabelled came first.
    with tf.control_dependencies([update_moving_averages(unseen.statistics)]):
        return seen.raw, unseen.raw, update_moving_averages(seen.statistics)


def loss_graph(labelled, labels, unlabelled, config, training=True, spatial=DIRECT):
    """The losses of a labelled and an unlabelled batch (equations 2 to 5).

    labelled, unlabelled: standardised float32 [B, H, W, 3]; labels: float32 [B, n_CLASSES]. Returns (Losses, Towers,
    the operation that updates F's moving averages). `spatial` as in `backbones.features`.
    """
    codebooks, prototypes = _tables(config)
    seen, unseen, averages = _two_towers(labelled, unlabelled, config, training, spatial)

    codewords = quantizer.update_codewords(codebooks, prototypes, config.alpha, config.follow)
    x = quantizer.intra_normalise(quantizer.split(seen, config.n_book))
    q = quantizer.soft_assignment(x, codewords, config.alpha)
    u = quantizer.intra_normalise(losses.reverse_gradient(quantizer.split(unseen, config.n_book)))
    logits = losses.class_logits(x, prototypes, config.beta, config.follow)
    unlabelled_logits = losses.class_logits(u, prototypes, config.beta, config.follow)

    n_pair = (losses.n_pair_pq(x, q, labels, config.follow) if config.metric_loss == "n_pair"
              else losses.triplet(q, labels, config.margin))
    classification = losses.classification(logits, labels)
    entropy = losses.subspace_entropy(unlabelled_logits, config.follow)
    total = n_pair + config.lam_classification * classification - config.lam_entropy * entropy
    return Losses(n_pair, classification, entropy, total), Towers(x, u, q, logits, codewords), averages


def training_losses(batches, config, step, spatial=DIRECT):
    """The losses of a step: its batches varied at random, and what `loss_graph` makes of them.

    batches: {"labelled" and "unlabelled": training.Batch}, as large as each other; step: its number, integer scalar.
    Returns (Losses, the operation that updates F's moving averages). `spatial` as in `backbones.features`.
    """
    labelled, unlabelled = (backbones.views(batches[role].images, role, config, step)[config.augmentation == "strong"]
                            for role in ("labelled", "unlabelled"))
    values, _, averages = loss_graph(labelled, tf.cast(batches["labelled"].labels, tf.float32), unlabelled, config,
                                     spatial=spatial)
    return values, averages


def retrieval_graph(images, config, spatial=DIRECT):
    """Features and codes of uint8 [B, H, W, 3] images (section 3.2). Returns a Retrieval.

    The release codes by the nearest intra-normalised Z and takes distances to Z as stored; the paper form does
    both with the updated, normalised Z', and its features are intra-normalised. `spatial` as in `backbones.features`.
    """
    codebooks, prototypes = _tables(config)
    if config.follow == "paper":
        codebooks = quantizer.update_codewords(codebooks, prototypes, config.alpha, config.follow)
    images = backbones.network(config.backbone).standardise(images)
    features = _features(images, config, training=False, spatial=spatial).raw
    sub_vectors = quantizer.split(features, config.n_book)
    if config.follow == "paper":
        features = quantizer.join(quantizer.intra_normalise(sub_vectors))
    codes = quantizer.hard_assignment(sub_vectors, codebooks)
    return Retrieval(features, codes, tf.transpose(codebooks, [1, 0, 2]))
