"""F, the feature extractors: one row of NETWORKS and one file of model/networks/ each."""
import functools
from collections.abc import Callable
from typing import NamedTuple

from model import augmentation
from model.networks import alexnet, efficientnet_lite, embeddings, layers
from model.networks.cnn_f import cnn_f
from model.networks.gist import FEATURES, gist
from model.networks.modified_vgg import modified_vgg
from model.networks.resnet import resnet18, unit_range
from model.networks.spatial import DIRECT
from model.tf1 import tf


class Network(NamedTuple):
    """What the rest of the project knows of a network.

    build: makes Features. It is called as build(images, dimension, training=, spatial=, drop=, hidden=, side=,
    frozen=) inside the variable scope `scope`; it names the keywords that it uses and takes the others as **_.
    dimension: None for what comes before the last layer. drop(x, layer's name) is dropout in training and x itself in
    retrieval; hidden: units of each hidden layer, for a network on vectors; side: pixels that an image is enlarged to,
    for EfficientNet-Lite; frozen: bool scalar of the graph or None, for ResNet-18 (see `layers.normalised`).
    scope: what the names of its variables begin with.
    multiply_adds: of one image, forward.
    pflop_per_hour: speed of training measured on two cores, 10^15 floating-point operations an hour.
    standardise: uint8 images [B, H, W, 3] to what `build` takes, float32.
    imagenet: the variant of EfficientNet-Lite whose ImageNet weights it starts from, or None.
    ready: how many numbers it gives before its last layer, where nobody need train it for them: ImageNet's weights make
    them, or none do. Else None.
    view(images, batch's name, config, step, standardise) -> (varied, varied further), float32: what training sees.
    look(standardised images, see) -> the mean of see(crop) over the crops that retrieval takes, for WSDHQ.
    """

    build: Callable
    scope: str
    multiply_adds: float
    pflop_per_hour: float
    standardise: Callable = augmentation.standardise
    imagenet: int | None = None
    ready: int | None = None
    view: Callable = augmentation.view
    look: Callable = lambda images, see: see(images)


def _lite(variant, multiply_adds, pflop_per_hour):
    return Network(functools.partial(efficientnet_lite.efficientnet_lite, variant=variant),
                   f"EfficientNetLite{variant}", multiply_adds, pflop_per_hour, efficientnet_lite.standardise,
                   imagenet=variant, ready=efficientnet_lite.FEATURES)


NETWORKS = {
    "modified_vgg": Network(modified_vgg, "Fixed_VGG", multiply_adds=286e6, pflop_per_hour=0.97),
    "cnn_f": Network(cnn_f, "CNN_F", multiply_adds=721e6, pflop_per_hour=0.39),
    "alexnet": Network(alexnet.alexnet, "AlexNet", multiply_adds=721e6, pflop_per_hour=0.39,
                       standardise=alexnet.standardise, view=alexnet.view, look=alexnet.ten_crops),
    "resnet18": Network(resnet18, "resnet18", multiply_adds=556e6, pflop_per_hour=1.06, standardise=unit_range),
    "efficientnet_lite0": _lite(0, multiply_adds=384e6, pflop_per_hour=0.22),
    "efficientnet_lite1": _lite(1, multiply_adds=501e6, pflop_per_hour=0.24),
    "efficientnet_lite2": _lite(2, multiply_adds=575e6, pflop_per_hour=0.26),
    # The dense layer to 144 numbers; the Fourier transforms before it, learned by nobody, take 3 ms an image.
    "gist": Network(gist, "GIST", multiply_adds=0.074e6, pflop_per_hour=5e-4,
                    standardise=functools.partial(tf.cast, dtype=tf.float32), ready=FEATURES),
    # Of 1,280 numbers to 144 without hidden layers, whatever the vectors and layers are: it takes seconds.
    "embeddings": Network(embeddings.dense_layers, embeddings.SCOPE, multiply_adds=0.184e6, pflop_per_hour=0.2,
                          standardise=embeddings.unit_scale),
}


def network(name):
    """The Network of that name. Raises ValueError where there is none."""
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}, only {', '.join(NETWORKS)}")
    return NETWORKS[name]


def views(images, batch, config, step):
    """A step's batch of that name, of images or vectors, varied at random, twice, as the network of `config` takes it:
    (varied, varied further), float32 each."""
    chosen = network(config.backbone)
    vary = augmentation.view_of_vectors if images.shape.ndims == 2 else chosen.view
    return vary(images, batch, config, step, chosen.standardise)


def make_variables(config):
    """Make the variables of the network of `config` before its last layer, where the graph does not need them because
    that layer alone is trained: its checkpoints are whole then."""
    features(config.backbone, tf.zeros([1, config.input_side, config.input_side, 3]), None,
             training=False, side=config.input_side)


def features(name, images, dimension, training, spatial=DIRECT, batch="", hidden=(), side=224, frozen=None):
    """What the network `name` makes of images as its `standardise` returns them: Features of `dimension` numbers each.

    training: normalise by the batch's statistics and drop out, or neither. spatial: how to convolve and pool (see
    `model.networks.spatial`). batch: the batch's name; batches of different names drop different numbers in a step.
    hidden, side, frozen: see `Network.build`. dimension: None for what the network has before its last layer;
    EfficientNet-Lite takes that, float32 [B, 1280], in place of images too.
    Raises ValueError where there is no such network.
    """
    chosen = network(name)
    # Made before the scope opens, since its name would otherwise begin with it.
    step = tf.train.get_or_create_global_step() if training else None

    def drop(x, layer):
        return layers.dropout(x, step, f"{batch}/{layer}") if training else x

    with tf.variable_scope(chosen.scope, reuse=tf.AUTO_REUSE):
        return chosen.build(images, dimension, training=training, spatial=spatial, drop=drop, hidden=hidden, side=side,
                            frozen=frozen)
