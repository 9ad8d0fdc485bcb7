"""What a training trains: its images, the batches of each step, its graph and how it is judged.

Both tasks have the same face, so that train.py's loop, or a machine without TensorFlow, runs either:

    images uint8 [N, 32, 32, 3], labels int32 [N]   all that batches are drawn from
    n_batches, batch_size, epoch_steps, n_steps     the shape of a step and of the whole training
    indices(step)                                   int64 [n_batches, batch_size], the images of a step
    graph(images, labels, step, fast)               model.training.TrainingGraph of such batches, `fast` on processors
    judge(session)                                  a function that judges the weights as they are, a float
    measure, source                                 what that float is called, where the images came from
    log_line(epoch, step, losses, rate)             what is printed every few steps
"""
from typing import NamedTuple

import numpy as np

from model import classifier, gpq, training
from model.augmentation import augment, distort
from model.tf1 import tf
from utils.data import cifar10, cifar100, splits
from utils.retrieval import evaluation
from utils.retrieval.encoder import BATCH, Encoder
from utils.session import machine
from utils.training.logs import log_line

FAST_FROM = 50  # images in a batch: fewer do not repay what Winograd's method does to the kernels


def _views(images, step, seed):
    """Of each of uint8 [n_batches, B, 32, 32, 3] batches, by seeds of its own: it standardised and augmented, and that
    distorted."""
    for k, batch in enumerate(tf.unstack(images)):
        augmented = augment(batch, tf.stack([seed, 4 * step + 2 * k]))
        yield augmented, distort(augmented, tf.stack([seed, 2 ** 30 + 4 * step + 2 * k]))


class GPQ:
    """GPQ on CIFAR-10: a labelled and an unlabelled batch a step.

    config: an object with the settings of config.py. Raises UserError as `cifar10.load`, and where a batch or
    the validation asks for more images than there are.
    """

    measure = "held_back_mAP"
    n_batches = 2

    def __init__(self, config):
        data = cifar10.load(config.data_dir, config.protocol, config.known_classes)
        if config.eval_term:
            data, self._held_back = splits.hold_back(data, config)
        self._data, self._config = data, config
        self.images = data.images
        # Whatever is not labelled bears -1, so that no graph can learn from what nobody may know; the classes that
        # are known are numbered in their order.
        known = np.unique(data.labels[data.labelled])
        self.labels = np.full(len(data.labels), -1, np.int32)
        self.labels[data.labelled] = np.searchsorted(known, data.labels[data.labelled])
        splits.check_classes(len(known), config)
        for kind in ("labelled", "unlabelled"):
            splits.check_batch(config.batch_size, len(getattr(data, kind)), kind)
        self.batch_size = config.batch_size
        self.epoch_steps = len(data.labelled) // config.batch_size
        self.n_steps = config.total_epochs * self.epoch_steps
        self.source = "CIFAR-10, the sample" if data.sample else "CIFAR-10"

    def indices(self, step):
        """Both batches, each drawn without replacement from a generator of its own: a resumed run draws alike."""
        generator = np.random.default_rng([self._config.seed, step])
        return np.stack([generator.choice(role, self.batch_size, replace=False)
                         for role in (self._data.labelled, self._data.unlabelled)])

    def graph(self, images, labels, step, fast=False):
        config = self._config
        (labelled, labelled_distorted), (unlabelled, distorted) = _views(images, step, config.seed)
        if config.augmentation == "strong":
            labelled = labelled_distorted
            if not config.lam_u:  # pseudo-labels are of undistorted images
                unlabelled = distorted
        losses, _, averages = gpq.loss_graph(labelled, tf.one_hot(labels[0], config.n_CLASSES), unlabelled, config,
                                             fast=fast, distorted=distorted)
        return training.training_graph(losses, averages, config, self.n_steps)

    def judge(self, session):
        encoder = Encoder(self._config, session)
        return lambda: evaluation.held_back_map(encoder, self._data, self._held_back, self._config)

    def log_line(self, epoch, step, losses, rate):
        return log_line(epoch, step, losses, rate, self._config)


class Pretraining:
    """F as a classifier of CIFAR-100's 100 fine classes, none of which CIFAR-10 has.

    Raises UserError as `cifar100.load`, and where a batch asks for more images than there are.
    """

    measure = "test_accuracy"
    n_batches = 1
    source = "CIFAR-100"

    def __init__(self, config):
        self._config, self._data = config, cifar100.load(config.data_dir)
        self.images, self.labels = self._data.images, self._data.labels.astype(np.int32)
        splits.check_batch(config.batch_size, len(self.images), "training")
        self.batch_size = config.batch_size
        self.epoch_steps = len(self.images) // config.batch_size
        self.n_steps = config.total_epochs * self.epoch_steps

    def indices(self, step):
        """The images of an epoch in an order of its own, a batch at a time; what is left over waits for another."""
        epoch, place = divmod(step, self.epoch_steps)
        order = np.random.default_rng([self._config.seed, epoch]).permutation(len(self.images))
        return order[np.newaxis, place * self.batch_size:(place + 1) * self.batch_size]

    def graph(self, images, labels, step, fast=False):
        ((batch, distorted),) = _views(images, step, self._config.seed)
        if self._config.augmentation == "strong":
            batch = distorted
        losses, averages = classifier.loss_graph(batch, labels[0], self._config, fast)
        return training.training_graph(losses, averages, self._config, self.n_steps)

    def judge(self, session):
        images = tf.placeholder(tf.uint8, [None, *self.images.shape[1:]])
        prediction = classifier.prediction(images, self._config, machine.on_processors())
        parts = [slice(k, k + BATCH) for k in range(0, len(self._data.test_images), BATCH)]
        return lambda: float(np.mean(np.concatenate(
            [session.run(prediction, {images: self._data.test_images[part]}) == self._data.test_labels[part]
             for part in parts])))

    def log_line(self, epoch, step, losses, rate):
        return (f"epoch: {epoch}/{self._config.total_epochs}, iter: {step} - (Batch) loss: {losses.total:.4f}, "
                f"accuracy: {losses.accuracy:.4f}, lr: {rate:.5f}")


class Feeds(NamedTuple):
    """Placeholders of one step: uint8 images [n, B, 32, 32, 3], int32 labels [n, B], the step's number."""

    images: tf.Tensor
    labels: tf.Tensor
    step: tf.Tensor


def build(task):
    """The training graph of a task, for this machine. Returns (Feeds, TrainingGraph)."""
    batches = [task.n_batches, task.batch_size]
    feeds = Feeds(tf.placeholder(tf.uint8, [*batches, *task.images.shape[1:]]), tf.placeholder(tf.int32, batches),
                  tf.placeholder(tf.int32, []))
    return feeds, task.graph(*feeds, fast=machine.on_processors() and task.batch_size >= FAST_FROM)


def draw(task, step):
    """What to feed to one step."""
    indices = task.indices(step)
    return Feeds(task.images[indices], task.labels[indices], step)
