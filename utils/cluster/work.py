"""Shards as pieces of work: what goes into them, and who makes them, this process or the workers of a Ray cluster.

A shard takes its name when it is whole, so it is there once or not at all. A restart does what is missing, and the
shard of a worker that died is given to another.
"""
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils.cluster import rays
from utils.data import embeddings, lazy
from utils.errors import UserError
from utils.reading import arrays
from utils.reading.pictures import cropped

READ = 1000  # pictures or vectors at once
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}  # a worker has one core


class Source(NamedTuple):
    """What is encoded: the folder of pictures or the .npy file at `path`; side: of the square that a picture is brought
    to by `prepare`, or 0 where the file holds vectors; threads: that decode, None for one a core."""

    path: Path
    side: int
    threads: int | None = None
    prepare: Callable = cropped

    def array(self):
        """What the .npy file holds, mapped."""
        form = f"uint8 [N, {self.side}, {self.side}, 3]" if self.side else embeddings.FEATURES
        return arrays.one(self.path, form, "array to encode")

    def batches(self, rows, names):
        """Yields (uint8 [n, side, side, 3] or float [n, D], names str [n] or None, what is wrong with the pictures that
        are left out, a sentence each) of the `rows`, a range, READ at a time; names: theirs, or None."""
        array = self.array() if names is None else None
        for first in range(0, len(rows), READ):
            if names is None:
                part = rows[first:first + READ]
                yield array[part.start:part.stop], None, []
            else:
                yield self._pictures(names[first:first + READ])

    def _pictures(self, names):
        images = lazy.Pictures(lazy.Below(self.path, names), self.side, self.prepare, True, self.threads)
        read, faults = images[:], dict(sorted(images.faults.items()))
        kept = ~np.isin(np.arange(len(names)), list(faults))
        return read[kept], np.array(names, str)[kept], list(faults.values())


class Worker:
    """Makes shards: `worker(task)` writes one and tells of it. make: () -> what has `codes`, an `Encoder`."""

    def __init__(self, store, source, make):
        self._store, self._source, self._encoder = store, source, make()

    def __call__(self, task):
        """task: {"number": of a shard, "names": str [n] of its pictures, None where there are none}. Returns {"number",
        "process": which wrote it, "seconds": of a core that it took, "fault": a UserError's sentence, or ""}; a shard
        that is there already stays."""
        number, names = task["number"], task["names"]
        began, fault = time.process_time(), ""
        try:
            if not self._store.path(number).exists():
                self._write(number, names)
        except UserError as error:
            fault = str(error)
        return {"number": number, "process": os.getpid(), "seconds": time.process_time() - began, "fault": fault}

    def _write(self, number, names):
        codes, kept, skipped = [np.empty((0, len(self._store.head.codebooks)), np.uint8)], [], []
        for batch, found, faults in self._source.batches(self._store.rows(number), names):
            skipped += faults
            if len(batch):
                codes.append(self._encoder.codes(batch))
                kept.append(found)
        names = names if names is None else np.concatenate([np.empty(0, str), *kept])
        self._store.write(number, np.concatenate(codes), names, skipped)


def tasks(store, names):
    """What is missing of a store, a task each as `Worker` takes it; names: str [N] of all pictures, or None."""
    for number in store.missing():
        rows = store.rows(number)
        yield {"number": number, "names": None if names is None else names[rows.start:rows.stop].tolist()}


def here(store, source, make, names):
    """Make what is missing in this process. Yields what `Worker` tells of each shard; arguments as of `on_ray`."""
    yield from map(Worker(store, source, make), tasks(store, names))


def on_ray(store, source, make, names, address):
    """Make what is missing on a Ray cluster, a worker a core, each with an encoder that `make` gives. Yields what
    `Worker` tells of each shard, in the order in which they are done.

    Ray Data starts a worker anew that died, and gives its shard to a worker again.
    """
    ray, missing = rays.connected(address), list(tasks(store, names))
    if not missing:
        return
    from ray import data
    data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    told = data.from_items(missing, override_num_blocks=len(missing)).map(
        Worker, fn_constructor_args=(store, source._replace(threads=1), make), num_cpus=1,
        concurrency=min(len(missing), rays.cores(ray)), runtime_env={"env_vars": ONE_THREAD})
    yield from told.iter_rows()
