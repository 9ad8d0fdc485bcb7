"""Tags that mean nearly the same become one.

How the release does this is not published: its program lies in an archive that nobody has. What its files and the
paper's figure tell is a vector for each tag, pulled toward its neighbours' (semantic enhancement), and DBSCAN. The
formulas here are a reconstruction, and so are the thresholds: with GloVe's vectors of 300 numbers they leave as many
of NUS-WIDE's 1,000 tags as the release's logs count, 928.
"""
from typing import NamedTuple

import numpy as np
from sklearn.cluster import DBSCAN

from gpq.utils.errors import UserError


class Thresholds(NamedTuple):
    """What decides which tags are merged."""

    neighbours: int = 5  # k, the most that a tag is pulled toward; 0 for no enhancement
    tau: float = 0.75  # cosine from which another tag is a neighbour
    eps: float = 0.05  # DBSCAN's radius, 1 - cosine; 0 merges nothing


class Merging(NamedTuple):
    """T tags made of T0 raw ones."""

    vectors: np.ndarray  # float32 [T, D]
    groups: list[np.ndarray]  # T of them, int64, the raw tags of each
    dropped: np.ndarray  # int64, the raw tags that are in none: those without a vector


def merge(vectors, thresholds):
    """The `Merging` of raw tags by their vectors, float32 [T0, D], rows of NaN where a tag has none.

    t_i is the vector at length 1, N(i) the `neighbours` tags of the highest cosine to it, of those at tau or more.
    t~_i = t_i + sum over j in N(i) of cos_ij t_j, at length 1. Tags that DBSCAN with one point a core joins become one,
    whose vector is the mean of their t~. Groups stand in the order of their first tags. Raises UserError where no tag
    has a vector.
    """
    known = np.flatnonzero(np.isfinite(vectors).all(1) & (np.nan_to_num(vectors) != 0).any(1))
    if not len(known):
        raise UserError(f"none of the {len(vectors)} tags has a word vector; give word vectors that know some")
    pulled = enhanced(vectors[known], thresholds)
    cluster = np.arange(len(known))
    if thresholds.eps > 0:
        cluster = DBSCAN(eps=thresholds.eps, min_samples=1, metric="cosine").fit(pulled).labels_
    members = [np.flatnonzero(cluster == c) for c in range(cluster.max() + 1)]
    return Merging(np.stack([pulled[own].mean(0) for own in members]), [known[own] for own in members],
                   np.setdiff1d(np.arange(len(vectors)), known))


def enhanced(vectors, thresholds):
    """t~ of `merge`, float32 [T, D], of vectors float32 [T, D], none of them 0."""
    unit = _unit(vectors)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, 1, kind="stable")[:, :thresholds.neighbours]
    weights = np.zeros_like(cosines)
    np.put_along_axis(weights, nearest, np.take_along_axis(cosines, nearest, 1), 1)
    return _unit(unit + np.where(weights >= thresholds.tau, weights, 0) @ unit)


def merged(tags, groups):
    """bool [N, T], whether an image has one of the raw tags of a group; tags: bool [N, T0]."""
    return np.stack([tags[:, group].any(1) for group in groups], 1)


def merged_names(names, groups):
    """str [T], the names of the raw tags of each group; names: T0 of them."""
    return np.array([", ".join(names[tag] for tag in group) for group in groups])


def mean_margin(tags, vectors):
    """The mean of 1 - cosine over an image's tags and those that it lacks, weighed as WSDHQ's embedding loss does: its
    value at random features. The release's logs begin between 0.891 and 0.900.

    tags: bool [N, T]. vectors: float32 [T, D].
    """
    unit = _unit(vectors)
    has = tags.astype(np.float32)
    all_tags, own = has @ unit @ unit.sum(0), np.square(has @ unit).sum(1)
    counts = has.sum(1)
    return float(1 - (all_tags - own).sum() / (counts * (len(vectors) - counts)).sum())


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
