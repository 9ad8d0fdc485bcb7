"""F, the feature extractors."""
from typing import NamedTuple

from model import layers
from model.tf1 import tf

CHANNEL_MEAN = (125.642, 123.738, 114.46)
CHANNEL_STD = (63.01, 62.157, 66.94)
SCOPES = {"modified_vgg": "Fixed_VGG", "cnn_f": "CNN_F"}  # what the names of each F's variables begin with


class Features(NamedTuple):
    """raw: float32 [B, D], not normalised. statistics: one layers.BatchStatistics a layer, empty in retrieval."""

    raw: tf.Tensor
    statistics: list[layers.BatchStatistics]


def standardise(images):
    """uint8 (or 0 to 255 float) [B, H, W, 3] to float32 of mean 0 and deviation 1 per channel (release)."""
    return (tf.cast(images, tf.float32) - CHANNEL_MEAN) / CHANNEL_STD


def features(backbone, images, dimension, training, fast=False):
    """What `backbone` ("modified_vgg" or "cnn_f") makes of standardised images, float32 [B, 32, 32, 3]: Features of
    `dimension` numbers an image. `fast`, for processors: the modified VGG convolves by Winograd's method.
    """
    if backbone == "cnn_f":
        return cnn_f(images, dimension, training)
    return modified_vgg(images, dimension, training, fast)


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

    with tf.variable_scope(SCOPES["modified_vgg"], reuse=tf.AUTO_REUSE):
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
    return Features(raw, statistics if training else [])


def cnn_f(images, dimension, training):
    """CNN-F of Chatfield et al. (BMVC 2014, table 1), whose last layer gives `dimension` numbers and not 1000 classes.

    images: float32 [B, 32, 32, 3], standardised; they are enlarged to 224 x 224. Returns Features without statistics.
    With `training` half of each 4096 activations is dropped, by the global step. Local response normalisation is
    that of Krizhevsky et al. (2012, section 3.3), and pooling that of the published model: 3 x 3, stride 2.
    """
    step = tf.train.get_or_create_global_step() if training else None  # outside of the scope, or it bears its name

    def normalise(x):
        return tf.nn.local_response_normalization(x, depth_radius=2, bias=2, alpha=1e-4, beta=0.75)

    def full(x, name):
        x = tf.nn.relu(layers.dense(x, 4096, name))
        return layers.dropout(x, step) if training else x

    with tf.variable_scope(SCOPES["cnn_f"], reuse=tf.AUTO_REUSE):
        x = normalise(layers.conv_relu(layers.enlarge(images, 224), 64, 11, "conv1", stride=4, padding="VALID"))
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        x = normalise(layers.conv_relu(x, 256, 5, "conv2"))
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        x = layers.conv_relu(x, 256, 3, "conv3")
        x = layers.conv_relu(x, 256, 3, "conv4")
        x = layers.conv_relu(x, 256, 3, "conv5")
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        x = full(tf.reshape(x, [-1, x.shape[1:].num_elements()]), "full6")
        raw = layers.dense(full(x, "full7"), dimension)
    return Features(raw, [])


def update_statistics(features):
    """The operation that takes the batch statistics of `features` into F's moving averages."""
    with tf.variable_scope(SCOPES["modified_vgg"], reuse=True):
        return layers.update_moving_averages(features.statistics)
