"""Codes that need no network: an Encoder's stand-in that Ray's workers import without TensorFlow."""
import time

import numpy as np

from utils.cluster.shards import Store
from utils.cluster.work import Source
from utils.retrieval.database import Database


class Slow:
    """Codes of vectors uint8 [n, 3]: their numbers modulo 4. It takes `seconds` a batch, and refuses after `most`."""

    def __init__(self, seconds=0.0, most=10**9):
        self._seconds, self._most = seconds, most

    def codes(self, vectors):
        self._most -= 1
        if self._most < 0:
            raise KeyboardInterrupt
        time.sleep(self._seconds)
        return np.asarray(vectors, np.uint8) % 4


def begun(folder, count=2000, shard=100):
    """(a Store in `folder` / "codes", begun, and its Source of made-up vectors [count, 3])."""
    vectors = np.random.default_rng(0).integers(0, 100, (count, 3)).astype(np.float32)
    np.save(folder / "vectors.npy", vectors)
    codebooks = np.random.default_rng(1).standard_normal((3, 4, 2), np.float32)
    head = Database(np.empty((0, 3), np.uint8), codebooks, None, {"checkpoint": "a", "count": count, "shard": shard})
    return Store.begun(folder / "codes", head), Source(folder / "vectors.npy", 0)


def whole(folder, store):
    """The Database of all that `begun` has to encode."""
    return Database(Slow().codes(np.load(folder / "vectors.npy")), store.head.codebooks, None, {})
