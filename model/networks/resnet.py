"""ResNet-18 (He et al., CVPR 2016) for images of 32 x 32 pixels: no pooling but the last, strides and initial weights
as PyTorch's. The names of variables mirror those of SPQ's release."""
from gpq.model.networks import layers
from gpq.model.tf1 import tf

EPSILON = 1e-5
FEATURES = 512
STAGES = (64, 128, 256, 512)  # channels; all but the first begin with a stride of 2
BLOCKS = 2  # in a stage


def unit_range(images):
    """uint8 (or 0 to 255 float) [B, H, W, 3] to float32 from 0 to 1."""
    return tf.cast(images, tf.float32) / 255


def halve(images, kernel):
    """Convolution with stride 2, without bias, padded on every side as PyTorch does.

    images: float32 [B, H, W, C], H and W even; kernel: float32 [n, n, C, O], n odd. Returns float32 [B, H/2, W/2, O].
    """
    margin = [kernel.shape[0] // 2] * 2
    # A convolution that pads by itself, otherwise than SAME, has gradients several times slower on processors.
    return tf.nn.conv2d(tf.pad(images, [[0, 0], margin, margin, [0, 0]]), kernel, 2, "VALID")


def resnet18(images, forward):
    """The 512 numbers of `fc_out`, float32 [B, 512]. images: float32 [B, 32, 32, 3].

    The convolutions of stride 2 are the library's, whatever the form of the others.
    """
    def conv_bn(x, filters, conv, norm, convolve, size=3):
        channels = int(x.shape[-1])
        with tf.variable_scope(conv):
            kernel = layers.uniform_variable("kernel", [size, size, channels, filters],
                                             (size * size * channels) ** -0.5)
        norm = layers.normalisation(norm, filters, debiased=False)
        return layers.normalised(lambda kernel: convolve(x, kernel), kernel, norm, forward, EPSILON)

    def block(x, filters, here, before=None):
        """A basic block in the layout of `here`. Where `before` is given, x comes in its layout and is halved."""
        def convolve(x, kernel):
            return here.convolve(x, kernel) if before is None else here.to_layout(halve(before.from_layout(x), kernel))

        y = tf.nn.relu(conv_bn(x, filters, "conv1", "bn1", convolve))
        y = conv_bn(y, filters, "conv2", "bn2", here.convolve)
        if before is not None:
            x = conv_bn(x, filters, "shortcut/0", "shortcut/1", convolve, size=1)
        return tf.nn.relu(y + x)

    here = forward.early
    x = tf.nn.relu(conv_bn(here.to_layout(images), STAGES[0], "conv1", "bn1", here.convolve))
    for stage, filters in enumerate(STAGES, 1):
        before, here = here, here if stage == 1 else forward.convolution
        for number in range(BLOCKS):
            with tf.variable_scope(f"layer{stage}/{number}"):
                x = block(x, filters, here, before if stage > 1 and number == 0 else None)
    x = forward.convolution.average_pool(x)
    bound = FEATURES ** -0.5
    with tf.variable_scope("fc_out"):
        kernel = layers.uniform_variable("kernel", [x.shape[-1], FEATURES], bound)
        return tf.nn.relu(tf.matmul(x, kernel) + layers.uniform_variable("bias", [FEATURES], bound))
