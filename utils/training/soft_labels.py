"""Soften what EfficientNet-Lite takes each image for, its ImageNet probabilities, into labels for another F.

    python encode.py --backbone=efficientnet_lite2 --features_only --out=lite2.npy
    python -m utils.training.soft_labels --features=lite2.npy --teacher=efficientnet_lite2 --out=models/soft_labels.npz
    python pretrain.py --dataset=cifar10 --data_dir=cifar10 --soft_labels=models/soft_labels.npz --n_CLASSES=...

No label is read. The features, float [N, 1280], are of the data set's images in the order in which it is loaded; the
last line printed says what n_CLASSES is.
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.utils.training.soft_labels")

from typing import Literal

import numpy as np
from pydantic import PositiveFloat

from gpq.utils import files, settings
from gpq.utils.base_settings import Affects, Own, PathText
from gpq.utils.checkpoints import imagenet
from gpq.utils.data import label_files, sets, soft_labels
from gpq.utils.errors import UserError


class Options(Own):
    """Soften a teacher's ImageNet probabilities, with the settings of config.py."""

    features: PathText
    """File of the teacher's features, .npy, float [N, 1280], of all images in the order in which they are loaded."""

    teacher: Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    """Network that made the features."""

    temperature: PositiveFloat = 2.0
    """What logits are divided by before the softmax. Above 0."""

    out: PathText
    """File to write, .npz."""


def main():
    config = settings.from_command_line(Options)
    settings.refuse_idle(config, config.affecting(Affects.DATA) | Options.model_fields.keys())
    data = sets.load(config)
    features = label_files.teachers_features(config.features)
    kernel, bias = imagenet.classifier(int(config.teacher[-1]))
    if features.shape != (len(data.images), len(kernel)):
        raise UserError(f"the features are {list(features.shape)}, but there are {len(data.images)} images and the "
                        f"teacher sees {len(kernel)} numbers in each; make them of all images by {config.teacher}")
    found = soft_labels.soften(features.astype(np.float32) @ kernel + bias, data, config.temperature)
    with files.whole(config.out) as file:
        np.savez_compressed(file, **found._asdict())
    print(f"{config.out}: {len(data.training)} images to learn from; set n_CLASSES={len(found.classes)}")
