"""Features of a data set's images, by one or several models, as a file of embeddings."""
import numpy as np

from gpq.utils import files
from gpq.utils.data.embeddings import ROLES, TAGS, read_vectors
from gpq.utils.errors import UserError


def join(paths):
    """The vectors of .npy files, all of the same N things, side by side: float16 or float32 [N, the sum of their D].

    Each vector of several files gets a mean square of 1 first, so that none outweighs another by its scale. Raises
    UserError as `read_vectors`, and where the files hold another number of vectors than the first.
    """
    each = [read_vectors(path) for path in paths]
    if len(each) == 1:
        return each[0]
    for path, vectors in zip(paths, each, strict=True):
        if len(vectors) != len(each[0]):
            raise UserError(f"{path} holds {len(vectors)} vectors and {paths[0]} {len(each[0])}; make both of the same "
                            "images")
    dtype = np.result_type(*each)
    return np.concatenate([_unit_scale(vectors).astype(dtype) for vectors in each], axis=1)


def write(path, features, data):
    """Write `features`, float [N, D] of the images of `data`, in their order, with its labels, roles, class names and
    tags, if any, to `path`, .npz. Raises UserError where they do not fit, or the file cannot be written."""
    if len(features) != len(data.images):
        raise UserError(f"the features are {list(features.shape)}, but there are {len(data.images)} images; make them "
                        "of all images, in the order in which they are loaded")
    with files.whole(path) as file:
        np.savez(file, features=features, labels=data.labels, class_names=np.array(data.class_names),
                 part=data.source.part, **{role: getattr(data, role) for role in ROLES},
                 **{name: getattr(data, name) for name in TAGS if data.tags is not None})


def _unit_scale(vectors):
    vectors = np.asarray(vectors, np.float32)
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    vectors = vectors / np.where((largest > 1e15) | (largest < 1e-12) & (largest > 1e-37), largest, 1)  # as unit_scale
    scale = np.sqrt(np.mean(vectors ** 2, axis=1, keepdims=True))
    return vectors / np.maximum(scale, 1e-30)
