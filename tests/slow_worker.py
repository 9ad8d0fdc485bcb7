"""A stand-in for the worker that encodes, which Ray's processes import without TensorFlow."""
import os
import time
from types import SimpleNamespace

import numpy as np

from gpq.utils.retrieval.database import Database, pack

CODEBOOKS = np.random.default_rng(1).standard_normal((3, 4, 2), np.float32)


def codes(vectors):
    """Vectors float32 [n, 3] to codes uint8 [n, 3]: their numbers modulo 4."""
    return np.asarray(vectors, np.uint8) % 4


class Slow:
    """It takes 0.3 s for a part, leaves its process's number in `pids` beside the vectors, and stops where `stop` lies
    there."""

    def __init__(self, source, config, checkpoint, like, threads=None):
        self._source = source
        self.encoder = SimpleNamespace(codebooks=lambda: CODEBOOKS, database=lambda codes, made_of: Database(
            codes, CODEBOOKS, None, made_of))

    def __call__(self, part):
        places, names = part
        beside = self._source.parent
        (beside / "pids").mkdir(exist_ok=True)
        (beside / "pids" / str(os.getpid())).touch()
        if (beside / "stop").exists() and places[0] >= int((beside / "stop").read_text()):
            raise KeyboardInterrupt
        time.sleep(0.3 if (beside / "slow").exists() else 0)
        found = [bytes(code) for code in pack(codes(np.load(self._source)[places]), 2)]
        return {"place": places, "name": names, "code": found, "fault": [None] * len(places)}
