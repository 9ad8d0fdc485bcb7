from pathlib import Path

import numpy as np
import scipy.sparse

from utils.data import cifar10
from utils.errors import UserError


def relevance(path, data):
    """The release's ground truth, `label_Similarity` of `cifar10_Similarity.mat`, for the queries of `data`.

    path: a .mat file (up to version 7) whose matrix, dense or sparse, holds 0 and 1 and is the full set's
        1,000 queries by 54,000 gallery images of protocol 1, both in the release's order.
    Returns bool [Q, G], rows as `data.query`, columns as `data.gallery`; None where there is no such file.
    Raises `UserError` for an unreadable file, a missing key, another shape, other values, and for protocol 2.
    """
    if not Path(path).is_file():
        return None
    rank = np.argsort(cifar10._release_order())[data.positions]
    query, _, gallery = cifar10._roles(np.arange(cifar10.N_IMAGES), protocol=1, known_classes=())
    if not (query[rank[data.query]].all() and gallery[rank[data.gallery]].all()):
        raise UserError(f"{path} is the ground truth of protocol 1; under protocol 2 leave its path empty.")
    rows, columns = np.cumsum(query)[rank[data.query]] - 1, np.cumsum(gallery)[rank[data.gallery]] - 1
    matrix = _similarity(path, (int(query.sum()), int(gallery.sum())))
    if scipy.sparse.issparse(matrix):
        return matrix.tocsr()[rows][:, columns].astype(bool).toarray()
    return matrix.astype(bool)[np.ix_(rows, columns)]


def _similarity(path, shape):
    """The matrix `label_Similarity` of a .mat file, ndarray or sparse, checked."""
    try:
        matrix = scipy.io.loadmat(path, variable_names=["label_Similarity"]).get("label_Similarity")
    except Exception as error:  # a damaged file can raise nearly anything; version 7.3 NotImplementedError
        raise UserError(f"{path} is not a .mat file of version 7 or older, or is damaged.") from error
    if matrix is None:
        raise UserError(f"{path} has no `label_Similarity`; delete it to take relevance from the labels.")
    if matrix.shape != shape:
        raise UserError(f"label_Similarity in {path} has the shape {matrix.shape}, but must have {shape}.")
    values = matrix.data if scipy.sparse.issparse(matrix) else matrix
    if values.dtype.kind not in "biuf" or not np.all((values == 0) | (values == 1)):
        raise UserError(f"label_Similarity in {path} must hold 0 and 1 only.")
    return matrix
