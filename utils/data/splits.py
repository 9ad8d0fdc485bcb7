"""Splits that training needs of any data set, and what it may know of the labels."""
import numpy as np

from utils.errors import UserError


def known_classes(data):
    """The classes that the labelled images have, int64 [k], ascending: columns of `data.labels`."""
    return np.flatnonzero(data.labels[data.labelled].any(0))


def training_labels(data, n_classes):
    """All that a graph may learn from: the labels of the labelled images, the known classes numbered in their order.

    Returns bool [N, n_classes], for n_classes from `check_classes`, all False for an image that is not labelled.
    """
    labels, known = np.zeros((len(data.labels), n_classes), bool), known_classes(data)
    labels[data.labelled, :len(known)] = data.labels[np.ix_(data.labelled, known)]
    return labels


def check_classes(there, config):
    """UserError where there are more classes of labelled images than prototypes."""
    if there > config.n_CLASSES:
        raise UserError(f"n_CLASSES is {config.n_CLASSES}, but the labelled images are of {there} classes; "
                        f"set n_CLASSES to {there} or more")


def check_batch(batch_size, there, kind):
    """UserError where a batch asks for more images of some kind than are there."""
    if batch_size > there:
        raise UserError(f"batch_size is {batch_size}, but there are {there} {kind} images; "
                        f"set batch_size to {there} or less")


def hold_back(data, config):
    """Take `n_validation` labelled images, as many of each class, out of training, to be validation queries.

    Returns `data` with them as `validation` and not as `labelled`, and as it is where it has a validation set of its
    own. Says so where not as many can be held back. Raises UserError where that is none, or all of a class.
    """
    if len(data.validation):
        return data
    labels = data.labels[data.labelled].argmax(1)
    classes, counts = np.unique(labels, return_counts=True)
    each = config.n_validation // len(classes)
    if not 0 < each < counts.min():
        raise UserError(f"n_validation is {config.n_validation}, but there are {len(labels)} labelled images of "
                        f"{len(classes)} classes; set it to fewer, and at least one of each class")
    held = np.concatenate([data.labelled[labels == c][-each:] for c in classes])
    if len(held) != config.n_validation:
        print(f"n_validation is {config.n_validation}: {len(held)} are held back, {each} of each of "
              f"{len(classes)} classes")
    return data._replace(labelled=np.setdiff1d(data.labelled, held), validation=held)


def held_back_gallery(data):
    """What held-back images are searched in, int32 indices: every tenth image of the gallery, but none of them."""
    tenth = data.gallery[::10]
    return tenth[~np.isin(tenth, data.validation)]
