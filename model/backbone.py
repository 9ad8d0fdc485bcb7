"""F, the feature extractor: one row of NETWORKS and one file of model/networks/ for each network."""
import functools
from collections.abc import Callable
from typing import NamedTuple

from gpq.model import augmentation
from gpq.model.errors import UserError
from gpq.model.networks import alexnet, convolution, efficientnet_lite, embeddings, gist, layers
from gpq.model.networks.cnn_f import cnn_f
from gpq.model.networks.modified_vgg import modified_vgg
from gpq.model.networks.resnet import resnet18, unit_range
from gpq.model.tf1 import tf


class Network(NamedTuple):
    """What the rest of the project knows of a network.

    build: build(images as of `standardise`, layers.Forward) -> float32 [B, D], all but the last layer; it is called
    inside the variable scope `scope`.
    scope: what the names of its variables begin with.
    multiply_adds: of one image, forward, with a last layer of 144 numbers.
    pflop_per_hour: speed of training measured on two cores, 10^15 floating-point operations an hour.
    standardise: uint8 images [B, H, W, 3] to what `build` takes, float32.
    imagenet: the variant of EfficientNet-Lite whose ImageNet weights it starts from, or None.
    pretrained_dim: D, if it is usable without training: ImageNet's weights make it, or none do. Else None.
    augment(images, batch's name, config, step, standardise) -> (augmented, augmented further), float32.
    test_crops(standardised images, see) -> the average of see(crop) over the test-time crops.
    """

    build: Callable
    scope: str
    multiply_adds: float
    pflop_per_hour: float
    standardise: Callable = augmentation.standardise
    imagenet: int | None = None
    pretrained_dim: int | None = None
    augment: Callable = augmentation.view
    test_crops: Callable = lambda images, see: see(images)


def _lite(variant, multiply_adds, pflop_per_hour):
    return Network(functools.partial(efficientnet_lite.efficientnet_lite, variant=variant),
                   f"EfficientNetLite{variant}", multiply_adds, pflop_per_hour, efficientnet_lite.standardise,
                   imagenet=variant, pretrained_dim=efficientnet_lite.FEATURES)


NETWORKS = {
    "modified_vgg": Network(modified_vgg, "Fixed_VGG", multiply_adds=286e6, pflop_per_hour=0.97),
    "cnn_f": Network(cnn_f, "CNN_F", multiply_adds=721e6, pflop_per_hour=0.39),
    "alexnet": Network(alexnet.alexnet, "AlexNet", multiply_adds=721e6, pflop_per_hour=0.39,
                       standardise=alexnet.standardise, augment=alexnet.view, test_crops=alexnet.ten_crops),
    "resnet18": Network(resnet18, "resnet18", multiply_adds=556e6, pflop_per_hour=1.06, standardise=unit_range),
    "efficientnet_lite0": _lite(0, multiply_adds=384e6, pflop_per_hour=0.22),
    "efficientnet_lite1": _lite(1, multiply_adds=501e6, pflop_per_hour=0.24),
    "efficientnet_lite2": _lite(2, multiply_adds=575e6, pflop_per_hour=0.26),
    # The dense layer to 144 numbers; the Fourier transforms before it, learned by nobody, take 3 ms an image.
    "gist": Network(gist.gist, "GIST", multiply_adds=0.074e6, pflop_per_hour=5e-4,
                    standardise=functools.partial(tf.cast, dtype=tf.float32), pretrained_dim=gist.FEATURES),
    # Of 1,280 numbers to 144 without hidden layers, whatever the vectors and layers are: it takes seconds.
    "embeddings": Network(embeddings.dense_layers, embeddings.SCOPE, multiply_adds=0.184e6, pflop_per_hour=0.2,
                          standardise=embeddings.unit_scale),
}


class Backbone:
    """F: `x, update = F.train(images, "labelled")` in training, `x = F(images)` in retrieval.

    config: any object with the settings of config.py. dimension: numbers of the last layer, D, or None for what comes
    before it. form: how to convolve, `convolution.Direct()` or `Winograd()`, or None for the faster one here. Variables
    are made on first use and shared afterwards. Raises ValueError where there is no such network.
    """

    def __init__(self, config, dimension=None, form=None):
        if config.backbone not in NETWORKS:
            raise ValueError(f"there is no network {config.backbone!r}, only {', '.join(NETWORKS)}")
        self.network = NETWORKS[config.backbone]
        self._config, self._dimension, self._form = config, dimension, form

    def augment(self, images, name, step):
        """A step's batch of that name, of images or vectors, varied at random as `config.augmentation` says."""
        return self.views(images, name, step)[self._config.augmentation == "strong"]

    def views(self, images, name, step):
        """Two variations of a step's batch: (augmented, augmented further)."""
        augment = augmentation.view_of_vectors if images.shape.ndims == 2 else self.network.augment
        return augment(images, name, self._config, step, self.network.standardise)

    def train(self, images, name, frozen=None):
        """Features in training, and update(after=None), which makes the operation that updates the moving averages.

        images: standardised float32 [B, H, W, 3] or [B, D]; name: the batch's, which dropout depends on; frozen: as of
        `layers.Forward`; after: an operation that comes first.
        """
        x, statistics = self.features(images, True, name, frozen)
        return x, functools.partial(layers.update_moving_averages, statistics)

    def __call__(self, images):
        """Features in retrieval, float32 [B, D], of images uint8 [B, H, W, 3] or vectors float [B, D]."""
        return self.features(self.network.standardise(images))[0]

    def over_test_crops(self, images, head):
        """The average of head(features) over the network's test-time crops. images: uint8 [B, H, W, 3]."""
        return self.network.test_crops(self.network.standardise(images), lambda crop: head(self.features(crop)[0]))

    def features(self, images, training=False, name="", frozen=None):
        """(features float32 [B, D], [layers.BatchStatistics]) of standardised images; arguments as of `train`."""
        config, side = self._config, self._config.input_side
        if images.shape.ndims == 2 and config.freeze:  # the last layer alone is trained, and checkpoints shall be whole
            self._forward(tf.zeros([1, side, side, 3]), layers.Forward(side=side))
        form = self._form or convolution.fastest(images.shape[0])
        # The step is made before the scope opens, since its name would otherwise begin with it.
        step = tf.train.get_or_create_global_step() if training else None
        forward = layers.Forward(training, form, name, step, config.hidden, side, frozen)
        return self._forward(images, forward, self._dimension), forward.statistics

    def check(self, path, shapes):
        """Raise UserError where the checkpoint `path` of variables {name: shape} holds another network."""
        config, made_with = self._config, [name for name, network in NETWORKS.items()
                                           if any(part.startswith(f"{network.scope}/") for part in shapes)]
        if made_with and config.backbone not in made_with:
            raise UserError(f"{path} holds another F than {config.backbone}, which the settings ask for; "
                            f"set backbone={made_with[0]}")
        _, *hidden = embeddings.widths(shapes) or [None]
        if config.backbone == "embeddings" and hidden != list(config.hidden):
            raise UserError(f"{path} has hidden layers of {hidden} units, the settings ask for {list(config.hidden)}; "
                            f"set hidden={hidden}")

    def _forward(self, images, forward, dimension=None):
        with tf.variable_scope(self.network.scope, reuse=tf.AUTO_REUSE):
            x = self.network.build(images, forward)
            return x if dimension is None else layers.dense(x, dimension)
