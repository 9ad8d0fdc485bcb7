"""Label the unlabelled images by a classifier on a teacher's features.

    python encode.py --backbone=efficientnet_lite2 --features_only --out=lite2.npy
    python -m utils.training.pseudo_labels --features=lite2.npy --out=models/pseudo_labels.npz
    python pretrain.py --dataset=cifar10 --data_dir=cifar10 --n_CLASSES=10 --pseudo_labels=models/pseudo_labels.npz

fits a logistic regression on the labelled images' features and writes, for every unlabelled image, the likeliest class
and its probability. The features, float [N, D], are of the data set's images in the order in which it is loaded. Where
--eval_term asks for held-back images, the regression does not see them either.
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.utils.training.pseudo_labels")

import numpy as np

from gpq.utils import files, settings
from gpq.utils.base_settings import Affects, Own, PathText
from gpq.utils.data import label_files, pseudo_labels, sets, splits


class Options(Own):
    """Label the unlabelled images by a teacher's features, with the settings of config.py."""

    needs = {"pseudo_confidence": {}}

    features: PathText
    """File of the teacher's features, .npy, float [N, D], of all images in the order in which they are loaded."""

    out: PathText
    """File to write, .npz."""


def main():
    config = settings.from_command_line(Options)
    settings.refuse_idle(config, {*config.affecting(Affects.DATA), *Options.model_fields, "eval_term", "n_validation",
                                  "pseudo_confidence"})
    data = sets.load(config)
    if config.eval_term:
        data = splits.hold_back(data, config)
    features = label_files.teachers_features(config.features)
    both = pseudo_labels.fit(features, data._replace(unlabelled=np.concatenate([data.unlabelled, data.validation])))
    n = len(data.unlabelled)
    found = both._replace(indices=both.indices[:n], labels=both.labels[:n], confidences=both.confidences[:n])
    with files.whole(config.out) as file:
        np.savez_compressed(file, **found._asdict())
    sure = found.confidences >= config.pseudo_confidence
    print(f"{config.out}: {len(sure)} images, {sure.sum()} with a probability of {config.pseudo_confidence} or more")
    if len(data.validation):
        truth = data.labels[data.validation][:, splits.known_classes(data)].argmax(1)
        print(f"right on {len(truth)} held-back images: {np.mean(both.labels[n:] == truth):.4f}")
