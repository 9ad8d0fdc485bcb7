"""The one way from a checkpoint to an mAP, and everything else that is reported of a checkpoint."""
from typing import NamedTuple

import numpy as np

from model.tf1 import tf
from utils.checkpoints import machine
from utils.data import relevance, sets, splits
from utils.methods import METHODS
from utils.retrieval import metrics
from utils.retrieval.database import reconstruct
from utils.retrieval.encoder import Encoder

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


def held_back_map(encoder, data, config):
    """mAP of the held-back images as queries, by the weights that `encoder` has."""
    asked = held_back_question(data, config)
    queries, _ = encoder(data.images, rows=asked.queries)
    codes = encoder.codes(data.images, rows=asked.gallery)
    return metrics.mean_average_precision(encoder.database(codes), queries, asked.relevance, config.n_DB,
                                          without_hits=config.without_hits)


def symmetric(database, query_codes, asked, config):
    """{"symmetric_mAP": of the queries as their codes uint8 [Q, M] reconstruct them}, where codewords are added; else
    {}. asked: a Question."""
    if not database.added:
        return {}
    queries = reconstruct(database.codebooks, query_codes, added=True)
    return {"symmetric_mAP": metrics.mean_average_precision(database, queries, asked.relevance, config.n_DB,
                                                            without_hits=config.without_hits)}


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
    queries, features = map(METHODS[config.method](config).vectors, (queries, features))
    unquantised = found.expected
    if (np.abs(features) != 0.5).any():  # else they are bits, whose inner product ranks as Hamming's distance does
        unquantised = metrics.unquantised_average_precision(queries, features, asked.relevance, config.n_DB,
                                                            config.without_hits)
    labels = data.labels[asked.queries]
    return {"mAP": metrics.mean(found.expected), "mAP_stable": metrics.mean(found.stable),
            "unquantised_mAP": metrics.mean(unquantised),
            **symmetric(database, query_codes, asked, config),
            "distinct_codes": len(database.gallery.counts), "queries": len(queries), "gallery": len(codes),
            "class_mAP": {data.class_names[k]: metrics.mean(found.expected[labels[:, k]])
                          for k in np.flatnonzero(labels.any(0))},
            "ranks": ranks.tolist(), "precision": found.precision.tolist(), "recall": found.recall.tolist()}
