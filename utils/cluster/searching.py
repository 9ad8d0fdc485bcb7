"""Search in a folder of shards, in this process or by actors of a Ray cluster that hold them."""
from functools import partial
from pathlib import Path

import numpy as np

from utils.cluster import parts, rays
from utils.cluster.shards import Column, Store
from utils.errors import UserError
from utils.retrieval import search
from utils.retrieval.database import Database


class Holder:
    """Some shards of a Store, in memory; numbers: theirs; firsts: int64 [S], where each shard begins in the gallery."""

    def __init__(self, store, numbers, firsts):
        head = store.head
        self._parts = [parts.Part(store.codes(number), firsts[number], head.codebooks, head.distance, head.added)
                       for number in numbers]

    def nearest(self, tables, n):
        """(D, I) as `Part.nearest`, of all pictures that this one holds."""
        return parts.merged([part.nearest(tables, n) for part in self._parts], n)

    def groups(self, tables, places):
        """A list over the queries of what `Part.groups` gives, of all pictures that this one holds; places: a list of
        the relevant ones."""
        return [parts.together([part.groups(*query) for part in self._parts])
                for query in zip(tables, places, strict=True)]


class Here:
    """All shards of a Store, held in this process."""

    def __init__(self, store, firsts):
        self._holder = Holder(store, range(len(store)), firsts)

    def ask(self, name, *arguments):
        """A list of what the method `name` of every Holder answers."""
        return [getattr(self._holder, name)(*arguments)]


class Actors:
    """The same, held by actors of the Ray cluster at `address`, one a core. One that died is started anew and reads its
    shards again."""

    def __init__(self, store, firsts, address):
        self._ray = rays.connected(address)
        most = min(len(store), rays.cores(self._ray))
        kind = self._ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(Holder)
        self.holders = [kind.remote(store, numbers.tolist(), firsts)
                        for numbers in np.array_split(range(len(store)), most)]

    def ask(self, name, *arguments):
        """As of `Here`."""
        shared = [self._ray.put(argument) for argument in arguments]
        return self._ray.get([getattr(holder, name).remote(*shared) for holder in self.holders])


class Shards:
    """A gallery of N pictures in a folder, held by actors of the Ray cluster at `address`, or by this process where
    that is "". What is found depends neither on that nor on how the gallery is cut.

    codes and names: what stands for uint8 [N, M] and str [N], a `shards.Column` each, or names None. codebooks, added,
    made_of: as of a Database. Raises UserError where a shard is missing, cannot be read, or was made by something else,
    and as `rays.connected`.
    """

    def __init__(self, folder, address=""):
        self._store = store = Store.opened(folder)
        missing = store.missing()
        if missing:
            raise UserError(f"{folder} lacks {len(missing)} of {len(store)} shards, {store.path(missing[0]).name} for "
                            "one; run the same python encode.py again, it goes on")
        counts, named, _ = zip(*map(store.about, range(len(store))), strict=True)
        firsts = np.concatenate([[0], np.cumsum(counts)])
        self.codes = Column(store.codes, firsts)
        self.names = Column(store.names, firsts) if named[0] else None
        self.codebooks, self.added, self.made_of = store.head.codebooks, store.head.added, store.head.made_of
        self.held = Actors(store, firsts, address) if address else Here(store, firsts)

    def __len__(self):
        return len(self.codes)

    def search(self, queries, n):
        """The n nearest pictures of each query, nearest first, equal distances in gallery order.

        queries: float32 [Q, D]. Returns D float32 [Q, n], the distances, and I int64 [Q, n], the places in the gallery;
        a gallery smaller than n is returned whole. Raises as `parts.table`.
        """
        return parts.merged(self.held.ask("nearest", self._tables(queries), n), n)

    def average_precision(self, queries, relevance, n_DB):
        """AP of each query, float64 [Q], as `parts.average_precision`; relevance: of Q queries and N pictures, as of
        utils.data.relevance. Raises ValueError where it is of other numbers, and as `parts.table`."""
        if relevance.shape != (len(queries), len(self)):
            raise ValueError(f"relevance is {relevance.shape}, not {(len(queries), len(self))}")
        places = [relevance.places(q) for q in range(len(queries))]
        return parts.average_precision(self.held.ask("groups", self._tables(queries), places), len(self), n_DB)

    def _tables(self, queries):
        head = self._store.head
        return parts.table(queries, head.codebooks, head.distance, head.added)


def opened(path, ray):
    """A user's own database at `path`, and its search(queries, n): a Database, of a file; or Shards, of a folder, held
    by the actors of the Ray cluster `ray`, or by this process where that is empty. Raises UserError where `ray` is
    given for a file, and as what it opens."""
    if Path(path).is_dir():
        shards = Shards(path, ray)
        return shards, shards.search
    if ray:
        raise UserError(f"ray has no effect on the file {path}; set --database to a folder of shards, or leave --ray "
                        "out")
    database = Database.load(path)
    return database, partial(search.search, database)
