"""Soft labels: how probable a teacher finds each of its own classes in an image, for F to learn by distillation
(Hinton, Vinyals and Dean, Distilling the knowledge in a neural network, 2015).

`python -m utils.training.soft_labels` makes a file of them, and training takes it by --soft_labels.
"""
from typing import NamedTuple

import numpy as np

from gpq.utils.data import label_files
from gpq.utils.errors import UserError

ENOUGH = 20  # images that a teacher's class is the likeliest of, or F does not learn it
MOST = 256  # classes that a code of one byte tells apart


class SoftLabels(NamedTuple):
    """Of all N images, in the order of the data, and K of the teacher's classes; 0 for queries, unless a training is
    judged by these, as by CIFAR-100's test images."""

    probabilities: np.ndarray  # float16 [N, K]
    classes: np.ndarray  # int64 [K], the teacher's numbers of them
    sha256: str  # of the data


def soften(logits, data, temperature):
    """`SoftLabels` from the teacher's logits, float [N, C], of all images of `data`: the softmax, at that temperature,
    of the classes that are the likeliest of `ENOUGH` training images, the `MOST` commonest at most.

    Raises UserError where fewer than two classes are.
    """
    seen = data.training
    counts = np.bincount(logits[seen].argmax(1), minlength=logits.shape[1])
    commonest = np.argsort(-counts, kind="stable")[:MOST]
    classes = np.sort(commonest[counts[commonest] >= ENOUGH])
    if len(classes) < 2:
        raise UserError(f"the teacher finds {len(classes)} of its classes in {ENOUGH} or more of {len(seen)} training "
                        "images, and two are needed; give more images")
    scaled = np.asarray(logits[:, classes], np.float32) / temperature
    probabilities = np.exp(scaled - scaled.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    probabilities[np.setdiff1d(data.query, data.validation)] = 0
    return SoftLabels(probabilities.astype(np.float16), classes, data.source.sha256)


def add(data, config):
    """Take all training images for labelled ones, by the soft labels at `config.soft_labels`.

    Returns (data whose labels are the likeliest of the teacher's classes, float16 [N, K] the probabilities). Raises
    UserError as `label_files.read`, and where the file is of other classes than n_CLASSES or of another protocol.
    """
    path = config.soft_labels
    found = label_files.read(path, SoftLabels, "soft labels", data, probabilities="float [N, K], 0 to 1",
                             classes="int [K]")
    n_classes = len(found.classes)
    if n_classes != config.n_CLASSES:
        raise UserError(f"{path} has {n_classes} classes, the settings ask for {config.n_CLASSES}; set "
                        f"n_CLASSES={n_classes}")
    if not found.probabilities[data.training].any(1).all():
        raise UserError(f"{path} was made with another protocol, under which some of these images are queries; make it "
                        "again with the settings of this training")
    likeliest = np.arange(n_classes) == found.probabilities.argmax(1)[:, np.newaxis]
    return data._replace(labels=likeliest, labelled=data.training), found.probabilities
