"""What every reader of a data set returns: images, labels, what each image is for, and where it all came from."""
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Source(NamedTuple):
    """Which data were read. `_asdict()` is its JSON-able form, `from_json` reads that back."""
    name: str  # "CIFAR-10", "CIFAR-100"
    part: str = "all"  # or "the sample"
    sha256: str | None = None  # hexadecimal, `digest` of what was read; None where nobody kept it
    origin: str | None = None  # in words, where it came from

    @classmethod
    def from_json(cls, kept):
        """The Source of a dict, or of the words that stood in its place before: "CIFAR-10, the sample".

        Raises TypeError for anything else.
        """
        if isinstance(kept, str):
            return cls(*kept.split(", ", 1))
        return cls(**kept)

    def same_data(self, other):
        """Whether both are the same part of the same data set, byte for byte where both digests are known."""
        digests = {self.sha256, other.sha256} - {None}
        return (self.name, self.part) == (other.name, other.part) and len(digests) < 2

    def __str__(self):
        words = self.name if self.part == "all" else f"{self.name}, {self.part}"
        return f"{words} ({self.origin}, SHA-256 {self.sha256[:12]})" if self.sha256 else words


class Data(NamedTuple):
    """Images, or vectors in their place, and their roles; the index vectors, int32, point into `images`."""
    images: np.ndarray  # uint8 [N, H, W, 3], RGB, or what decodes them as they are asked for, utils.data.lazy.Pictures;
    # or vectors, float16 or float32 [N, D], mapped where they are large
    labels: np.ndarray  # bool [N, L]
    query: np.ndarray  # what retrieval is measured by
    labelled: np.ndarray  # what training may know the labels of
    unlabelled: np.ndarray  # what training may see
    gallery: np.ndarray  # what is searched
    validation: np.ndarray  # what a training in progress is judged by
    class_names: tuple[str, ...]  # L of them
    source: Source
    positions: np.ndarray | None = None  # int32 [N], an image's place in the published set, where that is kept
    names: np.ndarray | None = None  # str [N], files of pictures in `folder`, where vectors come with some
    folder: Path | None = None
    tags: np.ndarray | None = None  # bool [N, T], what people wrote under each image, merged
    tag_vectors: np.ndarray | None = None  # float32 [T, D], the words' vectors
    tag_names: np.ndarray | None = None  # str [T]
    n_classes: int | None = None  # that training tells apart unless n_CLASSES says, where the data decide
    untagged: bool = False  # whether training by tags takes images without one too, as WSDHQ's release does

    @property
    def training(self):
        """What a method without labels may learn from: the labelled and the unlabelled images, int32, ascending."""
        return np.union1d(self.labelled, self.unlabelled)

    @property
    def examples(self):
        """What a method that needs no labels is fitted to: the labelled images, as the baselines of GPQ's paper are, or
        all of `training` where none is labelled; int32."""
        return self.labelled if len(self.labelled) else self.training

    @property
    def tagged(self):
        """What a method may learn from tags by: those of `training` that have one, or with `untagged` all, int32,
        ascending."""
        if self.tags is None:
            return self.training[:0]
        return self.training if self.untagged else self.training[self.tags[self.training].any(1)]


def digest(images, labels):
    """SHA-256, hexadecimal, of the bytes of `images`, uint8 [N, 32, 32, 3] or any array in C order, and then `labels`,
    bool [N, L]."""
    found = hashlib.sha256(images)
    found.update(labels)
    return found.hexdigest()
