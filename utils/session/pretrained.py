"""F's pretrained weights, in the release's .mat file: reading and writing."""
import numpy as np
import scipy.io

from model.tf1 import tf
from utils import files
from utils.errors import UserError
from utils.session import checkpoints


def load_pretrained(session, path):
    """Load F from the release's ImageNet_pretrained.mat: arrays by variable name, singleton dimensions allowed.

    The dense layer starts anew (release). Returns how many variables were loaded. Raises UserError where the
    file is no .mat file, lacks a variable or holds it in another shape.
    """
    try:
        arrays = scipy.io.loadmat(path)
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(f"{path} is not a readable .mat file ({checkpoints.first_line(error)}); set "
                        "ImagNet_pretrained_path to another, or to one that is absent to train from scratch") from error
    wanted = [v for v in tf.trainable_variables() if _of_pretrained_f(v.op.name)]
    for variable in wanted:
        array = np.squeeze(arrays.get(variable.name, np.array(None)))
        if array.dtype.kind != "f" or array.shape != tuple(variable.shape.as_list()):
            raise UserError(f"{path} does not hold {variable.name} as {variable.shape.as_list()}; "
                            "it is not a pretrained F of this network; set ImagNet_pretrained_path to another, or to "
                            "one that is absent to train from scratch")
        variable.load(array.astype(np.float32), session)
    return len(wanted)


def save_pretrained(checkpoint, path):
    """Write F of `checkpoint` to the .mat file `path` in the release's form, which `load_pretrained` reads.

    Values are rounded to half precision, which halves the compressed file (about 18 MB). Raises UserError where the
    checkpoint is absent or damaged, or the disk refuses.
    """
    tensors = checkpoints.reader(checkpoint)
    arrays = {f"{name}:0": tensors.get_tensor(name).astype(np.float16).astype(np.float32)
              for name in tensors.get_variable_to_shape_map()
              if _of_pretrained_f(name)}
    with files.whole(path) as file:
        scipy.io.savemat(file, arrays, do_compression=True)


def _of_pretrained_f(name):
    """Whether a variable is in the .mat file: F's trainable ones but for the last layer, which starts anew."""
    return name.endswith(("/kernel", "/bias", "/beta", "/gamma")) and "/dense/" not in name
