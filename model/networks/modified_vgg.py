from gpq.model.networks import layers
from gpq.model.tf1 import tf


def modified_vgg(images, forward):
    """The modified VGG of section 4.1 under the release's variable names.

    images: float32 [B, 32, 32, 3], standardised. Returns float32 [B, 768].
    """
    def block(x, convolution, conv_names, filters, norm):
        for k, conv in enumerate(conv_names):
            x = layers.conv_bn_relu(x, filters, conv, f"{norm}-{k}" if k else norm, forward, convolution)
        return x

    first, conv = forward.early, forward.convolution
    x = first.max_pool(block(first.to_layout(images), first, ["conv2d", "conv2d_1"], 64, "batch0"))
    x = x if first is conv else conv.to_layout(first.from_layout(x))
    x = conv.max_pool(block(x, conv, ["conv2d_2", "conv2d_3"], 128, "batch1"))
    x = conv.max_pool(block(x, conv, ["conv2d_4", "conv2d_5", "conv2d_6"], 256, "batch2"))
    middle = conv.average_pool(x)
    x = block(x, conv, ["conv2d_7", "conv2d_8", "conv2d_9"], 512, "batch3")
    return tf.concat([conv.average_pool(x), middle], axis=1)
