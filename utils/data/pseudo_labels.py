"""Pseudo-labels: what a classifier on a teacher's features takes the unlabelled images for, beyond the paper.

    python -m utils.data.pseudo_labels --features=lite2.npy --out=models/pseudo_labels.npz

fits a logistic regression on the labelled images' features and writes, for every unlabelled image, the likeliest class
and its probability. `train.py` and `pretrain.py` take the file as further labelled images by --pseudo_labels. The
features, float [N, D], are of the data set's images in the order in which it is loaded. Where --eval_term asks for
held-back images, the regression does not see them either.
"""
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict
from sklearn.linear_model import LogisticRegression

from utils import errors, files, settings
from utils.data import sets, splits
from utils.errors import UserError

INVERSE_REGULARISATION = 0.02  # scikit-learn's C; best of 0.003 to 0.1 on 500 held-back labelled images


class Options(BaseModel):
    """Label the unlabelled images by a teacher's features, with the settings of config.py."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    features: str
    """File of the teacher's features, .npy, float [N, D], of all images in the order in which they are loaded."""

    out: str
    """File to write, .npz."""


class PseudoLabels(NamedTuple):
    """For n images, by their index in the data: class numbers as training counts them, and how probable they are."""

    indices: np.ndarray  # int32 [n]
    labels: np.ndarray  # int64 [n]
    confidences: np.ndarray  # float32 [n], 0 to 1
    fitted_on: np.ndarray  # int32 [m], the labelled images that the classifier learned from
    sha256: str  # of the data


def fit(features, data):
    """`PseudoLabels` of the unlabelled images of `data`, from features float [N, D] of all its images.

    Raises UserError where the features do not fit the data or are not finite.
    """
    if features.ndim != 2 or len(features) != len(data.images):
        raise UserError(f"the features are {list(features.shape)}, but there are {len(data.images)} images; make them "
                        "of all images, in the order in which they are loaded")
    labelled, unlabelled = (np.asarray(features[role], np.float32) for role in (data.labelled, data.unlabelled))
    if not (np.isfinite(labelled).all() and np.isfinite(unlabelled).all()):
        raise UserError("the features hold numbers that are not finite; make them again")
    classes = data.labels[np.ix_(data.labelled, splits.known_classes(data))].argmax(1)
    regression = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=500).fit(labelled, classes)
    chances = regression.predict_proba(unlabelled)
    return PseudoLabels(data.unlabelled, chances.argmax(1), chances.max(1).astype(np.float32), data.labelled,
                        data.source.sha256)


def read(path, data):
    """The `PseudoLabels` at `path`. Raises UserError where there are none, they are damaged, of other data, or come of
    images that `data` holds back."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = PseudoLabels(**{name: file[name] for name in PseudoLabels._fields})
    except FileNotFoundError:
        raise UserError(f"there are no pseudo-labels at {path}; make them by python -m utils.data.pseudo_labels"
                        ) from None
    except Exception as error:  # a foreign file fails in any way it likes
        raise UserError(f"{path} is damaged or holds no pseudo-labels; make them again by "
                        "python -m utils.data.pseudo_labels") from error
    if str(found.sha256) != data.source.sha256:
        raise UserError(f"{path} was made of other data than {data.source}; make it again, or set data_dir as it was")
    if np.isin(found.fitted_on, data.validation).any():
        raise UserError(f"{path} was fitted on images that are held back; make it again with the same eval_term and "
                        "n_validation, or set eval_term=0")
    return found


def add(data, labels, path, confidence):
    """Take the images whose pseudo-label is as probable as `confidence` for labelled ones.

    labels: bool [N, L] of `splits.training_labels`. Returns (data with more labelled images, labels with theirs). The
    truth of `data` is left alone. Raises what `read` raises.
    """
    found = read(path, data)
    sure = found.confidences >= confidence
    labels = labels.copy()
    labels[found.indices[sure], found.labels[sure]] = True
    return data._replace(labelled=np.union1d(data.labelled, found.indices[sure]).astype(np.int32)), labels


def main():
    config = settings.from_command_line(Options)
    data = sets.load(config)
    if config.eval_term:
        data = splits.hold_back(data, config)
    try:
        features = np.load(config.features, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{config.features} is no .npy file of features that can be read; give another") from error
    found = fit(features, data)
    with files.whole(config.out) as file:
        np.savez_compressed(file, **found._asdict())
    sure = found.confidences >= config.pseudo_confidence
    print(f"{config.out}: {len(sure)} images, {sure.sum()} with a probability of {config.pseudo_confidence} or more")
    if len(data.validation):
        truth = data.labels[np.ix_(data.validation, splits.known_classes(data))].argmax(1)
        held_back = fit(features, data._replace(unlabelled=data.validation))
        print(f"right on {len(truth)} held-back images: {np.mean(held_back.labels == truth):.4f}")


if __name__ == "__main__":
    errors.run(main)
