"""Where CIFAR-10 lies, and its split as the rule says it: what several tests share."""
import os

import numpy as np
import pytest

from gpq.utils.data import cifar10

SAMPLE = cifar10.HOME / "sample"
ORDER = np.load(cifar10.HOME / "release_order.npy")
ROLES = ("query", "labelled", "unlabelled", "gallery")
FULL = os.environ.get("CIFAR10_DIR")
needs_full = pytest.mark.skipif(not FULL, reason="CIFAR10_DIR does not name the full set")


def published_roles():
    """The published positions of protocol 1's queries, labelled and gallery images, as the rule says it."""
    query, labelled, gallery = list(ORDER[::60]), [], []
    for label in range(10):
        rest = [p for rank, p in enumerate(ORDER[6000 * label:6000 * (label + 1)]) if rank % 60]
        labelled, gallery = labelled + rest[:500], gallery + rest[500:]
    return query, labelled, gallery


def at(data, role):
    """The published positions of a role's images."""
    return data.positions[getattr(data, role)]
