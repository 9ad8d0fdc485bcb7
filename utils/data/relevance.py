"""Which pictures of a gallery are relevant to a query.

A relevance of Q queries and a gallery of N has `shape`, (Q, N), and `places(q)`, the relevant places in the gallery of
query q, int64 [R], ascending.
"""
from pathlib import Path

import numpy as np
import scipy.sparse

from gpq.utils.data import cifar10
from gpq.utils.data.labels import ClassNumbers
from gpq.utils.errors import UserError
from gpq.utils.reading import matlab


def sharing(wanted, has):
    """Which images share a label or tag with what is wanted, a masked bool array [N].

    wanted: bool [L], or the places of those wanted; has: bool [N, L], of the images. An image that has none at all is
    masked, which `tolist` shows as None: nobody knows.
    """
    return np.ma.array(has[:, wanted].any(1), mask=~has.any(1))


class SharedLabels:
    """A picture is relevant where it shares a label with the query.

    query_labels: bool [Q, L]. gallery_labels: bool [N, L]. Or both what stands in for these, ClassNumbers. Queries of
    equal labels share one list of places. Raises ValueError where the two are not matrices of as many labels.
    """

    def __init__(self, query_labels, gallery_labels):
        if isinstance(query_labels, ClassNumbers):
            self.shape = len(query_labels), len(gallery_labels)
            asked, held = query_labels.numbers, gallery_labels.numbers
            order = np.argsort(held, kind="stable")
            first, end = (np.searchsorted(held[order], asked, side) for side in ("left", "right"))
            self._places = [order[a:b if k >= 0 else a] for a, b, k in zip(first, end, asked, strict=True)]
            return
        queries, gallery = np.asarray(query_labels, bool), np.asarray(gallery_labels, bool)
        if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
            raise ValueError(f"labels are {queries.shape} and {gallery.shape}, not [Q, L] and [N, L]")
        self.shape = len(queries), len(gallery)
        rows, row = np.unique(queries, axis=0, return_inverse=True)
        columns = np.ascontiguousarray(gallery.T)
        places = [np.flatnonzero(columns[labels].any(0)) for labels in rows]
        self._places = [places[r] for r in row.ravel()]

    def places(self, q):
        return self._places[q]


class Matrix:
    """A picture is relevant where the matrix, 0/1 [Q, N], dense or scipy sparse, is not 0.

    Raises ValueError where it is no matrix.
    """

    def __init__(self, relevant):
        if relevant.ndim != 2:
            raise ValueError(f"relevance is {relevant.shape}, not [Q, N]")
        self._rows = scipy.sparse.csr_matrix(relevant, copy=True)
        self._rows.sum_duplicates()
        self._rows.eliminate_zeros()
        self.shape = self._rows.shape

    def places(self, q):
        return self._rows.indices[self._rows.indptr[q]:self._rows.indptr[q + 1]].astype(np.int64)


def similarity(path, data):
    """The release's ground truth, `label_Similarity` of `cifar10_Similarity.mat`, for the queries of `data`.

    path: a .mat file (up to version 7) whose matrix, dense or sparse, holds 0 and 1 and is the full set's
        1,000 queries by 54,000 gallery images of protocol 1, both in the release's order.
    Returns `Matrix`, rows as `data.query`, columns as `data.gallery`; None where there is no such file, or the data
    are not CIFAR-10.
    Raises `UserError` for an unreadable file, a missing key, another shape, other values, and for another protocol.
    """
    if data.positions is None or not Path(path).is_file():
        return None
    rank = np.argsort(cifar10._release_order())[data.positions]
    query, _, gallery = cifar10._roles(np.arange(cifar10.N_IMAGES), protocol=1, known_classes=())
    if not (query[rank[data.query]].all() and gallery[rank[data.gallery]].all()):
        raise UserError(f"{path} is the ground truth of protocol 1; under another set cifar10_label_sim_path to \"\".")
    rows, columns = np.cumsum(query)[rank[data.query]] - 1, np.cumsum(gallery)[rank[data.gallery]] - 1
    matrix = scipy.sparse.csr_matrix(_published(path, (int(query.sum()), int(gallery.sum()))))
    return Matrix(matrix[rows][:, columns])


def _published(path, shape):
    """The matrix `label_Similarity` of a .mat file, ndarray or sparse, checked."""
    what, mend = ".mat file of label_Similarity", "delete it to take relevance from the labels"
    matrix = matlab.read(path, {"label_Similarity": shape}, what, mend).get("label_Similarity")
    if matrix is None:
        raise UserError(f"{path} has no `label_Similarity`; {mend}")
    values = matrix.data if scipy.sparse.issparse(matrix) else matrix
    if values.dtype.kind not in "biuf" or not np.all((values == 0) | (values == 1)):
        raise UserError(f"label_Similarity in {path} must hold 0 and 1 only.")
    return matrix
