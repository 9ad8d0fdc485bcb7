"""What scripts need from a method: a class each, of which METHODS in utils/methods.py is the registry."""
from typing import NamedTuple

import numpy as np

from gpq.model import training
from gpq.model.backbone import Backbone
from gpq.model.errors import UserError
from gpq.model.tf1 import tf


class Retrieval(NamedTuple):
    """features: float32 [B, D], of queries; codes: uint8 [B, M]; codebooks: float32 [M, K, d], to whose codewords
    distances are taken."""

    features: tf.Tensor
    codes: tf.Tensor
    codebooks: tf.Tensor


class Method:
    """Base class of methods: `METHODS[config.method](config)` builds what one graph has of one.

    name: of its settings in config.py.
    roles: of Data, a batch of each a step; of the first one held-back images are taken.
    sampler: which images make a step, a function of utils.data.batches.
    targets: what a batch has as its labels, "labels" or "tags".
    val_metric: what is measured on held-back images, a name in utils.retrieval.evaluation.MEASURES.
    forward_passes: of F, for each image of a step, for what training costs.
    distance: of a query and a code, one of utils.retrieval.search.DISTANCES.
    added: whether the codewords of a code are summed, and not joined.
    losses(batches, step): ({"total": what training lowers, and each loss by its name}, scalars; the operation that
        updates the moving averages). batches: {role: training.Batch}; step: integer scalar. None without steps.
    features_for_fit(images): float32 [B, D], what `fit` may ask for, or None.
    """

    name = ""
    roles = ("labelled",)
    sampler = "epoch_batches"
    targets = "labels"
    val_metric = "mAP"
    forward_passes = 1
    distance = "inner"
    added = False
    dimension = None
    losses = None
    features_for_fit = None

    def __init__(self, config, form=None):
        """config: any object with the method's settings; form: of convolution, see `Backbone`."""
        self.config = config
        self.F = Backbone(config, self.dimension, form)

    def retrieval(self, images):
        """The Retrieval of images uint8 [B, H, W, 3], or vectors float [B, D]."""
        raise NotImplementedError

    def vectors(self, features):
        """Features float32 [N, D], numpy, as vectors whose inner product ranks where nothing is quantized."""
        return features

    def check(self, path, shapes):
        """Raise UserError where the checkpoint `path` of variables {name: shape} does not fit the settings."""
        if not any(name.startswith(f"{self.name}/") for name in shapes):
            raise UserError(f"{path} is not a checkpoint of {self.name}; set model_load_path to another")
        self.F.check(path, shapes)

    def log(self, losses):
        """{name: number} of a step as a line of the log."""
        return ", ".join(f"{'loss' if name == 'total' else name}: {value:.4f}" for name, value in losses.items())

    def optimise(self, losses, averages, n_steps):
        """The training.TrainingGraph of what `losses` returned."""
        return training.training_graph(losses, averages, self.config, n_steps)

    def fit(self, given, step):
        """{variable: array}, found otherwise than by gradient after `step` steps, 0 before the first.

        given: a utils.training.fitting.Fitting. Empty where nothing is due.
        """
        return {}


def table(path, shapes, name, owner):
    """The two sides of the table `name`, without which `path` is no checkpoint of `owner`."""
    if len(shapes.get(name, [])) != 2:
        raise UserError(f"{path} is not a checkpoint of {owner}: it has no table {name}; set model_load_path to "
                        "another")
    return shapes[name]


def weighted(terms):
    """{"total": the weighted sum, and each loss by its name}. terms: {name: (weight, scalar)}."""
    total = 0
    for weight, loss in terms.values():
        # Subtracted: with a product with a negative number, Winograd's gradients are not rounded alike in every run.
        total = total - abs(weight) * loss if weight < 0 else total + weight * loss
    return {"total": total, **{name: loss for name, (_, loss) in terms.items()}}


def unit(vectors):
    """float32 [..., D], numpy, each vector at length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
