"""What several test files share: the release's numbers and checkpoint, and a way to compute a graph."""
import os
from pathlib import Path

import numpy as np
import pytest

from model.tf1 import tf

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def reference():
    """The release's numbers, {name: array}."""
    files = ("reference_retrieval.npz", "reference_images.npz", "reference_training.npz")
    return {name: array for file in files for name, array in np.load(DATA / file).items()}


@pytest.fixture(scope="session")
def reference_checkpoint():
    """The release's checkpoint, 31 MB, which is not in the repository: GPQ_REFERENCE names its folder."""
    path = Path(os.environ.get("GPQ_REFERENCE", "")) / "48bits_ref.ckpt"
    if not Path(f"{path}.index").exists():
        pytest.skip("set GPQ_REFERENCE to the folder of 48bits_ref.ckpt")
    return path


@pytest.fixture(scope="session")
def release_variables():
    """{"TRAIN" or "DEMO": {name: shape}} of the release's two graphs, names without `:0`."""
    graphs = {"TRAIN": {}, "DEMO": {}}
    for line in (DATA / "variables.tsv").read_text().splitlines()[1:]:
        graph, name, shape, *_ = line.split("\t")
        graphs[graph][name.removesuffix(":0")] = [int(n) for n in shape.strip("()").split(",") if n]
    return graphs


@pytest.fixture(scope="session")
def compute():
    """compute(function, *arrays): the value of `function` of the arrays as tensors, in a graph of its own."""
    def value(function, *arrays):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(0)
            made = function(*map(tf.constant, arrays))
            session.run(tf.global_variables_initializer())
            return session.run(made)
    return value


@pytest.fixture
def session():
    """A Session in an empty graph, both the default ones."""
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened
