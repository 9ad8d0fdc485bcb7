"""Everything that is reported of a checkpoint: mAP in its several senses, codes, curves."""
import numpy as np

from model.tf1 import tf
from utils.data import cifar10, splits
from utils.retrieval import metrics, search
from utils.retrieval.database import Database
from utils.retrieval.encoder import Encoder
from utils.session import machine

RANKS = np.unique(np.geomspace(1, 54000, 60).astype(int))


def evaluate(config, held_back=False):
    """Encode the queries and the gallery with `config.checkpoint` and measure the retrieval; with `held_back` the
    labelled images that `config` holds back and their gallery instead, so that the queries stay unseen.

    Returns a JSON-able dict: `mAP` (exact over ties), `mAP_stable` (ties in gallery order), `unquantised_mAP`
    (cosine of the intra-normalised features), `distinct_codes`, `queries`, `gallery`, `class_mAP` {class: mAP of
    its queries}, and `precision` and `recall` at `ranks`. Raises UserError as `cifar10.load`,
    `runs.hold_back` and `checkpoints.restore`.
    """
    data = cifar10.load(config.data_dir, config.protocol, config.known_classes)
    asking, searched = ((splits.hold_back(data, config)[1], splits.held_back_gallery(data)) if held_back
                        else (data.query, data.gallery))
    with tf.Graph().as_default(), machine.session(config) as session:
        encoder = Encoder(config, session, config.checkpoint)
        queries, _ = encoder(data.images[asking], "encoding the queries")
        gallery, codes = encoder(data.images[searched], "encoding the gallery")
        database = Database(codes, encoder.codebooks(), data.labels[searched], {})
    labels = data.labels[asking]
    precisions = metrics.average_precision(database, queries, labels, config.n_DB)
    ranks = RANKS[RANKS <= len(codes)]
    precision, recall = metrics.precision_recall(database, queries, labels, ranks)
    unquantised = metrics.unquantised_average_precision(
        intra_normalised(queries, config.n_book), intra_normalised(gallery, config.n_book), labels, database.labels,
        config.n_DB)
    return {"mAP": precisions.mean(),
            "mAP_stable": metrics.mean_average_precision(database, queries, labels, config.n_DB, ties="stable"),
            "unquantised_mAP": unquantised.mean(),
            "distinct_codes": len(search.distinct(codes).counts), "queries": len(queries), "gallery": len(codes),
            "class_mAP": {data.class_names[label]: precisions[labels == label].mean() for label in np.unique(labels)},
            "ranks": ranks.tolist(), "precision": precision.tolist(), "recall": recall.tolist()}


def intra_normalised(features, n_book):
    """float32 [N, M * d] with each sub-vector at unit length."""
    sub_vectors = features.reshape(len(features), n_book, -1)
    lengths = np.linalg.norm(sub_vectors, axis=2, keepdims=True)
    return (sub_vectors / np.maximum(lengths, 1e-12)).reshape(features.shape)


def held_back_map(encoder, data, held_back, config):
    """mAP of the held-back images as queries, over `held_back_gallery`."""
    gallery = splits.held_back_gallery(data)
    queries, _ = encoder(data.images[held_back])
    _, codes = encoder(data.images[gallery])
    database = Database(codes, encoder.codebooks(), data.labels[gallery], {})
    return metrics.mean_average_precision(database, queries, data.labels[held_back], config.n_DB)
