"""Pseudo-labels: what a classifier on a teacher's features takes the unlabelled images for, beyond the paper.

`python -m utils.training.pseudo_labels` makes a file of them, and training takes it by --pseudo_labels.
"""
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from gpq.utils.data import label_files, splits
from gpq.utils.errors import UserError

INVERSE_REGULARISATION = 0.02  # scikit-learn's C: of 0.003 to 0.1, 0.01 and 0.03 were best on held-back images


class PseudoLabels(NamedTuple):
    """For n images, by their index in the data: class numbers as training counts them, and how probable they are."""

    indices: np.ndarray  # int32 [n]
    labels: np.ndarray  # int64 [n]
    confidences: np.ndarray  # float32 [n], 0 to 1
    fitted_on: np.ndarray  # int32 [m], the labelled images that the classifier learned from
    sha256: str  # of the data


def fit(features, data):
    """`PseudoLabels` of the unlabelled images of `data`, from features float [N, D] of all its images.

    Raises UserError where the features do not fit the data or are not finite, and where no image is labelled.
    """
    if features.ndim != 2 or len(features) != len(data.images):
        raise UserError(f"the features are {list(features.shape)}, but there are {len(data.images)} images; make them "
                        "of all images, in the order in which they are loaded")
    splits.check_there(len(data.labelled), "labelled")
    labelled, unlabelled = (np.asarray(features[role], np.float32) for role in (data.labelled, data.unlabelled))
    if not (np.isfinite(labelled).all() and np.isfinite(unlabelled).all()):
        raise UserError("the features hold numbers that are not finite; make them again")
    classes = data.labels[data.labelled][:, splits.known_classes(data)].argmax(1)
    regression = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=500).fit(labelled, classes)
    chances = regression.predict_proba(unlabelled)
    return PseudoLabels(data.unlabelled, chances.argmax(1), chances.max(1).astype(np.float32), data.labelled,
                        data.source.sha256)


def read(path, data):
    """The `PseudoLabels` at `path`. Raises UserError where there are none, they are damaged, of other data, of images
    that training may not see, or come of images that `data` holds back."""
    place, known = f", 0 to {len(data.images) - 1}", len(splits.known_classes(data))
    found = label_files.read(path, PseudoLabels, "pseudo-labels", data, indices=f"int [U]{place}",
                             labels=f"int [U], 0 to {known - 1}", confidences="float [U], 0 to 1",
                             fitted_on=f"int [M]{place}")
    if np.isin(found.fitted_on, data.validation).any():
        raise UserError(f"{path} was fitted on images that are held back; make it again with the same eval_term and "
                        "n_validation, or set eval_term=0")
    seen = np.union1d(data.training, data.validation)
    if not np.isin(found.indices, seen).all() or len(np.unique(found.indices)) < len(found.indices):
        raise UserError(f"{path} labels an image twice, or one that training may not see, such as a query; make it "
                        "again with the settings of this training")
    return found


def add(data, labels, path, confidence):
    """Take the images whose pseudo-label is as probable as `confidence` for labelled ones.

    labels: bool [N, L] of `splits.training_labels`. Returns (data with more labelled images, labels with theirs): of
    the unlabelled that are neither labelled nor held back. The truth of `data` is left alone. Raises what `read`
    raises.
    """
    found = read(path, data)
    sure = (found.confidences >= confidence) & np.isin(found.indices, np.setdiff1d(data.unlabelled, data.labelled))
    labels = labels.copy()
    labels[found.indices[sure], found.labels[sure]] = True
    return data._replace(labelled=np.union1d(data.labelled, found.indices[sure]).astype(np.int32)), labels
