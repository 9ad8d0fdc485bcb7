from model.networks import layers
from model.networks.spatial import DIRECT
from model.tf1 import tf


def modified_vgg(images, dimension, training, spatial, **_):
    """The modified VGG of section 4.1 under the release's variable names.

    images: float32 [B, 32, 32, 3], standardised. Returns Features of `dimension` numbers an image. With `training` the
    batch's own statistics normalise it, else the moving averages do. `spatial` convolves and pools.
    """
    statistics = []

    def block(x, spatial, conv_names, filters, norm):
        for k, conv in enumerate(conv_names):
            x, seen = layers.conv_bn_relu(x, filters, conv, f"{norm}-{k}" if k else norm, training, spatial)
            statistics.append(seen)
        return x

    # On large images of few channels Winograd's method saves time in the gradients only.
    first = spatial if training else DIRECT
    x = first.max_pool(block(first.enter(images), first, ["conv2d", "conv2d_1"], 64, "batch0"))
    x = x if training else spatial.enter(x)
    x = spatial.max_pool(block(x, spatial, ["conv2d_2", "conv2d_3"], 128, "batch1"))
    x = spatial.max_pool(block(x, spatial, ["conv2d_4", "conv2d_5", "conv2d_6"], 256, "batch2"))
    middle = spatial.average_pool(x)
    x = block(x, spatial, ["conv2d_7", "conv2d_8", "conv2d_9"], 512, "batch3")
    raw = layers.head(tf.concat([spatial.average_pool(x), middle], axis=1), dimension)
    return layers.Features(raw, statistics if training else [])
