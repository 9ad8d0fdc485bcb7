"""One step of training, whatever is trained: Adam with a decaying learning rate, and the moving averages."""
import math
from typing import NamedTuple

import numpy as np

from gpq.model.tf1 import tf

WAIT = 10  # epochs before the wave of `periodic_cosine` begins


class Batch(NamedTuple):
    """The images of one role in a step. images: uint8 [B, H, W, 3]; labels: bool [B, n_CLASSES], all False for
    unlabelled images, or soft ones, float16. Of a method that learns from tags, labels are tags, bool [B, T].

    places: int32 [B], of the images among the `count` of their role; tag_vectors: numpy float32 [T, D].
    """

    images: tf.Tensor
    labels: tf.Tensor
    places: tf.Tensor | None = None
    count: int = 0
    tag_vectors: np.ndarray | None = None


class TrainingGraph(NamedTuple):
    """One step of training: run `step`; the other fields tell how it goes. losses: {name: scalar}, one of them
    "total", which training minimises. judged: what to run after each measurement on held-back images, if anything."""

    losses: dict[str, tf.Tensor]
    learning_rate: tf.Tensor
    global_step: tf.Variable
    step: tf.Operation
    judged: tf.Operation | None = None


def learning_rate(step, config, n_steps):
    """The rate of a step, a float32 scalar.

    staircase: learning_rate * decay_rate ^ floor(step / decay_steps) (release); cosine: half a period, from
    learning_rate at step 0 to 0 at step n_steps (Loshchilov and Hutter, ICLR 2017); periodic: see `periodic_cosine`.
    """
    if config.decay == "cosine":
        return tf.train.cosine_decay(config.learning_rate, step, n_steps)
    if config.decay == "periodic":
        return config.learning_rate * periodic_cosine(step, n_steps // config.total_epochs)
    return tf.train.exponential_decay(config.learning_rate, step, config.decay_steps, config.decay_rate,
                                      staircase=True)


def periodic_cosine(step, epoch_steps):
    """The wave of SPQ's release, 1 to 0, a float32 scalar: constant within an epoch, 1 up to epoch 10, counted from 0,
    0 first after as many more epochs as an epoch has steps, and back at 1 after as many again."""
    place = tf.math.floormod(tf.maximum(step // epoch_steps - WAIT, 0), 2 * epoch_steps)
    return tf.cos(tf.cast(place, tf.float32) * (math.pi / (2 * epoch_steps))) ** 2  # (1 + cos of twice that) / 2


def gradients(loss):
    """[(gradient or None, variable)] of every trainable variable."""
    trainable = tf.trainable_variables()
    return list(zip(tf.gradients(loss, trainable), trainable, strict=True))


def tf_adam(rate, step, beta1=0.5):
    """By default as GPQ's release has it."""
    return tf.train.AdamOptimizer(rate, beta1=beta1)


def torch_adam(rate, step):
    """With PyTorch's defaults. TensorFlow's effective epsilon is 30 times as large at step 1; this matters where
    gradients are as small as the weight decay."""
    corrected = tf.sqrt(1 - 0.999 ** (tf.cast(step, tf.float32) + 1))
    return tf.train.AdamOptimizer(rate, epsilon=1e-8 * corrected)


def training_graph(losses, averages, config, n_steps, adam=tf_adam, weight_decay=0.0):
    """One step of Adam down `losses["total"]`, together with the operation `averages`.

    n_steps: of the whole training, for the learning rate. adam(rate, step) -> optimiser. weight_decay: of every
    variable, added to its gradient. Returns a TrainingGraph.
    """
    global_step = tf.train.get_or_create_global_step()
    rate = learning_rate(global_step, config, n_steps)
    # The convolutions' biases have no gradient (see layers.normalised) and Adam leaves them alone.
    moved = [(gradient + weight_decay * variable if weight_decay else gradient, variable)
             for gradient, variable in gradients(losses["total"]) if gradient is not None]
    # All gradients come first: a sum that is done beside others begins with whatever is there, and rounds accordingly.
    with tf.control_dependencies([gradient for gradient, _ in moved]):
        step = adam(rate, global_step).apply_gradients(moved, global_step)
    return TrainingGraph(losses, rate, global_step, tf.group(step, averages))
