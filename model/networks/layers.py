"""Convolution, batch normalisation, the dense layer and dropout. The checkpoint's variable names are decided here.

Images are float32 [B, H, W, C] unless a docstring says otherwise. Variables are made on first use and shared afterwards
(the two towers are one network).
"""
import dataclasses
import zlib
from typing import NamedTuple

from gpq.model.networks.convolution import DIRECT, Direct, Winograd
from gpq.model.tf1 import tf

DECAY = 0.9
EPSILON = 1e-3


class Normalisation(NamedTuple):
    """The variables of one batch normalisation: float32 [channels] each, `local_step` a scalar. The last two are the
    release's, whose moving mean is zero-debiased; None where it is not."""

    beta: tf.Variable
    gamma: tf.Variable
    moving_mean: tf.Variable
    moving_variance: tf.Variable
    biased: tf.Variable | None = None
    local_step: tf.Variable | None = None


class BatchStatistics(NamedTuple):
    """What one tower saw at one layer: `mean` and Bessel-corrected `variance`, float32 [channels] each, and the
    variables `norm` whose moving averages they belong to."""

    norm: Normalisation
    mean: tf.Tensor
    variance: tf.Tensor


@dataclasses.dataclass
class Forward:
    """A forward pass through F: how its layers compute, and what they saw.

    training: whether batch statistics normalise and dropout acts. convolution: its form. name: the batch's; batches of
    other names drop other numbers. step: integer scalar, of training. hidden: units of each hidden layer, for vectors.
    side: pixels that EfficientNet-Lite enlarges images to. frozen: bool scalar of the graph, whether training
    normalises by the moving averages as well, which then stay as they are; None for never. statistics: a
    BatchStatistics a layer, in training.
    """

    training: bool = False
    convolution: Direct | Winograd = DIRECT
    name: str = ""
    step: tf.Tensor | None = None
    hidden: tuple[int, ...] = ()
    side: int = 224
    frozen: tf.Tensor | None = None
    statistics: list[BatchStatistics] = dataclasses.field(default_factory=list)

    @property
    def early(self):
        """The form for large images of few channels, where Winograd's method is faster in the gradients alone."""
        return self.convolution if self.training else DIRECT

    def drop(self, x, layer):
        """x with half of its numbers dropped in training, by the names of batch and layer; x itself in retrieval."""
        return dropout(x, 0.5, stateless_seed(f"{self.name}/{layer}", self.step), levels=2) if self.training else x


def seed_of(name):
    """The seed that the initial value of the variable `name` of the current scope is drawn by."""
    return zlib.crc32(f"{tf.get_variable_scope().name}/{name}".encode()) >> 1


def stateless_seed(name, step):
    """The seed of what is drawn by that name at a step, int64 [2], for tf.random.stateless_*.

    The graph's seed decides it too. 0 leaves it as it was when the name and the step alone did.
    """
    seed = tf.get_default_graph().seed
    return tf.stack([tf.cast(step, tf.int64), zlib.crc32(f"{seed} {name}".encode() if seed else name.encode())])


def variable(name, shape, initializer=None, trainable=True):
    """The float32 variable `name` of the current scope, Xavier-initialised unless told otherwise.

    Its initial value depends on the graph's seed and on its full name, and on nothing else in the graph.
    """
    return tf.get_variable(name, shape, tf.float32, initializer or tf.glorot_uniform_initializer(seed_of(name)),
                           trainable=trainable)


def uniform_variable(name, shape, bound):
    """The float32 variable `name` of the current scope, drawn evenly from -bound to bound."""
    return variable(name, shape, tf.random_uniform_initializer(-bound, bound, seed_of(name)))


def _kernel_and_bias(name, shape):
    with tf.variable_scope(name):
        return variable("kernel", shape), variable("bias", shape[-1:], tf.zeros_initializer())


def normalisation(scope, channels, debiased=True):
    """The Normalisation of `channels` channels in `scope`, under the names that the release's checkpoints have.

    debiased: whether its moving mean is zero-debiased, as the release's.
    """
    with tf.variable_scope(scope) as here:
        zeros, ones = tf.zeros_initializer(), tf.ones_initializer()
        norm = Normalisation(variable("beta", [channels], zeros), variable("gamma", [channels], ones),
                             variable("moving_mean", [channels], zeros, trainable=False),
                             variable("moving_variance", [channels], ones, trainable=False))
        if not debiased:
            return norm
        # The release keeps the two helpers under the scope's name a second time.
        debias = f"{here.name}/moving_mean"
        return norm._replace(biased=variable(f"{debias}/biased", [channels], zeros, trainable=False),
                             local_step=variable(f"{debias}/local_step", [], zeros, trainable=False))


