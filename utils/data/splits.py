"""Splits that training needs of any data set, and what it may know of the labels."""
import os

import numpy as np

from gpq.utils.data.labels import ClassNumbers
from gpq.utils.errors import UserError


def known_classes(data):
    """The classes that the labelled images have, int64 [k], ascending: columns of `data.labels`."""
    return np.flatnonzero(data.labels[data.labelled].any(0))


def training_labels(data, n_classes):
    """All that a graph may learn from: the labels of the labelled images, the known classes numbered in their order.

    Returns bool [N, n_classes], for n_classes from `check_classes`, all False for an image that is not labelled.
    """
    known = known_classes(data)
    if isinstance(data.labels, ClassNumbers):
        numbers = np.full(len(data.labels), -1)
        numbers[data.labelled] = data.labels[data.labelled][:, known].numbers
        return ClassNumbers(numbers, n_classes)
    needed = len(data.labels) * n_classes
    if needed > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        raise UserError(f"n_CLASSES is {n_classes}, and the labels of {len(data.labels)} images would take "
                        f"{needed / 2 ** 30:.0f} GiB, more than this machine has; set it to fewer")
    labels = np.zeros((len(data.labels), n_classes), bool)
    labels[data.labelled, :len(known)] = data.labels[np.ix_(data.labelled, known)]
    return labels


def training_tags(data, config):
    """The tags that a graph may learn from, bool [N, T]: of the `tagged` images, all False for others. UserError where
    there are none, and where their vectors are of other lengths than the settings say."""
    if not len(data.tagged):
        raise UserError(f"{config.method} learns from tags, and there are none of {data.source.name}; set another "
                        "dataset, or another method")
    check_dimension(data, config)
    tags = np.zeros_like(data.tags)
    tags[data.tagged] = data.tags[data.tagged]
    return tags


def check_dimension(data, config):
    """UserError where the tags' vectors are of other lengths than the settings say."""
    there = data.tag_vectors.shape[1]
    if there != config.dimension:
        raise UserError(f"dimension is {config.dimension}, but the tags have vectors of {there} numbers; set "
                        f"dimension={there}")


def label_first(data, each):
    """`data` with the first `each` images of every class that training may see as its labelled ones, and the others of
    these unlabelled. Raises UserError where a class has fewer."""
    seen = data.training
    counts = data.labels[seen].sum(0)
    if not 0 < each <= counts.min():
        raise UserError(f"{each} labelled images of each class are asked for, and {data.source.name} has "
                        f"{counts.min()} of one; ask for 1 to {counts.min()}")
    labelled = np.unique(np.concatenate([seen[of_class][:each] for of_class in data.labels[seen].T]))
    return data._replace(labelled=labelled, unlabelled=np.setdiff1d(seen, labelled))


def check_classes(there, config):
    """UserError where there are more classes of labelled images than prototypes."""
    if there > config.n_CLASSES:
        raise UserError(f"n_CLASSES is {config.n_CLASSES}, but the labelled images are of {there} classes; "
                        f"set n_CLASSES to {there} or more")


def check_batch(batch_size, there, kind):
    """UserError where a batch asks for more images of some kind than are there."""
    check_there(there, kind)
    if batch_size > there:
        raise UserError(f"batch_size is {batch_size}, but there are {there} {kind} images; "
                        f"set batch_size to {there} or less")


def check_there(there, kind):
    """UserError where there are no images of a kind that is to be learned from."""
    if there == 0:
        raise UserError(f"there are no {kind} images to learn from; set another protocol or method")


def hold_back(data, config, role="labelled"):
    """Take `n_validation` images, as many of each class and at most half of one, out of training, to be validation
    queries.

    role: of whose images they are taken: "labelled", or "training" or "tagged" for a method without labels, which then
    only say what is alike in them. Returns `data` with them as `validation` and out of all that training sees, and as
    it is where it has a validation set of its own. Says so where not as many can be held back. Raises UserError where
    that is none, or all of a class.
    """
    if len(data.validation):
        return data
    images = getattr(data, role)
    images = images[data.labels[images].any(1)]
    check_there(len(images), role)
    labels = data.labels[images].argmax(1)
    classes, counts = np.unique(labels, return_counts=True)
    each = min(config.n_validation // len(classes), counts.min() // 2)
    if not each:
        rarest, few = data.class_names[classes[counts.argmin()]] if len(data.class_names) else "one", counts.min()
        raise UserError(f"n_validation is {config.n_validation}, and as many {role} images of each of {len(classes)} "
                        f"classes are held back, at most half; {rarest} has {few}: " + (
                            "give it more, or set eval_term to 0" if few < 2 else f"set {len(classes)} or more"))
    held = np.concatenate([images[labels == c][-each:] for c in classes])
    if len(held) != config.n_validation:
        print(f"n_validation is {config.n_validation}: {len(held)} are held back, {each} of each of "
              f"{len(classes)} classes")
    return data._replace(validation=held, labelled=np.setdiff1d(data.labelled, held),
                         unlabelled=data.unlabelled[~np.isin(data.unlabelled, held)])


def held_back_gallery(data, role="labelled"):
    """What held-back images, taken of the role as by `hold_back`, are searched in, int32 indices, none of them among
    them: every tenth image of the gallery, or where they are not "labelled" ones all others of their role."""
    gallery = data.gallery[::10] if role == "labelled" else getattr(data, role)
    return gallery[~np.isin(gallery, data.validation)]
