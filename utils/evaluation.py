"""Everything that is reported of a checkpoint: mAP in its several senses, codes, curves."""
import numpy as np

from model.tf1 import tf
from utils import cifar10, encode, metrics, retrieval, runs, tasks

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
    asking, searched = ((runs.hold_back(data, config)[1], runs.held_back_gallery(data)) if held_back
                        else (data.query, data.gallery))
    with tf.Graph().as_default(), runs.session(config) as session:
        encoder = encode.Encoder(config, session, config.checkpoint)
        queries, _ = encoder(data.images[asking], "encoding the queries")
        gallery, codes = encoder(data.images[searched], "encoding the gallery")
        database = retrieval.Database(codes, encoder.codebooks(), data.labels[searched], {})
    labels = data.labels[asking]
    precisions = metrics.average_precision(database, queries, labels, config.n_DB)
    ranks = RANKS[RANKS <= len(codes)]
    precision, recall = metrics.precision_recall(database, queries, labels, ranks)
    unquantised = metrics.unquantised_average_precision(
        _intra_normalised(queries, config.n_book), _intra_normalised(gallery, config.n_book), labels, database.labels,
        config.n_DB)
    return {"mAP": precisions.mean(),
            "mAP_stable": metrics.mean_average_precision(database, queries, labels, config.n_DB, ties="stable"),
            "unquantised_mAP": unquantised.mean(),
            "distinct_codes": len(retrieval.distinct(codes).counts), "queries": len(queries), "gallery": len(codes),
            "class_mAP": {data.class_names[label]: precisions[labels == label].mean() for label in np.unique(labels)},
            "ranks": ranks.tolist(), "precision": precision.tolist(), "recall": recall.tolist()}


def class_features(config, each):
    """The first `each` gallery images of every class, by `config.checkpoint`.

    Returns (intra-normalised features float32 [N, D], labels int64 [N], class names).
    """
    data = cifar10.load(config.data_dir, config.protocol, config.known_classes)
    labels = data.labels[data.gallery]
    chosen = np.concatenate([data.gallery[labels == label][:each] for label in np.unique(labels)])
    with tf.Graph().as_default(), runs.session(config) as session:
        features, _ = encode.Encoder(config, session, config.checkpoint)(data.images[chosen], "encoding")
    return _intra_normalised(features, config.n_book), data.labels[chosen], data.class_names


def sub_space(config, trained, each=50):
    """The first sub-space, of l2-normalised sub-vectors: by `config.checkpoint`, or as training finds it at its start.

    Returns (codewords float32 [K, d], labelled [N, d], their labels int64 [N], unlabelled [N, d]), with `each` labelled
    images of every class and as many unlabelled.
    """
    task = tasks.GPQ(config)
    data = cifar10.load(config.data_dir, config.protocol, config.known_classes)
    chosen = [np.concatenate([role[data.labels[role] == label][:each] for label in np.unique(data.labels)])
              for role in (data.labelled, data.unlabelled)]
    with tf.Graph().as_default(), runs.session(config) as session:
        tf.set_random_seed(config.seed)
        tasks.build(task)
        session.run(tf.global_variables_initializer())
        runs.initialise(session, config)
        encoder = encode.Encoder(config, session, config.checkpoint if trained else None)
        labelled, unlabelled = (_intra_normalised(encoder(data.images[images])[0], config.n_book)[:, :config.len_code]
                                for images in chosen)
        codewords = encoder.codebooks()[0]
    return _intra_normalised(codewords, 1), labelled, data.labels[chosen[0]], unlabelled


def _intra_normalised(features, n_book):
    """float32 [N, M * d] with each sub-vector at unit length."""
    sub_vectors = features.reshape(len(features), n_book, -1)
    lengths = np.linalg.norm(sub_vectors, axis=2, keepdims=True)
    return (sub_vectors / np.maximum(lengths, 1e-12)).reshape(features.shape)
