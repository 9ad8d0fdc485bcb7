"""F, the feature extractors."""
from model.networks import layers
from model.networks.cnn_f import cnn_f
from model.networks.modified_vgg import modified_vgg
from model.tf1 import tf


def features(backbone, images, dimension, training, fast=False):
    """What `backbone` ("modified_vgg" or "cnn_f") makes of standardised images, float32 [B, 32, 32, 3]: Features of
    `dimension` numbers an image. `fast`, for processors: the modified VGG convolves by Winograd's method.
    """
    if backbone == "cnn_f":
        return cnn_f(images, dimension, training)
    return modified_vgg(images, dimension, training, fast)


def update_statistics(features):
    """The operation that takes the batch statistics of `features` into F's moving averages."""
    with tf.variable_scope(layers.SCOPES["modified_vgg"], reuse=True):
        return layers.update_moving_averages(features.statistics)
