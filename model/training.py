"""One step of training, whatever is trained: Adam with a decaying learning rate, and the moving averages."""
from typing import NamedTuple

from model.tf1 import tf


class Batch(NamedTuple):
    """The images of one role in a step. images: uint8 [B, H, W, 3]; labels: bool [B, n_CLASSES], all False where nobody
    may know them."""

    images: tf.Tensor
    labels: tf.Tensor


class TrainingGraph(NamedTuple):
    """One step of training: run `step`; the other fields tell how it goes. losses: a NamedTuple of scalars, one of them
    `total`, which training minimises."""

    losses: tuple
    learning_rate: tf.Tensor
    global_step: tf.Variable
    step: tf.Operation


def learning_rate(step, config, n_steps):
    """The rate of a step, a float32 scalar.

    staircase: learning_rate * decay_rate ^ floor(step / decay_steps) (release); cosine: half a period, from
    learning_rate at step 0 to 0 at step n_steps (Loshchilov and Hutter, ICLR 2017).
    """
    if config.decay == "cosine":
        return tf.train.cosine_decay(config.learning_rate, step, n_steps)
    return tf.train.exponential_decay(config.learning_rate, step, config.decay_steps, config.decay_rate,
                                      staircase=True)


def gradients(loss):
    """[(gradient or None, variable)] of every trainable variable."""
    trainable = tf.trainable_variables()
    return list(zip(tf.gradients(loss, trainable), trainable, strict=True))


def training_graph(losses, averages, config, n_steps):
    """One Adam step (beta1 0.5, release) down `losses.total`, together with the operation `averages`.

    n_steps: of the whole training, for the learning rate. Returns a TrainingGraph.
    """
    global_step = tf.train.get_or_create_global_step()
    rate = learning_rate(global_step, config, n_steps)
    # The convolutions' biases have no gradient (see layers.conv_bn_relu) and Adam leaves them alone.
    moved = [pair for pair in gradients(losses.total) if pair[0] is not None]
    step = tf.train.AdamOptimizer(rate, beta1=0.5).apply_gradients(moved, global_step)
    return TrainingGraph(losses, rate, global_step, tf.group(step, averages))
