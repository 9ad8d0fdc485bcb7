"""CIFAR-10's search terms: of the sample that ships and, where it is there, of the full set."""
import os

import numpy as np
import pytest
from conftest import ROOT

from gpq.config import GPQ, WSDHQ
from gpq.utils.data import keywords, sets
from gpq.utils.data.tags import tagging
from gpq.utils.errors import UserError


def test_the_samples_tags():
    data = sets.load(WSDHQ(data_dir=str(ROOT / "cifar10")), tags=True)
    assert data.tags.shape == (6000, 262) and data.tag_vectors.shape == (262, 50)
    assert (data.tags.sum(1) <= 1).all() and len(data.tagged) > 0.97 * len(data.training)
    pure = [data.labels[data.tags[:, tag]].sum(0).max() for tag in range(262)]
    assert sum(pure) > 0.97 * data.tags.sum()  # nearly every tag stands in one class: the module's words
    assert sets.load(GPQ(data_dir=str(ROOT / "cifar10"))).tags is None


def test_the_full_sets_counts():
    if not os.environ.get("CIFAR10_DIR"):
        pytest.skip("set CIFAR10_DIR to the folder of CIFAR-10")
    raw = keywords.raw_tags(os.environ["CIFAR10_DIR"])
    assert len(raw.names) == 338 and raw.tags[:50000].sum() == 49895  # the training images
    known = np.ones(338, bool)
    known[tagging.merged_by(raw).dropped] = False
    assert known.sum() == 324 and raw.tags[:50000, known].sum() == 49895 - 1068


def test_other_file_names(data_dir):
    with pytest.raises(UserError, match="not the published ones"):
        sets.load(WSDHQ(data_dir=str(data_dir)), tags=True)
