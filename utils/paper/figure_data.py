"""What figures 1 and 5 draw: features of chosen images, and a codebook with features about it."""
import numpy as np
from sklearn.preprocessing import normalize

from gpq.model.tf1 import tf
from gpq.utils.checkpoints import machine
from gpq.utils.data import sets
from gpq.utils.methods import METHODS
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.training import task as tasks
from gpq.utils.training.folder import initialise


def class_features(config, checkpoint, each):
    """The first `each` gallery images of every class, by `checkpoint`.

    Returns (features float32 [N, D] as the method's `vectors` makes them, labels int64 [N], class names). Raises
    UserError as `sets.load` and `store.restore`.
    """
    data = sets.load(config)
    chosen = _of_each_class(data, data.gallery, each)
    with tf.Graph().as_default(), machine.session(config) as session:
        features, _ = Encoder(config, session, checkpoint, like=data.images)(data.images, "encoding", chosen)
    vectors = METHODS[config.method](config).vectors(features)
    return vectors, data.labels[chosen].argmax(1), data.class_names


def sub_space(config, checkpoint=None, each=50):
    """The first sub-space, of l2-normalised sub-vectors: by `checkpoint`, or as training finds it at its start.

    config: settings of GPQ. Returns (codewords float32 [K, d], labelled [N, d], their labels int64 [N], unlabelled
    [N, d]), with `each` labelled images of every class and as many unlabelled. Raises UserError as `Task` and
    `store.restore`.
    """
    data, task = sets.load(config), tasks.Task(config)
    roles = [_of_each_class(data, role, each) for role in (data.labelled, data.unlabelled)]
    with tf.Graph().as_default(), machine.session(config) as session:
        tf.set_random_seed(config.seed)
        tasks.build(task)
        session.run(tf.global_variables_initializer())
        if checkpoint is None:
            initialise(session, config)
        encoder = Encoder(config, session, checkpoint, like=data.images)
        labelled, unlabelled = (normalize(encoder(data.images, rows=chosen)[0][:, :config.len_code])
                                for chosen in roles)
        codewords = normalize(encoder.codebooks()[0])
    return codewords, labelled, data.labels[roles[0]].argmax(1), unlabelled


def _of_each_class(data, role, each):
    """The first `each` images of every class among the indices `role`."""
    labels = data.labels[role].argmax(1)
    return np.concatenate([role[labels == label][:each] for label in range(data.labels.shape[1])])
