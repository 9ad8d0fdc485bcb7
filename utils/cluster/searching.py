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
    """Some shards in memory. head: a Database with their codebooks; firsts: int64 [S], where each shard begins in the
    gallery; read: a list of S functions () -> uint8 [n, M], its codes."""

    def __init__(self, head, firsts, read):
        self._parts = [parts.Part(codes(), first, head.codebooks, head.distance, head.added)
                       for first, codes in zip(firsts, read, strict=True)]

    def nearest(self, tables, n):
        """(D, I) as `Part.nearest`, of all pictures that this one holds."""
        return parts.merged([part.nearest(tables, n) for part in self._parts], n)

    def groups(self, left_out, tables, places):
        """A list over the queries of what `Part.groups` gives, of all pictures that this one holds; places: a list of
        the relevant ones."""
        return [parts.together([part.groups(left_out, *query) for part in self._parts])
                for query in zip(tables, places, strict=True)]


class Here:
    """All shards of a gallery, held in this process; arguments as of `Holder`."""

    def __init__(self, head, firsts, read):
        self._holder = Holder(head, firsts, read)

    def ask(self, name, *arguments):
        """A list of what the method `name` of every Holder answers."""
        return [getattr(self._holder, name)(*arguments)]


class Actors:
    """The same, held by actors of the Ray cluster at `address`, one a core. One that died is started anew and reads its
    shards again."""

    def __init__(self, head, firsts, read, address):
        self._ray = rays.connected(address)
        most = min(len(read), rays.cores(self._ray))
        kind = self._ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(Holder)
        self.holders = [kind.remote(head, firsts[numbers], [read[number] for number in numbers])
                        for numbers in np.array_split(range(len(read)), most)]

    def ask(self, name, *arguments):
        """As of `Here`."""
        shared = [self._ray.put(argument) for argument in arguments]
        return self._ray.get([getattr(holder, name).remote(*shared) for holder in self.holders])


class Shards:
    """A gallery of N pictures in a folder, held by actors of the Ray cluster at `address`, or by this process where
    that is "". What is found depends neither on that nor on how the gallery is cut.

    codes and names: what stands for uint8 [N, M] and str [N], a `shards.Column` each, or names None. codebooks,
    distance, added, made_of: as of a Database. Raises UserError where a shard is missing, cannot be read, or was made
    by something else, and as `rays.connected`.
    """

    def __init__(self, folder, address=""):
        store = Store.opened(folder)
        missing = store.missing()
        if missing:
            raise UserError(f"{folder} lacks {len(missing)} of {len(store)} shards, {store.path(missing[0]).name} for "
                            "one; run the same python encode.py again, it goes on")
        counts, named, _ = zip(*map(store.about, range(len(store))), strict=True)
        firsts = np.concatenate([[0], np.cumsum(counts)])
        self.codes = Column(store.codes, firsts)
        self.names = Column(store.names, firsts) if named[0] else None
        self.codebooks, self.made_of = store.head.codebooks, store.head.made_of
        self.distance, self.added = store.head.distance, store.head.added
        parts_of = store.head, firsts[:-1], [partial(store.codes, number) for number in range(len(store))]
        self.held = Actors(*parts_of, address) if address else Here(*parts_of)

    def search(self, queries, n):
        """The n nearest pictures of each query, nearest first, equal distances in gallery order.

        queries: float32 [Q, D]. Returns D float32 [Q, n], the distances, and I int64 [Q, n], the places in the gallery;
        a gallery smaller than n is returned whole. Raises as `parts.table`.
        """
        return parts.merged(self.held.ask("nearest", _tables(self, queries), n), n)


def average_precision(database, queries, relevance, n_DB, without_hits="zero", rows=None):
    """AP of each query, float64 [Q], over a Database or Shards: of the same codes to the last bit the same.

    rows: int64 [G], the places in the database of the pictures that count, or None for all, 0 to N - 1. relevance: of Q
    queries and these G pictures, as of utils.data.relevance. n_DB, without_hits: as of `metrics.average_precision`.
    Raises ValueError where the relevance is of other numbers, and as `parts.table`.
    """
    every = np.arange(len(database.codes))
    rows = every if rows is None else rows
    if relevance.shape != (len(queries), len(rows)):
        raise ValueError(f"relevance is {relevance.shape}, not {(len(queries), len(rows))}")
    held = database.held if isinstance(database, Shards) else Here(database, [0], [lambda: database.codes])
    tables, left_out = _tables(database, queries), np.setdiff1d(every, rows)
    places = [rows[relevance.places(q)] for q in range(len(queries))]
    step = max(1, search.BLOCK // len(rows))  # queries at once, each of which has up to G distances
    return np.concatenate([
        parts.average_precision(held.ask("groups", left_out, tables[first:first + step], places[first:first + step]),
                                len(rows), n_DB, without_hits)
        for first in range(0, max(1, len(queries)), step)])


def _tables(database, queries):
    return parts.table(queries, database.codebooks, database.distance, database.added)


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
