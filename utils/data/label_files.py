"""Files of labels that another network gave, beside the data's own."""
import numpy as np

from utils.errors import UserError


def teachers_features(path):
    """The features in the .npy file `path`, mapped. Raises UserError where they cannot be read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no .npy file of features that can be read; give another") from error


def read(path, form, name, data):
    """What the .npz file `path` holds of `data`: a `form`, a NamedTuple of arrays, one of them the data's sha256.

    name: what such labels are called, "pseudo-labels". Raises UserError where there is no such file, and where it is
    damaged or of other data.
    """
    command = f"python -m utils.training.{name.replace('-', '_').replace(' ', '_')}"
    try:
        with np.load(path, allow_pickle=False) as file:
            found = form(**{field: file[field] for field in form._fields})
    except FileNotFoundError:
        raise UserError(f"there are no {name} at {path}; make them by {command}") from None
    except Exception as error:  # a foreign file fails in any way it likes
        raise UserError(f"{path} is damaged or holds no {name}; make them again by {command}") from error
    if str(found.sha256) != data.source.sha256:
        raise UserError(f"{path} was made of other data than {data.source}; make it again, or set data_dir as it was")
    return found