def normalised(convolve, kernel, norm, forward, epsilon=EPSILON, bias=0.0):
    """A convolution and the batch normalisation `norm` of its channels.

    convolve: function of the kernel, whose last axis are the channels, as of the images that it returns. bias: float32
    [channels], of the convolution.

    In training the bias is left out of the convolution, since the batch mean takes it away again: it only
    shifts the statistics, its exact gradient is zero, and it stays where it was. In retrieval the moving
    averages are folded into the kernel, so that one convolution does the whole layer.
    """
    if not forward.training:
        scale = norm.gamma * tf.rsqrt(norm.moving_variance + epsilon)
        return tf.nn.bias_add(convolve(kernel * scale), (bias - norm.moving_mean) * scale + norm.beta)
    x = convolve(kernel)

    def by_batch():
        return tf.nn.fused_batch_norm(x, norm.gamma, norm.beta, epsilon=epsilon)

    def by_averages():
        return tf.nn.fused_batch_norm(x, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance, epsilon,
                                      is_training=False)

    x, mean, variance = by_batch() if forward.frozen is None else tf.cond(forward.frozen, by_averages, by_batch)
    forward.statistics.append(BatchStatistics(norm, mean + bias, variance))
    return x


def conv_bn_relu(x, filters, conv, norm, forward, convolution=DIRECT):
    """3 x 3 convolution (stride 1, SAME, bias), batch normalisation, ReLU.

    x: images in the layout of `convolution`. Returns the same of `filters` channels.
    """
    kernel, bias = _kernel_and_bias(conv, [3, 3, x.shape[-1], filters])
    return tf.nn.relu(normalised(lambda kernel: convolution.convolve(x, kernel), kernel, normalisation(norm, filters),
                                 forward, bias=bias))


def update_moving_averages(statistics, after=None):
    """Take one tower's list of BatchStatistics into the moving averages, as the release does.

    The mean is zero-debiased where it has the helpers for it (`biased`, `local_step`), the variance is not. after: an
    operation that comes first. Returns one operation.
    """
    def move(average, seen):
        return average.assign_sub((1 - DECAY) * (average - seen))

    updates = []
    with tf.control_dependencies([] if after is None else [after]):
        for norm, mean, variance in statistics:
            updates.append(move(norm.moving_variance, variance))
            if norm.biased is None:
                updates.append(move(norm.moving_mean, mean))
            else:
                step, total = norm.local_step.assign_add(1.0), move(norm.biased, mean)
                updates.append(norm.moving_mean.assign(total / (1 - tf.pow(DECAY, step))))
        return tf.group(*updates)


def enlarge(images, size):
    """Bilinear enlargement. float32 [B, H, H, C] to [B, size, size, C]; H is static.

    Written as two products with the weights, since XLA's form of tf.image.resize is wrong at some pixels.
    """
    old = float(images.shape[1])
    centres = tf.clip_by_value((tf.range(float(size)) + 0.5) * old / size - 0.5, 0, old - 1)
    weights = tf.nn.relu(1 - tf.abs(centres[:, tf.newaxis] - tf.range(old)))
    return tf.einsum("jw,bhwc->bhjc", weights, tf.einsum("ih,bhwc->biwc", weights, images))


def conv_relu(x, filters, size, name, stride=1, padding="SAME", groups=1):
    """size x size convolution with bias, ReLU. x: float32 [B, H, W, C]. Returns float32 [B, H', W', filters].

    groups: into which channels and filters are split, each group of filters seeing its group of channels alone.
    """
    kernel, bias = _kernel_and_bias(name, [size, size, x.shape[-1] // groups, filters])
    parts = [tf.nn.conv2d(*part, stride, padding)
             for part in zip(tf.split(x, groups, axis=3), tf.split(kernel, groups, axis=3), strict=True)]
    return tf.nn.relu(tf.nn.bias_add(tf.concat(parts, axis=3), bias))


def dense(x, units, name="dense"):
    """x: float32 [B, C]. Returns float32 [B, units], with bias, without activation."""
    kernel, bias = _kernel_and_bias(name, [x.shape[-1], units])
    return tf.matmul(x, kernel) + bias


def dropout(x, rate, seed, levels=2 ** 16):
    """Each number of x set to 0 with probability `rate`, the others divided by 1 - rate.

    x: float32; seed: int32 or int64 [2], another for every batch. The rate is taken to the nearest 1 / levels.
    """
    # Integers, since TensorFlow and XLA draw other floats from the same seed.
    draws = tf.random.stateless_uniform(tf.shape(x), seed, 0, levels, tf.int32)
    return tf.where_v2(draws < round(rate * levels), 0., x / (1 - rate))
