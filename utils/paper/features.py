import numpy as np

from model.tf1 import tf
from utils.data import cifar10
from utils.retrieval.encoder import Encoder
from utils.retrieval.evaluation import intra_normalised
from utils.session import machine
from utils.training import task as tasks
from utils.training.folder import initialise


def class_features(config, each):
    """The first `each` gallery images of every class, by `config.checkpoint`.

    Returns (intra-normalised features float32 [N, D], labels int64 [N], class names).
    """
    data = cifar10.load(config.data_dir, config.protocol, config.known_classes)
    labels = data.labels[data.gallery]
    chosen = np.concatenate([data.gallery[labels == label][:each] for label in np.unique(labels)])
    with tf.Graph().as_default(), machine.session(config) as session:
        features, _ = Encoder(config, session, config.checkpoint)(data.images[chosen], "encoding")
    return intra_normalised(features, config.n_book), data.labels[chosen], data.class_names


def sub_space(config, trained, each=50):
    """The first sub-space, of l2-normalised sub-vectors: by `config.checkpoint`, or as training finds it at its start.

    Returns (codewords float32 [K, d], labelled [N, d], their labels int64 [N], unlabelled [N, d]), with `each` labelled
    images of every class and as many unlabelled.
    """
    task = tasks.GPQ(config)
    data = cifar10.load(config.data_dir, config.protocol, config.known_classes)
    chosen = [np.concatenate([role[data.labels[role] == label][:each] for label in np.unique(data.labels)])
              for role in (data.labelled, data.unlabelled)]
    with tf.Graph().as_default(), machine.session(config) as session:
        tf.set_random_seed(config.seed)
        tasks.build(task)
        session.run(tf.global_variables_initializer())
        initialise(session, config)
        encoder = Encoder(config, session, config.checkpoint if trained else None)
        labelled, unlabelled = (intra_normalised(encoder(data.images[images])[0], config.n_book)[:, :config.len_code]
                                for images in chosen)
        codewords = encoder.codebooks()[0]
    return intra_normalised(codewords, 1), labelled, data.labels[chosen[0]], unlabelled
