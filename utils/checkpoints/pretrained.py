"""F's pretrained weights, in the release's .mat file: reading, writing, and what they come of."""
import hashlib
from pathlib import Path

import numpy as np
import scipy.io

from gpq.model.backbone import NETWORKS
from gpq.model.tf1 import tf
from gpq.utils import files
from gpq.utils.checkpoints import runs, store, wsdhq_release
from gpq.utils.data.data import Source
from gpq.utils.errors import UserError
from gpq.utils.reading import matlab

OTHER_LABELS = {"pseudo_labels": "pseudo-labels", "soft_labels": "a teacher's probabilities"}  # setting: in words


def load_pretrained(session, path):
    """Load F from the release's ImageNet_pretrained.mat: arrays by variable name, singleton dimensions allowed. Or from
    an alexnet.npy of WSDHQ's.

    The dense layer starts anew (release). `path` may lack the ending .mat, as in the release. Returns how many
    variables were loaded. Raises UserError where there is no file, it is no such file, lacks a variable or holds it in
    another shape.
    """
    path = _file(path)
    if not Path(path).exists():
        raise UserError(f"there is no pretrained F at {path}; set ImagNet_pretrained_path to one, such as pretrain.py "
                        "makes, or to nothing, --ImagNet_pretrained_path=, to train from random weights")
    mend = "set ImagNet_pretrained_path to another, or to nothing to train from random weights"
    wanted = {v.op.name: v for v in tf.trainable_variables() if _of_pretrained_f(v.op.name)}
    shapes = {name: variable.shape.as_list() for name, variable in wanted.items()}
    if Path(path).suffix == wsdhq_release.SUFFIX:
        arrays = wsdhq_release.read(path)
    else:
        either = shapes | {f"{name}:0": shape for name, shape in shapes.items()}
        arrays = matlab.read(path, either, ".mat of a pretrained F of this network", mend)
        arrays = {name.removesuffix(":0"): array for name, array in arrays.items()}
    for name, variable in wanted.items():
        array = arrays.get(name)
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or list(array.shape) != shapes[name]:
            raise UserError(f"{path} does not hold {name} as {shapes[name]}; it is not a pretrained F of this network; "
                            f"{mend}")
        variable.load(array.astype(np.float32), session)
    return len(wanted)


def sha256(path):
    """The SHA-256 of the file of a pretrained F, hexadecimal; None where there is none."""
    file = Path(_file(path))
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _file(path):
    return next((file for file in (path, f"{path}.mat") if Path(file).is_file()), path)


def save_pretrained(checkpoint, path):
    """Write F of `checkpoint` to the .mat file `path` in the release's form, which `load_pretrained` reads, and the
    checkpoint's JSON, where there is one, to `path`.json.

    Values are rounded to half precision, which halves the compressed file (about 18 MB). Raises UserError where the
    checkpoint is absent or damaged, or the disk refuses.
    """
    tensors = store.reader(checkpoint)
    arrays = {f"{name}:0": tensors.get_tensor(name).astype(np.float16).astype(np.float32)
              for name in tensors.get_variable_to_shape_map()
              if _of_pretrained_f(name)}
    with files.whole(path) as file:
        scipy.io.savemat(file, arrays, do_compression=True)
    about = Path(f"{checkpoint}.json")
    if about.exists():
        with files.whole(f"{path}.json") as file:
            file.write(about.read_bytes())


def provenance(path, later=()):
    """What F in the .mat file `path` learned from, in words, by the JSON beside it and beside what that started from:
    "300,000 looks at CIFAR-100, then 1,000,000 looks at CIFAR-10 with pseudo-labels". later: the files made of it."""
    try:
        kept = runs.read(f"{path}.json")
    except UserError:
        kept = None
    if kept is None or path in later:
        return f"{Path(path).name}, of which no more is known"
    looks = f"{kept.get('images', 0):,} looks at {Source.from_json(kept['data']).name}"
    looks += "".join(f" with {words}" for setting, words in OTHER_LABELS.items() if kept["settings"].get(setting))
    first = kept["initial"]
    return looks if first == "random weights" else f"{provenance(first, (*later, path))}, then {looks}"


def _of_pretrained_f(name):
    """Whether a variable is in the .mat file: F's trainable ones but for the last layer, which starts anew."""
    of_f = any(name.startswith(f"{network.scope}/") for network in NETWORKS.values())
    return of_f and name.endswith(("/kernel", "/bias", "/beta", "/gamma")) and "/dense/" not in name
