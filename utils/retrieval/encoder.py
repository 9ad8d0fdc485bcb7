"""Images to features and codes.

    python -m utils.encode --images=folder_or_array.npy --out=codes.npz

writes a database that `Demo.py --database=codes.npz` searches: raw features (float32 [N, D]), codes (uint8 [N, M]).
"""
import numpy as np
from tqdm import tqdm

from model import gpq
from model.tf1 import tf
from utils.session import checkpoints, machine

BATCH = 250


class Encoder:
    """The retrieval graph in a Session: `encoder(images)` gives features and codes.

    Without `checkpoint` the weights are those that the session's graph already has.
    """

    def __init__(self, config, session, checkpoint=None):
        self._session = session
        self._images = tf.placeholder(tf.uint8, [None, config.image_size, config.image_size, config.img_channels])
        self._graph = gpq.retrieval_graph(self._images, config, machine.on_processors())
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


def made_of(config):
    """What decides an image's code, JSON-able: a database is good for no other."""
    settings = {name: getattr(config, name) for name in ("follow", "n_book", "len_code", "alpha")}
    return {"checkpoint": checkpoints.fingerprint(config.checkpoint), **settings}
