"""Principal axes, and how they are shared out so that codebooks of equal size carry equal loads."""
import numpy as np


def pca(x, n):
    """The n principal axes of x, float [N, D], strongest first: (mean float64 [D], axes float64 [D, n], variances
    float64 [n])."""
    mean = x.mean(0, dtype=np.float64)
    centred = x - mean
    variances, axes = np.linalg.eigh(centred.T @ centred / len(x))
    return mean, axes[:, ::-1][:, :n], np.maximum(variances[::-1][:n], 0)


def eigenvalue_allocation(variances, n_book):
    """Shares the principal axes out so that the products of the variances are about equal (Ge et al., CVPR 2013,
    section 3.2): each, strongest first, goes to the book with the smallest product that has room.

    variances: float [P], descending, P a multiple of n_book. Returns int [P], first the axes of the first book.
    They are divided by the smallest, or by a millionth of the largest where that is more: a product of numbers below 1
    would fall as axes are added.
    """
    loads, books = np.zeros(n_book), [[] for _ in range(n_book)]
    smallest = max(variances[-1], 1e-6 * variances[0], np.finfo(float).tiny)
    for axis, variance in enumerate(variances):
        room = [book for book in range(n_book) if len(books[book]) < len(variances) // n_book]
        chosen = min(room, key=loads.__getitem__)
        books[chosen].append(axis)
        loads[chosen] += np.log(max(variance / smallest, 1))
    return np.concatenate(books)


def balanced_axes(x, n_book):
    """The rotation of parametric OPQ: the principal axes of x, float [N, D], shared out by `eigenvalue_allocation`,
    with zeros where D is no multiple of n_book. Returns float64 [D, P], P the next multiple, of orthonormal rows."""
    dimension = x.shape[1]
    _, axes, variances = pca(x, dimension)
    more = -dimension % n_book
    order = eigenvalue_allocation(np.pad(variances, (0, more)), n_book)
    return np.pad(axes, ((0, 0), (0, more)))[:, order]
