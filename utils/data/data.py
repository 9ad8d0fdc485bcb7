from typing import NamedTuple

import numpy as np


class Data(NamedTuple):
    """Images and their roles; the index vectors point into `images`, in the release's class-sorted order."""
    images: np.ndarray  # uint8 [N, 32, 32, 3], RGB
    labels: np.ndarray  # int64 [N], 0 to 9
    positions: np.ndarray  # int32 [N], place among the published 60,000
    query: np.ndarray  # int32
    labelled: np.ndarray  # int32
    unlabelled: np.ndarray  # int32
    gallery: np.ndarray  # int32, the same images as `unlabelled`
    class_names: tuple[str, ...]
    sample: bool  # True when the sample stands in for the full set
