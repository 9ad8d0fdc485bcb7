"""A gallery in a folder: Parquet files of codes and names, the shards, and what made them.

    database.npz                      a Database without pictures: codebooks, distance, what made the codes
    codes-00007-of-00100.parquet      `code`, the bytes of retrieval.database.pack, and `name`, where there are names

Each Parquet file also says what made it, in its metadata, as JSON under `made_of`, and under `skipped` which pictures
could not be read. Its rows follow the order of the pictures, and shards that of their numbers.
"""
import functools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils import files
from utils.errors import UserError
from utils.reading import documents, tables
from utils.retrieval.database import Database, pack, unpack

HEAD = "database.npz"
SMALLEST, LARGEST, MOST = 256, 65536, 10 ** 6  # pictures in a shard; shards


def size_for(count):
    """Pictures in a shard, of `count` pictures: a hundredth, within SMALLEST and LARGEST, so that many workers have
    something to do, and one that is lost loses little."""
    return min(LARGEST, max(SMALLEST, -(-count // 100)))


class Store(NamedTuple):
    """The folder `folder` of shards of a gallery. head: a Database without pictures, whose made_of says in `count` how
    many pictures were to be encoded and in `shard` how many at most lie in a shard."""

    folder: Path
    head: Database

    @classmethod
    def begun(cls, folder, head):
        """The Store at `folder` with this head, which is written where there is none. Raises UserError where the folder
        holds shards that something else made, or the disk refuses."""
        folder = Path(folder)
        files.check_target(folder)
        if not (folder / HEAD).exists():
            head.save(folder / HEAD)
        store = cls.opened(folder)
        for name, now in head.made_of.items():
            before = store.head.made_of.get(name)
            if before != now:
                raise UserError(f"{folder} was begun with {name}={before} and now it is {now}; give another folder, or "
                                "set that as it was")
        return store

    @classmethod
    def opened(cls, folder):
        """The Store at `folder`, whole or not. Raises UserError where there is none, or its head is damaged."""
        path = Path(folder) / HEAD
        if not path.exists():
            raise UserError(f"{folder} holds no shards of codes; make them with python encode.py --out={folder}/")
        store = cls(Path(folder), Database.load(path))
        if not {"count", "shard"} <= store.head.made_of.keys() or len(store) > MOST:
            raise UserError(f"{path} does not say how many pictures lie in how many shards, {MOST:,} at most; make the "
                            "shards again with python encode.py")
        return store

    def __len__(self):
        """How many shards there are when all are written."""
        made = self.head.made_of
        return -(-made["count"] // made["shard"])

    def path(self, number):
        return self.folder / f"codes-{number:05}-of-{len(self):05}.parquet"

    def missing(self):
        """The numbers of the shards that are not yet written."""
        return [number for number in range(len(self)) if not self.path(number).exists()]

    def rows(self, number):
        """Which of the pictures belong in that shard, a range."""
        made = self.head.made_of
        first = number * made["shard"]
        return range(first, min(first + made["shard"], made["count"]))

    def write(self, number, codes, names=None, skipped=()):
        """Write a shard, whole or not at all. codes: uint8 [n, M]; names: str [n] or None; skipped: a list of which
        pictures could not be read and why, one sentence each. Raises UserError where the disk refuses."""
        import pyarrow as pa
        from pyarrow import parquet
        packed = pack(codes, (self.head.codebooks.shape[1] - 1).bit_length())
        code = pa.FixedSizeBinaryArray.from_buffers(pa.binary(packed.shape[1]), len(packed),
                                                    [None, pa.py_buffer(packed)])
        columns = {"code": code} if names is None else {"code": code, "name": pa.array(names, pa.string())}
        table = pa.table(columns).replace_schema_metadata(
            {"made_of": json.dumps(self.head.made_of), "skipped": json.dumps(list(skipped))})
        with files.whole(self.path(number)) as file:
            parquet.write_table(table, file, write_page_checksum=True)

    def codes(self, number):
        """The codes of a shard, uint8 [n, M]. Raises UserError as `_opened`."""
        n_book, n_words, _ = self.head.codebooks.shape
        bits = (n_words - 1).bit_length()
        width = -(-n_book * bits // 8)
        with self._opened(number) as file:
            column = _column(file, "code")
            if column.type.byte_width != width:
                raise ValueError(f"its codes are {column.type}, and {HEAD} is of {width} bytes")
            packed = np.frombuffer(column.buffers()[1], np.uint8)[column.offset * width:][:len(column) * width]
        return unpack(packed.reshape(len(column), width), n_book, bits)

    def names(self, number):
        """The names of the pictures of a shard, str [n]. Raises UserError as `_opened`."""
        with self._opened(number) as file:
            return np.array(_column(file, "name").to_pylist(), str)

    def about(self, number):
        """(how many pictures a shard holds, whether it has their names, the sentences on those that could not be read).
        Raises UserError as `_opened`, and where something else made it."""
        with self._opened(number) as file:
            kept, names = file.metadata.metadata, file.schema_arrow.names
            made_of = documents.parse(kept[b"made_of"], dict)
            skipped = documents.parse(kept[b"skipped"], list[str])
            rows = file.metadata.num_rows
            if names not in (["code"], ["code", "name"]) or rows + len(skipped) != len(self.rows(number)):
                raise ValueError(f"it holds {rows} rows of {' and '.join(names)}")
        if made_of != self.head.made_of:
            raise UserError(f"{self.path(number)} was not made with what {self.folder / HEAD} says; remove it and make "
                            "it again with python encode.py")
        return rows, len(names) > 1, skipped

    def _opened(self, number):
        """A shard, as of `tables.parquet`. Raises UserError where it cannot be read."""
        return tables.parquet(self.path(number), "shard of codes", "remove it and make it again with python encode.py")


def _column(file, name):
    """A column of an open Parquet file, a pyarrow Array, which has a value in each row. Raises ValueError."""
    column = file.read([name]).column(name).combine_chunks()
    if len(column) != file.metadata.num_rows or column.null_count:
        raise ValueError(f"a {name} is lost")
    return column


class Column:
    """Stands in for an array of N rows, what a Store keeps of each picture: `column[place]`, or of places int [n],
    reads it as it is asked for.

    read: (number of a shard) -> an array, a row a picture of it. firsts: int64 [S + 1], the place of each shard's first
    picture, and N.
    """

    def __init__(self, read, firsts):
        self._firsts = firsts
        self._shard = functools.lru_cache(maxsize=16)(read)

    def __len__(self):
        return int(self._firsts[-1])

    def __getitem__(self, place):
        if np.ndim(place):
            return np.stack([self[each] for each in place])
        number = int(np.searchsorted(self._firsts, place, "right")) - 1
        return self._shard(number)[place - self._firsts[number]]
