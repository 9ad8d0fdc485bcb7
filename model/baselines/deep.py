"""What the deep baselines share: F on a step's batch and in retrieval, and the layout of their codes.

B images; a code has M = n_bits / 4 symbols of 4 bits. `config` is any object with the settings of config.py; nothing
else is read. What a method has beside F are variables under its name: `pqn/codebooks`.
"""
from model import backbones
from model.networks import layers
from model.networks.spatial import DIRECT
from model.tf1 import tf

NIBBLE = 4  # bits of a symbol
WORDS = 2 ** NIBBLE  # codewords of a codebook, K
LENGTH = 12  # numbers in a sub-vector, d, as GPQ has it


def n_book(config):
    """Codebooks, M."""
    return config.n_bits // NIBBLE


def own_variable(config, name, shape, initializer=None, trainable=True):
    """The float32 variable `name` of the method, as `layers.variable` makes it."""
    with tf.variable_scope(config.method, reuse=tf.AUTO_REUSE):
        return layers.variable(name, shape, initializer, trainable)


def seen(batches, config, step, dimension=None, spatial=DIRECT):
    """What F sees in the images of a step, varied at random: as one batch, in the order of `batches`, so that they are
    normalised together.

    batches: {role: training.Batch}, of one role or several; step: its number, integer scalar; dimension: of F's last
    layer, None for what comes before that. Returns (float32 [all images, dimension], the operation that updates F's
    moving averages). `spatial` as in `backbones.features`.
    """
    strong = config.augmentation == "strong"
    images = [backbones.views(batch.images, role, config, step)[strong] for role, batch in batches.items()]
    found = backbones.features(config.backbone, tf.concat(images, axis=0), dimension, True, spatial, "+".join(batches),
                               config.hidden, config.input_side)
    return found.raw, layers.update_moving_averages(found.statistics)


def features(images, config, dimension=None, spatial=DIRECT):
    """What F sees in uint8 [B, H, W, 3] images, or vectors float [B, D], in retrieval: float32 [B, dimension].
    `dimension` and `spatial` as above."""
    standardised = backbones.network(config.backbone).standardise(images)
    return backbones.features(config.backbone, standardised, dimension, False, spatial, hidden=config.hidden,
                              side=config.input_side).raw


def small_layer(x, units, name):
    """A dense layer as the fine-tuned baselines begin their last one: weights of deviation 0.01. x: float32 [B, C].
    Returns float32 [B, units]. Its variables are `name`'s in the current scope."""
    with tf.variable_scope(name):
        deviation = tf.random_normal_initializer(0, 0.01, layers.seed_of("kernel"))
        kernel = layers.variable("kernel", [int(x.shape[1]), units], deviation)
        return tf.matmul(x, kernel) + layers.variable("bias", [units], tf.zeros_initializer())
