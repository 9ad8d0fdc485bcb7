"""The .npy files of WSDHQ's release under this project's names: `alexnet.npy`, and trained checkpoints.

Each is a pickled dict: `conv1` to `conv5`, `fc6`, `fc7` and, of a checkpoint, `fc8` are [weights, bias], `C` is the
codebooks, [M * 256, 300]. The tag vectors, which coding needs, are not in it: FinalTagEmbs.txt must lie beside it, or
where the release has it, in data/NAME/tags.
"""
import os
from pathlib import Path

import numpy as np

from gpq.utils import files
from gpq.utils.errors import UserError
from gpq.utils.reading import documents, pickles

SUFFIX = ".npy"
SCOPES = {**dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"), "AlexNet"), "fc8": "wsdhq"}
TAG_VECTORS = "FinalTagEmbs.txt"


def read(path):
    """{our name: float32 array} of a .npy of the release. Nothing in it is executed. Raises UserError where it is
    absent, damaged, foreign or malicious."""
    with files.opened(path, ".npy of WSDHQ's release") as file:
        version, _ = np.lib.format.read_magic(file)
        file.seek(int.from_bytes(file.read(2 if version == 1 else 4), "little"), os.SEEK_CUR)  # numpy's header
        (layers,) = pickles.read(file, pickles.NUMPY).state[4]
        named = {key if isinstance(key, str) else key.decode("ascii"): value for key, value in layers.items()}
        made = {f"{scope}/{layer}/{kind}": _array(pickled) for layer, scope in SCOPES.items() if layer in named
                for kind, pickled in zip(("kernel", "bias"), named[layer], strict=True)}
        return made | ({"wsdhq/C": _array(named["C"])} if "C" in named else {})


def _array(pickled):
    """float32 of what an array's pickle says."""
    array = pickles.array(pickled)
    if array.dtype.kind != "f":
        raise ValueError(f"its numbers are {array.dtype}")
    return array.astype(np.float32)


def checkpoint(path, config=None):
    """({our name: float32 array}, [files]) of a checkpoint of WSDHQ's release and its tag vectors.

    The tag vectors lie beside it, or else in the files of `config`'s data set. Raises UserError as `read`, and where
    these are absent or of another length.
    """
    arrays = read(path)
    if "wsdhq/C" not in arrays:
        return arrays, [path]
    tags = beside = Path(path).with_name(TAG_VECTORS)
    if config is not None and not beside.exists():
        tags = Path(config.data_dir, "data", config.dataset, "tags", TAG_VECTORS)
        tags = tags if tags.exists() else beside
    vectors = documents.numbers(tags, "table of tag vectors", f"copy the one by which {path} codes there")
    if vectors.shape[1] != arrays["wsdhq/C"].shape[1]:
        raise UserError(f"{tags} has vectors of {vectors.shape[1]} numbers and {path} words of "
                        f"{arrays['wsdhq/C'].shape[1]}; copy the one that belongs to it there")
    return {**arrays, "wsdhq/G": vectors.T @ vectors}, [path, tags]
