from model.networks import layers
from model.tf1 import tf


def modified_vgg(images, dimension, training, fast=False):
    """The modified VGG of section 4.1 under the release's variable names.

    images: float32 [B, 32, 32, 3], standardised. Returns Features of `dimension` numbers an image. With
    `training` the batch's own statistics normalise it, else the moving averages do.
    """
    statistics = []

    def block(x, conv_names, filters, norm, fast=fast):
        for k, conv in enumerate(conv_names):
            x, seen = layers.conv_bn_relu(x, filters, conv, f"{norm}-{k}" if k else norm, training, fast)
            statistics.append(seen)
        return x

    with tf.variable_scope(layers.SCOPES["modified_vgg"], reuse=tf.AUTO_REUSE):
        # Large images of few channels: Winograd's transforms take more than they save, but in the gradients.
        first = fast and training
        x = layers.images_inside(images) if first else images
        x = block(x, ["conv2d", "conv2d_1"], 64, "batch0", first)
        x = layers.max_pool(x, first)
        x = layers.images_inside(x) if fast and not first else x
        x = block(x, ["conv2d_2", "conv2d_3"], 128, "batch1")
        x = layers.max_pool(x, fast)
        x = block(x, ["conv2d_4", "conv2d_5", "conv2d_6"], 256, "batch2")
        x = layers.max_pool(x, fast)
        middle = layers.average_pool(x, fast)
        x = block(x, ["conv2d_7", "conv2d_8", "conv2d_9"], 512, "batch3")
        raw = layers.dense(tf.concat([layers.average_pool(x, fast), middle], axis=1), dimension)
    return layers.Features(raw, statistics if training else [])
