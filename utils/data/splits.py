import numpy as np

from utils.errors import UserError


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

    Returns (data without them, their indices). Raises UserError where that leaves nothing to train on.
    """
    labels = data.labels[data.labelled]
    each = config.n_validation // len(np.unique(labels))
    held = np.concatenate([data.labelled[labels == c][-each:] for c in np.unique(labels)]) if each else labels[:0]
    if not 0 < len(held) < len(data.labelled):
        raise UserError(f"n_validation is {config.n_validation}, but there are {len(data.labelled)} labelled images of "
                        f"{len(np.unique(labels))} classes; set it to fewer, and at least one of each class")
    return data._replace(labelled=np.setdiff1d(data.labelled, held)), held


def held_back_gallery(data):
    """What held-back images are searched in, int64 indices: every tenth image of the gallery."""
    return data.gallery[::10]
