"""Checkpoints of SPQ's release, a PyTorch state dict (`32_0.7842_checkpoint.pth`), under this project's names.

The release's network is a sequence of F, "0", and the head, "1". Its names go on as ours do: `0.layer2.0.conv1.weight`
is `resnet18/layer2/0/conv1/kernel`, `0.bn1.running_var` is `resnet18/bn1/moving_variance`, `1.C` is `spq/C`. Only the
number of batches that a normalisation has seen has no counterpart.
"""
import numpy as np

from gpq.utils.checkpoints import torch_files

SUFFIX = ".pth"
SCOPES = {"0": "resnet18", "1": "spq"}
COUNTER = "num_batches_tracked"


def variables(tensors):
    """{our name: array} of the release's {name: array}; what is not the release's is left out."""
    made = {}
    for name, array in tensors.items():
        place, _, kind = name.rpartition(".")
        first, *layer = place.split(".")
        if first not in SCOPES or kind == COUNTER:
            continue
        ours = kind
        if f"{place}.running_mean" in tensors:
            ours = torch_files.NORMALISATION.get(kind, kind)
        elif kind == "weight":
            ours, array = "kernel", torch_files.as_kernel(array)
        made["/".join([SCOPES[first], *layer, ours])] = array
    return made


def checkpoint(path, config=None):
    """({our name: float32 array}, [path]) of a checkpoint of SPQ's release. Raises UserError as `torch_files.read`."""
    return {name: np.asarray(array, np.float32) for name, array in variables(torch_files.read(path)).items()}, [path]
