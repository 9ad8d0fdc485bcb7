"""Mean average precision, precision and recall that do not depend on the order of a sort.

Short codes collide, so many pictures of a gallery are equally far from a query. A ranking that orders these
by accident (by class, say, as the gallery lies) moves the figure by points.
"""
import numpy as np
from scipy import sparse
from scipy.special import gammaln

from utils.retrieval import search


def mean_average_precision(database, queries, relevance, n_DB, ties="expected"):
    """The mean of `average_precision` over the queries, a float in 0..1."""
    return float(average_precision(database, queries, relevance, n_DB, ties).mean())


def average_precision(database, queries, relevance, n_DB, ties="expected"):
    """AP of each query, float64 [Q], between 0 and 1.

    The sum of the precisions at the relevant ones of the first n_DB ranks (all ranks of a smaller gallery),
    divided by the number of relevant ones found there; a query that finds none counts 0 (release).

    database: `retrieval.Database` of N pictures. queries: float32 [Q, D] features.
    relevance: either the class of each query, int [Q], and then what `database.labels` puts in that class is
        relevant; or 0/1 [Q, N], dense or scipy sparse.
    ties: "expected" is the exact mean over all orders of the pictures at equal distance (McSherry and Najork,
        ECIR 2008), "stable" puts them in gallery order. Equal is as computed, in float32; equal codes are.
    Raises ValueError for arguments that do not fit together, and otherwise as `retrieval.each_query`.
    """
    places = _relevant_places(relevance, database.labels, len(queries), len(database.codes))
    gallery = search.distinct(database.codes)
    return _average_precision(queries, database.codebooks, gallery, places, n_DB, ties)


def unquantised_average_precision(queries, gallery_features, query_labels, gallery_labels, n_DB):
    """`average_precision` by the cosine of the features themselves, for what the codes lose: float64 [Q].

    queries: float32 [Q, D]. gallery_features: float32 [N, D]. query_labels, gallery_labels: int [Q] and [N],
    the same class is relevant. Equal cosines are ties, expected over all orders. Raises ValueError where the
    labels do not fit the features, otherwise as `retrieval.each_query`.
    """
    n = len(gallery_features)  # each is taken for a codeword of a single codebook, and for a picture's code
    each = search.Distinct(np.arange(n)[:, None], np.arange(n), np.ones(n, np.int64))
    places = _relevant_places(query_labels, gallery_labels, len(queries), n)
    return _average_precision(_unit(queries), _unit(gallery_features)[None], each, places, n_DB, "expected")


def precision_recall(database, queries, relevance, ranks):
    """Precision and recall at each of `ranks`, the means over the queries: two float64 [R].

    Precision at rank k is the share of relevant ones among the first k, recall the share of a query's
    relevant ones that are among the first k. Both are the exact means over all orders of the pictures at
    equal distance. Queries without relevant ones count in precision and are left out of recall.

    database, queries and relevance: as for `average_precision`. ranks: int [R], each from 1 to N, in any
    order; Q x R numbers are held at once. Raises ValueError as `average_precision`, for other ranks, and if
    no query has relevant ones; otherwise as `retrieval.each_query`.
    """
    gallery, ranks = search.distinct(database.codes), np.asarray(ranks)
    places = _relevant_places(relevance, database.labels, len(queries), len(gallery.inverse))
    if ((ranks < 1) | (ranks > len(gallery.inverse))).any():
        raise ValueError(f"ranks go from 1 to {len(gallery.inverse)}")
    hits, relevant = np.empty((len(queries), len(ranks))), np.empty(len(queries))

    def expected(q, distance):
        end, found = _tie_groups(distance, gallery, places(q))
        hits[q], relevant[q] = np.interp(ranks, end, found), found[-1]  # hits rise evenly within a group

    search.each_query(expected, queries, database.codebooks, gallery.codes)
    some = relevant > 0
    if not some.any():
        raise ValueError("no query has relevant ones")
    return (hits / ranks).mean(0), (hits[some] / relevant[some, None]).mean(0)


