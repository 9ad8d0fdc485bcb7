"""How features lie: their t-SNE picture, and figures for how well they part the classes.

Retrieval compares directions, so both see features divided by their length. scikit-learn has all of it:
10,000 features take two to three minutes. openTSNE would take one, as one more compiled dependency beside it.
"""
from typing import NamedTuple

import numpy as np
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

NEIGHBOURS = 10
PERPLEXITY = 30  # of t-SNE, scikit-learn's default
SAMPLE = 10_000  # features that the silhouette compares, pair by pair


class Separation(NamedTuple):
    """How well features part the classes; both rise with it."""

    silhouette: float  # -1..1, about 0 where classes are mixed
    neighbour_agreement: float  # 0..1, about the sum of the squared class shares where classes are mixed


def tsne(features, seed):
    """The points of the t-SNE (van der Maaten and Hinton, JMLR 2008) of features [N, D]: float32 [N, 2].

    It starts from the two principal components, which leaves little to `seed`; the same seed gives the same
    points on any number of cores. Raises ValueError for fewer than 2 features or numbers that are not finite.
    """
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)  # t-SNE looks at three times as many neighbours
    method = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    with threadpool_limits(1):  # its steps are short: on a busy machine threads mostly wait
        return method.fit_transform(normalize(np.asarray(features, np.float32)))


def separation(features, labels, seed):
    """`Separation` of features [N, D] of the classes int [N].

    The silhouette (Rousseeuw 1987) is by cosine distance, its mean over all features, or over the SAMPLE that
    `seed` draws where there are more. The neighbour agreement is the share of the NEIGHBOURS features nearest
    by cosine, itself left out, that have a feature's class, its mean over all features. Raises ValueError for
    N <= NEIGHBOURS, fewer than 2 classes, a class to each feature, or numbers that are not finite.
    """
    unit, labels = normalize(np.asarray(features, np.float32)), np.asarray(labels)
    silhouette = silhouette_score(unit, labels, metric="cosine", sample_size=SAMPLE, random_state=seed)
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(unit)
    neighbours = nearest.kneighbors(return_distance=False)
    return Separation(float(silhouette), float(np.mean(labels[neighbours] == labels[:, None])))
