"""Images to features, codes and databases, by a checkpoint of any method."""
import numpy as np
from tqdm import tqdm

from model.tf1 import tf
from utils.methods import METHODS
from utils.retrieval.database import Database
from utils.session import checkpoints, machine

BATCH = 250


class Encoder:
    """The retrieval graph of `config`'s method in a Session: `encoder(images)` gives features and codes.

    Without `checkpoint` the weights are those that the session's graph already has.
    """

    def __init__(self, config, session, checkpoint=None):
        self._session, self._method = session, METHODS[config.method]
        self._images = tf.placeholder(tf.uint8, [None, config.image_size, config.image_size, config.img_channels])
        self._graph = self._method.retrieval(self._images, config, machine.spatial())
        if checkpoint:
            checkpoints.restore(session, checkpoint, checkpoints.weights(), config)

    def __call__(self, images, title=None):
        """images: uint8 [N, 32, 32, 3]. Returns (features float32 [N, D], codes uint8 [N, M]).

        With a `title` a progress bar shows.
        """
        parts = []
        with tqdm(total=len(images), desc=title, unit="image", disable=None if title else True) as bar:
            for start in range(0, len(images), BATCH):
                batch = images[start:start + BATCH]
                parts.append(self._session.run([self._graph.features, self._graph.codes], {self._images: batch}))
                bar.update(len(batch))
        features, codes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return features, codes

    def codebooks(self):
        """What distances are taken to: float32 [M, K, d]."""
        return self._session.run(self._graph.codebooks)

    def database(self, codes, labels=None, made_of=None, names=None):
        """The Database of `codes` uint8 [N, M] that this encoder gave, with labels bool [N, L], made_of, a JSON-able
        dict, and names str [N] where there are any."""
        return Database(codes, self.codebooks(), labels, made_of or {}, names, self._method.distance,
                        self._method.added)


def made_of(config, checkpoint):
    """What decides an image's code, JSON-able: a database is good for no other."""
    settings = {name: getattr(config, name) for name in METHODS[config.method].coded_by}
    return {"checkpoint": checkpoints.fingerprint(checkpoint), **settings}
