"""What a training trains: the images and labels of its data, the batches of each step, its graph and how it is judged.

train.py's loop, or a machine without TensorFlow, runs any method by this face.
"""
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gpq.model.tf1 import tf
from gpq.model.training import Batch
from gpq.utils.data import batches, pseudo_labels, sets, soft_labels, splits
from gpq.utils.data.data import digest
from gpq.utils.errors import UserError
from gpq.utils.methods import METHODS
from gpq.utils.retrieval import feature_file
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.retrieval.evaluation import MEASURES


class Task:
    """The training that the settings `config` ask for.

    config: these settings, with n_CLASSES as a user's own data say where nothing else does;
    images: uint8 [N, H, W, 3], or vectors, float [N, D] (with `freeze` those that F sees in the images), and labels:
    bool [N, n_CLASSES], or tags, bool [N, T], all that batches are drawn from; roles: int32 [n] each, which images each
    batch may have, and counts, how many; n_batches, batch_size, epoch_steps, n_epochs, n_steps: the shape of a step and
    of the whole training, which has no steps where a method is fitted alone; measure: the name of what is measured, of
    held-back images or of the data set's own test images; source: the data's; tags_sha256: of the tags and their
    vectors, hexadecimal, or None. Raises UserError as the data set's reader and `frozen_features`, where a method
    learns from tags and there are none that fit, and where a batch, the classes or the validation ask for more than
    there is.
    """

    def __init__(self, config):
        data = sets.load(config, tags=METHODS[config.method].targets == "tags")
        self.config = config = sets.completed(config, data)
        self._method = METHODS[config.method](config)
        if config.freeze:
            data = data._replace(images=frozen_features(data.images, config))
        role = self._method.roles[0]
        if config.soft_labels and not len(data.labelled):  # of protocol 3, whose images soft labels make labelled ones
            role = "training"
        self._data = splits.hold_back(data, config, role) if config.eval_term else data
        held_back = len(getattr(data, role)) - len(getattr(self._data, role))
        self.tags_sha256 = None
        self.images, shown = data.images, self._data
        if config.soft_labels:
            shown, self.labels = soft_labels.add(shown, config)
            self._data = shown
        elif self._method.targets == "tags":
            self.labels = splits.training_tags(shown, config)
            self.tags_sha256 = digest(np.ascontiguousarray(data.tag_vectors), self.labels)
        else:
            splits.check_classes(len(splits.known_classes(shown)), config)
            self.labels = splits.training_labels(shown, config.n_CLASSES)
        if config.pseudo_labels:
            shown, self.labels = pseudo_labels.add(shown, self.labels, config.pseudo_labels, config.pseudo_confidence)
        self.roles = [getattr(shown, role) for role in self._method.roles]
        self.counts = [len(role) for role in self.roles]
        self.n_batches, self.batch_size = len(self.roles), min(config.batch_size, *self.counts)
        self.epoch_steps = max(1, self.counts[0] // config.batch_size)
        self.n_steps = config.n_steps(self.epoch_steps)
        self.n_epochs = -(-self.n_steps // self.epoch_steps)
        for role, count in zip(self._method.roles, self.counts, strict=True):
            if self.n_steps:
                splits.check_batch(config.batch_size, count + held_back, role)
            splits.check_there(count, role)
        if self.n_steps and self.batch_size < config.batch_size:
            print(f"batch_size is {config.batch_size}: a step has {self.batch_size}, all that is left beside the "
                  f"{held_back} held back")
        whose = "test" if len(data.validation) else "held_back"
        what = "teacher_agreement" if config.soft_labels else self._method.val_metric
        self.measure, self.source = f"{whose}_{what}", data.source

    def indices(self, step):
        """int64 [n_batches, batch_size], the images of a step."""
        return np.stack([role[places] for role, places in zip(self.roles, self.places(step), strict=True)])

    def places(self, step):
        """int64 [n_batches, batch_size], the images of a step by their places in their roles."""
        roles = [np.arange(count) for count in self.counts]
        return getattr(batches, self._method.sampler)(roles, self.batch_size, self.config.seed, step)

    def graph(self, images, labels, step, places=None):
        """model.training.TrainingGraph of batches: images uint8 [n_batches, B, 32, 32, 3] or float [n_batches, B, D],
        labels bool [n_batches, B, n_CLASSES] or tags, step an integer scalar, places int32 [n_batches, B], which a
        method with a memory of its images needs."""
        places = [None] * self.n_batches if places is None else tf.unstack(places)
        made = [Batch(*batch, self._data.tag_vectors)
                for batch in zip(tf.unstack(images), tf.unstack(labels), places, self.counts, strict=True)]
        losses, averages = self._method.losses(dict(zip(self._method.roles, made, strict=True)), step)
        return self._method.optimise(losses, averages, self.n_steps)

    def judge(self, session):
        """A function that measures the session's weights, as they are, on the held-back images: a float."""
        encoder = Encoder(self.config, session, like=self.images)
        return lambda: MEASURES[self._method.val_metric](encoder, self._data, self.config)

    def log_line(self, epoch, step, losses, rate):
        """What is printed every few steps."""
        return (f"epoch: {epoch}/{self.n_epochs}, iter: {step} - (Batch) "
                f"{self._method.log(losses)}, lr: {rate:.5f}")


def frozen_features(images, config):
    """What the frozen network of `config` sees in images uint8 [N, H, W, 3]: float32 [N, 1280], mapped from a file in
    model_save_path that is made once. Raises UserError as `feature_file.kept`, and where a setting has no meaning then.
    """
    if config.ImagNet_pretrained_path:
        raise UserError(f"freeze leaves {config.backbone} as ImageNet taught it, and ImagNet_pretrained_path is "
                        f"{config.ImagNet_pretrained_path}; leave one of them out")
    if config.augmentation == "strong":
        raise UserError("augmentation has no effect with freeze=true, which sees each image once and as it is; leave "
                        "one of them out")
    return feature_file.kept(Path(config.model_save_path) / f"{config.backbone}.npy", images, config, np.float32)


class Feeds(NamedTuple):
    """Placeholders of one step: images uint8 [n, B, 32, 32, 3] or float [n, B, D], labels bool [n, B, n_CLASSES], the
    step's number, places int32 [n, B]."""

    images: tf.Tensor
    labels: tf.Tensor
    step: tf.Tensor
    places: tf.Tensor


def build(task):
    """The training graph of a task, for this machine. Returns (Feeds, TrainingGraph)."""
    batches = [task.n_batches, task.batch_size]
    feeds = Feeds(tf.placeholder(task.images.dtype, [*batches, *task.images.shape[1:]]),
                  tf.placeholder(task.labels.dtype, [*batches, *task.labels.shape[1:]]), tf.placeholder(tf.int32, []),
                  tf.placeholder(tf.int32, batches))
    return feeds, task.graph(*feeds)


def draw(task, step):
    """What to feed to one step."""
    indices = task.indices(step)
    return Feeds(task.images[indices], np.asarray(task.labels[indices]), np.int32(step), task.places(step))


def drawn(task, step):
    """Yields what to feed to each step from `step` on to the last; the next is drawn, and pictures decoded, while one
    runs."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(draw, task, step)
        for following in range(step + 1, task.n_steps + 1):
            feeds = coming.result()
            if following < task.n_steps:
                coming = pool.submit(draw, task, following)
            yield feeds
