"""What a training finds otherwise than by gradient, before its first step or after one: rotations, codebooks."""
import numpy as np
from threadpoolctl import threadpool_limits

from gpq.model.tf1 import tf
from gpq.utils.checkpoints import store
from gpq.utils.errors import UserError
from gpq.utils.methods import METHODS
from gpq.utils.retrieval.encoder import Encoder, batch_of, by_batch


class Fitting:
    """`fitting(step)` has the method of `task` fit what is due after `step` steps, 0 before the first, and loads it.

    `Method.fit` is given this object. counts: how many images each role has; n_steps: of the whole training; labels:
    bool [n, L], of the images of the first role. `features` and `values` are what the session's graph knows now.
    """

    def __init__(self, task, config, session):
        """To be made when the training graph is built, and before the graph is finalized; the variables of a method
        without steps are made here. Raises UserError where such a method has a network that nobody has trained."""
        self._method, self._session = METHODS[config.method](config), session
        self.counts, self.n_steps, self._rows, self._images = task.counts, task.n_steps, task.roles[0], task.images
        self.labels = task.labels[self._rows]
        if not task.n_steps:
            Encoder(config, session, like=task.images)
            if tf.trainable_variables() and self._method.F.network.imagenet is None:
                raise UserError(f"backbone is {config.backbone}, but {config.method} trains no network; set backbone "
                                "to gist or efficientnet_lite2, or give embeddings")
        if self._method.features_for_fit is not None:
            self._placeholder = tf.placeholder(task.images.dtype, [None, *task.images.shape[1:]])
            self._seen = self._method.features_for_fit(self._placeholder)
        self._variables = {variable.op.name: variable for variable in tf.global_variables()}

    def __call__(self, step):
        """Raises what `Method.fit` raises."""
        with threadpool_limits(1):  # such small products gain little by threads, and wait long on a busy machine
            found = self._method.fit(self, step)
        if found:
            store.assign(self._session, {self._variables[name]: array for name, array in found.items()})

    def features(self):
        """What `Method.features_for_fit` makes of the images of the first role: float32 [n, D]."""
        parts = by_batch(self._session, [self._seen], self._placeholder, self._images, batch_of(self._images.shape[1:]),
                         "encoding what to fit", self._rows)
        return np.concatenate([part for part, in parts])

    def values(self, *names):
        """The arrays of the variables of these names."""
        return self._session.run([self._variables[name] for name in names])
