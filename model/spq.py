"""SPQ (Jang & Cho, Self-supervised Product Quantization for Deep Unsupervised Image Retrieval, ICCV 2021) wired into
the two graphs that users meet: the loss that training lowers, and retrieval.

`config` is any object with the settings of config.py; nothing else is read.
"""
from typing import NamedTuple

from model import backbones, quantizer, training
from model.networks import layers
from model.networks.spatial import DIRECT
from model.retrieval import Retrieval
from model.tf1 import tf
from model.views import view

NEVER = -1e9  # a logit whose probability is 0


class Losses(NamedTuple):
    """Scalars. total: the cross-quantized contrastive loss, in nats."""

    total: tf.Tensor


class Tower(NamedTuple):
    """One view. x: features, z: the same quantized, softly in training; float32 [B, M * d] each. statistics: F's."""

    x: tf.Tensor
    z: tf.Tensor
    statistics: list


def _frozen():
    """Whether F's training normalises by its moving averages: a bool variable, which checkpoints keep."""
    with tf.variable_scope("spq", reuse=tf.AUTO_REUSE):
        return tf.get_variable("frozen", dtype=tf.bool, initializer=False, trainable=False)


def _head(features, config):
    """x float32 [B, M * d] of F's numbers, float32 [B, n], and the codebooks [K, M, d].

    Initial values as PyTorch's and the release's of December 2021; those of September have a tenth of Xavier's
    deviation, and no bias.
    """
    dimension = config.N_books * config.L_word

    def table(name, rows):
        deviation = 0.1 * (2 / (rows + dimension)) ** 0.5
        september = tf.random_normal_initializer(0, deviation, layers.seed_of(name))
        return layers.variable(name, [rows, dimension], september if config.init == "sep2021" else None)

    with tf.variable_scope("spq", reuse=tf.AUTO_REUSE):
        codebooks = table("C", config.N_words)
        with tf.variable_scope("fc"):
            rows = int(features.shape[-1])
            x = tf.matmul(features, table("kernel", rows))
            if config.init == "dec2021":
                x += layers.uniform_variable("bias", [dimension], rows ** -0.5)
    return x, quantizer.split(codebooks, config.books)


def _features(images, config, training, spatial, batch="", frozen=None):
    return backbones.features(config.backbone, images, None, training, spatial, batch, config.hidden,
                              config.input_side, frozen)


def tower(images, config, name, spatial=DIRECT, frozen=None):
    """F, the head and the quantizer on one view in training: a Tower.

    images: standardised float32 [B, H, W, 3]; name: of the view; frozen: as in `layers.normalised`; `spatial` as in
    `backbones.features`. SPQ-H takes the nearest codeword for z; its gradient is the soft one's, since no source says
    another.
    """
    features, statistics = _features(images, config, True, spatial, name, frozen)
    x, codebooks = _head(features, config)
    sub_vectors = quantizer.split(x, config.books)
    z = quantizer.soft_nearest(sub_vectors, codebooks, config.soft_quantization_scale)
    if config.variant == "spq_h":
        named = tf.one_hot(quantizer.nearest(sub_vectors, codebooks), config.N_words)
        z += tf.stop_gradient(tf.einsum("bmk,kmd->bmd", named, codebooks) - z)
    return Tower(x, quantizer.join(z), statistics)


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


def loss_graph(views, config, spatial=DIRECT):
    """The loss of two views of a batch, standardised float32 [B, H, W, 3] each, each normalised by itself.

    Returns (Losses, the operation that takes both, one after the other, into F's moving averages). `spatial` as in
    `backbones.features`.
    """
    one, other = (tower(images, config, name, spatial, _frozen())
                  for images, name in zip(views, ("first view", "second view"), strict=True))
    with tf.control_dependencies([layers.update_moving_averages(one.statistics)]):
        averages = layers.update_moving_averages(other.statistics)
    return Losses(cross_quantized(one, other, config)), averages


def training_losses(batches, config, step, spatial=DIRECT):
    """The loss of a step: its batch varied at random, twice, and what `loss_graph` makes of it.

    batches: {"training": training.Batch}, whose labels are not looked at; step: its number, integer scalar. Returns
    (Losses, the operation that updates F's moving averages). `spatial` as in `backbones.features`.
    """
    images = batches["training"].images
    if images.shape.ndims == 2:  # vectors
        views = backbones.views(images, "training", config, step)
    else:
        standardise = backbones.network(config.backbone).standardise
        views = [standardise(255 * view(images, name, config, step)) for name in ("first view", "second view")]
    return loss_graph(views, config, spatial)


def optimise(losses, averages, config, n_steps):
    """Adam as in PyTorch, with weight decay. After the first measurement on held-back images batch normalisation stays
    as it is where `config.bn_after_eval` is "frozen": the release leaves its network in evaluation mode."""
    graph = training.training_graph(losses, averages, config, n_steps, training.pytorchs_adam, config.weight_decay)
    return graph._replace(judged=_frozen().assign(config.bn_after_eval == "frozen"))


def retrieval_graph(images, config, spatial=DIRECT):
    """Features and codes of uint8 [B, H, W, 3] images. Returns a Retrieval.

    features are x, neither quantized nor normalised; codes name the nearest codeword of each codebook. `spatial` as in
    `backbones.features`.
    """
    images = backbones.network(config.backbone).standardise(images)
    x, codebooks = _head(_features(images, config, False, spatial).raw, config)
    codes = quantizer.nearest(quantizer.split(x, config.books), codebooks)
    return Retrieval(x, codes, tf.transpose(codebooks, [1, 0, 2]))
