"""F, the feature extractors: one row of NETWORKS and one file of model/networks/ each."""
from collections.abc import Callable
from typing import NamedTuple

from model import augmentation
from model.networks import layers
from model.networks.cnn_f import cnn_f
from model.networks.modified_vgg import modified_vgg
from model.networks.spatial import DIRECT
from model.tf1 import tf


class Network(NamedTuple):
    """What the rest of the project knows of a network.

    build: makes Features. It is called as build(images, dimension, training=, spatial=, drop=) inside the variable
    scope `scope`; it names the keywords that it uses and takes the others as **_. drop(x, layer's name) is dropout in
    training and x itself in retrieval.
    scope: what the names of its variables begin with.
    multiply_adds: of one image, forward.
    pflop_per_hour: speed of training measured on two cores, 10^15 floating-point operations an hour.
    standardise: uint8 images [B, H, W, 3] to what `build` takes, float32.
    """

    build: Callable
    scope: str
    multiply_adds: float
    pflop_per_hour: float
    standardise: Callable = augmentation.standardise


NETWORKS = {
    "modified_vgg": Network(modified_vgg, "Fixed_VGG", multiply_adds=286e6, pflop_per_hour=0.97),
    "cnn_f": Network(cnn_f, "CNN_F", multiply_adds=721e6, pflop_per_hour=0.39),
}


def network(name):
    """The Network of that name. Raises ValueError where there is none."""
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}, only {', '.join(NETWORKS)}")
    return NETWORKS[name]


def features(name, images, dimension, training, spatial=DIRECT, batch=""):
    """What the network `name` makes of images as its `standardise` returns them: Features of `dimension` numbers each.

    training: normalise by the batch's statistics and drop out, or neither. spatial: how to convolve and pool (see
    `model.networks.spatial`). batch: the batch's name; batches of different names drop different numbers in a step.
    Raises ValueError where there is no such network.
    """
    chosen = network(name)
    # Made before the scope opens, since its name would otherwise begin with it.
    step = tf.train.get_or_create_global_step() if training else None

    def drop(x, layer):
        return layers.dropout(x, step, f"{batch}/{layer}") if training else x

    with tf.variable_scope(chosen.scope, reuse=tf.AUTO_REUSE):
        return chosen.build(images, dimension, training=training, spatial=spatial, drop=drop)
