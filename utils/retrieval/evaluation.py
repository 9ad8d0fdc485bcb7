"""The one way from a checkpoint to an mAP, and everything else that is reported of a checkpoint."""
from typing import NamedTuple

import numpy as np

from gpq.model.tf1 import tf
from gpq.utils.checkpoints import machine
from gpq.utils.data import relevance, sets, splits
from gpq.utils.methods import METHODS
from gpq.utils.retrieval import metrics
from gpq.utils.retrieval.database import reconstruct
from gpq.utils.retrieval.encoder import Encoder

RANKS = np.unique(np.geomspace(1, 54000, 60).astype(int))


class Question(NamedTuple):
    """Who asks, who is searched and what is right. queries, gallery: int32 indices of the images; relevance: of
    utils.data.relevance, [queries, gallery]."""

    queries: np.ndarray
    gallery: np.ndarray
    relevance: object


def question(data, config):
    """The data set's own queries and gallery. What is relevant says the release's similarity file where it is there,
    else a shared label. Raises UserError as `relevance.similarity`."""
    found = relevance.similarity(config.cifar10_label_sim_path, data)
    if found is None:
        found = relevance.SharedLabels(data.labels[data.query], data.labels[data.gallery])
    return Question(data.query, data.gallery, found)


def held_back_question(data, config):
    """The held-back images as queries in a part of what is there, so that the queries stay unseen."""
    gallery = splits.held_back_gallery(data, METHODS[config.method].roles[0])
    return Question(data.validation, gallery,
                    relevance.SharedLabels(data.labels[data.validation], data.labels[gallery]))


def mean_ap(database, queries, asked, config):
    """mAP of `queries` float32 [Q, D] over a `database` of the gallery: how every mAP of codes comes about here.

    Args:
        asked: the Question that they are.
        config: says how many ranks count, and what a query without hits does.
    Returns: float, exact over ties.
    """
    return metrics.mean_average_precision(database, queries, asked.relevance, config.n_DB,
                                          without_hits=config.without_hits)


def means(database, queries, query_codes, asked, config):
    """What a checkpoint is judged by, by name: floats.

    Args:
        query_codes: uint8 [Q, M], of the queries.
        others: as of `mean_ap`.
    Returns: {"mAP": ..., and where codewords are added "symmetric_mAP": of the queries as their codes reconstruct them,
        WSDHQ's SQD}.
    """
    found = {"mAP": mean_ap(database, queries, asked, config)}
    if database.added:
        found["symmetric_mAP"] = mean_ap(database, reconstruct(database.codebooks, query_codes, True), asked, config)
    return found


def held_back_map(encoder, data, config):
    """mAP of the held-back images as queries, by the weights that `encoder` has."""
    asked = held_back_question(data, config)
    queries, _ = encoder(data.images, rows=asked.queries)
    codes = encoder.codes(data.images, rows=asked.gallery)
    return mean_ap(encoder.database(codes), queries, asked, config)


def accuracy(encoder, data, config):
    """Share of the held-back images whose code, a classifier's, is their class, or with soft labels the likeliest of
    the teacher's classes."""
    codes = encoder.codes(data.images, rows=data.validation)
    labels = data.labels[data.validation][:, splits.known_classes(data)]  # numbered as in training
    return float(np.mean(labels.any(1) & (labels.argmax(1) == codes[:, 0])))


MEASURES = {"mAP": held_back_map, "accuracy": accuracy}


def evaluate(config, checkpoint):
    """Encode the queries and the gallery with `checkpoint` and measure the retrieval.

    Returns a JSON-able dict: `mAP` (exact over ties), `mAP_stable` (ties in gallery order), `unquantised_mAP`
    (inner product of what the method compares unquantised), `symmetric_mAP` where codewords are added (the queries by
    their codes too, WSDHQ's SQD), `distinct_codes`, `queries`, `gallery`, `class_mAP`
    {class: mAP of its queries}, and `precision` and `recall` at `ranks`. Raises UserError as the data set's reader
    and `store.restore`.
    """
    data = sets.load(config)
    config, asked = sets.completed(config, data), question(data, config)
    with tf.Graph().as_default(), machine.session(config) as session:
        encoder = Encoder(config, session, checkpoint, like=data.images)
        queries, query_codes = encoder(data.images, "encoding the queries", asked.queries)
        features, codes = encoder(data.images, "encoding the gallery", asked.gallery)
        database = encoder.database(codes)
    ranks = RANKS[RANKS <= len(codes)]
    found = metrics.measured(database, queries, asked.relevance, config.n_DB, ranks, config.without_hits)
    vectors = [*map(METHODS[config.method](config).vectors, (queries, features))]
    unquantised = found.expected
    if (np.abs(features) != 0.5).any():  # else they are bits, whose inner product ranks as Hamming's distance does
        unquantised = metrics.unquantised_average_precision(*vectors, asked.relevance, config.n_DB, config.without_hits)
    labels = data.labels[asked.queries]
    return {**means(database, queries, query_codes, asked, config), "mAP_stable": metrics.mean(found.stable),
            "unquantised_mAP": metrics.mean(unquantised),
            "distinct_codes": len(database.gallery.counts), "queries": len(queries), "gallery": len(codes),
            "class_mAP": {data.class_names[k]: metrics.mean(found.expected[labels[:, k]])
                          for k in np.flatnonzero(labels.any(0))},
            "ranks": ranks.tolist(), "precision": found.precision.tolist(), "recall": found.recall.tolist()}