def _unit(features):
    """`features` [N, D] divided by their lengths; one of length 0 stays."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _average_precision(queries, codebooks, gallery, places, n_DB, ties):
    """`average_precision` in `gallery`, a `retrieval.Distinct`; `places(q)` are those relevant to query q."""
    if n_DB < 1:
        raise ValueError(f"n_DB is {n_DB}, not a number of ranks")
    n = len(gallery.inverse)
    cut = min(n_DB, n)
    harmonic = np.concatenate([[0], np.cumsum(1 / np.arange(1, n + 1))])
    precision = np.empty(len(queries))

    def expected(q, distance):
        precision[q] = _expected_ap(*_tie_groups(distance, gallery, places(q)), cut, harmonic)

    def stable(q, distance):
        relevant = np.zeros(n, bool)
        relevant[places(q)] = True
        order, _ = search.ascending(distance[gallery.inverse])
        precision[q] = _ap(relevant[order[:cut]])

    visit = {"expected": expected, "stable": stable}.get(ties)
    if visit is None:
        raise ValueError(f"ties is {ties!r}, not 'expected' or 'stable'")
    search.each_query(visit, queries, codebooks, gallery.codes)
    return precision


def _relevant_places(relevance, labels, n_queries, n_gallery):
    """A function from query to its relevant places in the gallery, int64 [R]."""
    if sparse.issparse(relevance) or np.ndim(relevance) == 2:
        if relevance.shape != (n_queries, n_gallery):
            raise ValueError(f"relevance is {relevance.shape}, not {(n_queries, n_gallery)}")
        if sparse.issparse(relevance):
            rows = relevance.tocsr(copy=True)
            rows.sum_duplicates()
            rows.eliminate_zeros()
            return lambda q: rows.indices[rows.indptr[q]:rows.indptr[q + 1]]
        return lambda q: np.flatnonzero(relevance[q])
    if np.shape(relevance) != (n_queries,) or np.shape(labels) != (n_gallery,):
        raise ValueError("classes need one for each query and one for each picture of the gallery")
    members = {label: np.flatnonzero(np.equal(labels, label)) for label in np.unique(relevance)}
    return lambda q: members[relevance[q]]


def _tie_groups(distance, gallery, places):
    """Ranks and relevant ones, int64 [1 + G] from 0, up to the end of each of the G groups at equal distance.

    `distance` float32 [U] of each distinct code of `gallery`, `places` int64 [R] of its relevant ones.
    """
    relevant = np.bincount(gallery.inverse[places], minlength=len(gallery.counts))
    order, rises = search.ascending(distance)
    both = np.zeros(len(order) + 1, np.int64)
    np.cumsum((relevant << 32 | gallery.counts)[order], out=both[1:])  # two counters in one: half the time
    both = both[np.concatenate([[True], rises, [True]])]
    return both & 0xFFFFFFFF, both >> 32


def _expected_ap(end, found, cut, harmonic):
    """Mean AP over the first `cut` ranks of all orders within groups; `harmonic` holds H_0, H_1, ..., H_N.

    Only the last group, which may straddle the cut, has a say in how many relevant ones are found: as many as
    its places above the cut draw without replacement. These then stand in any order, as in a whole group.
    """
    last = np.searchsorted(end, cut) - 1
    some = np.flatnonzero(found[1:last + 1] != found[:last])
    size, relevant = end[some + 1] - end[some], found[some + 1] - found[some]
    total = _group(end[some], size, relevant, found[some], harmonic).sum()
    places = cut - end[last]
    drawn, chance = _hypergeometric(end[last + 1] - end[last], found[last + 1] - found[last], places)
    total = total + _group(end[last], places, drawn, found[last], harmonic)
    return chance @ (total / np.maximum(found[last] + drawn, 1))


def _group(start, n, r, before, harmonic):
    """Expected sum of the precisions at r relevant of n ranks, after `start` ranks, `before` relevant.

    Place i is relevant with chance r/n, and then (i-1)(r-1)/(n-1) more of the group are expected ahead.
    The sum over i of r/n * (before + 1 + (i-1)(r-1)/(n-1)) / (start+i) comes down to harmonic numbers.
    """
    reciprocal = harmonic[start + n] - harmonic[start]
    return r / n * ((before + 1) * reciprocal
                    + (r - 1) / np.maximum(n - 1, 1) * (n - (start + 1) * reciprocal))


def _hypergeometric(n, r, draws):
    """Every number of relevant ones that `draws` of n, r of them relevant, can bring, and its chance."""
    drawn = np.arange(max(0, draws - (n - r)), min(r, draws) + 1)
    return drawn, np.exp(_log_choose(r, drawn) + _log_choose(n - r, draws - drawn) - _log_choose(n, draws))


def _log_choose(n, k):
    """Logarithm of the binomial coefficient."""
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def _ap(relevant):
    """AP of one ranking, `relevant` bool [ranks]."""
    ranks = np.flatnonzero(relevant) + 1
    return np.mean(np.arange(1, len(ranks) + 1) / ranks) if len(ranks) else 0.0
