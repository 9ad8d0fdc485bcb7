"""Codes in a folder, made and searched in this process, or on a cluster by Ray (docs.ray.io).

    database.npz    a Database without pictures: codebooks, distance, what made the codes
    *.parquet       a row a picture: its place, its name in a folder, its packed code, or the fault why it has none

A file that is cut or damaged counts for nothing, and the same command makes the rows that are lacking.
"""
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gpq.config import METHODS
from gpq.model.tf1 import tf
from gpq.utils import files
from gpq.utils.checkpoints import machine
from gpq.utils.data import lazy, pictures, sets
from gpq.utils.errors import UserError
from gpq.utils.reading import arrays, documents, tables
from gpq.utils.retrieval.database import Database, pack, unpack, word_bits
from gpq.utils.retrieval.encoder import Encoder, made_by, made_of
from gpq.utils.retrieval.search import search

HEAD, FEWEST, MOST = "database.npz", 256, 65536  # a file has a hundredth of the pictures, but no fewer and no more
CODE = str(Path(__file__).resolve().parents[2])  # where workers find `utils`; each has one core
ENV = {"PYTHONPATH": CODE, "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def rows(folder):
    """(The head of a folder, a Database without pictures; the rows of its files, a pyarrow Table, each once, in order).
    Files that cannot be read are named on stderr. Raises UserError where there is no head."""
    import pyarrow as pa
    head = Database.load(Path(folder) / HEAD)
    code = pa.binary(-(-len(head.codebooks) * word_bits(head.codebooks) // 8))
    empty = pa.schema({"place": pa.int64(), "name": pa.string(), "code": code, "fault": pa.string()}).empty_table()
    found = [empty]
    for path in sorted(Path(folder).glob("*.parquet")):
        try:
            with tables.parquet(path, "file of codes", "the same python encode.py makes its rows again") as file:
                table, about = file.read(), file.metadata.metadata or {}
                if b"skipped" in about:  # as this project wrote them before rows had places
                    skipped = pa.table({"fault": documents.parse(about[b"skipped"], list[str])})
                    table = pa.concat_tables([empty, table, skipped], promote_options="default")
                    first = int(path.name.split("-")[1]) * head.made_of["shard"]
                    table = table.set_column(0, "place", pa.array(np.arange(first, first + len(table))))
                found.append(table.select(empty.column_names).cast(empty.schema))
        except UserError as error:
            pictures.tell(str(error))
    table = pa.concat_tables(found)
    return head, table.take(np.unique(table["place"], return_index=True)[1])


def load(folder):
    """(The Database of a folder, sentences on pictures that are left out). Raises UserError where a row is lacking."""
    head, table = rows(folder)
    count, books = head.made_of.get("count", 0), head.codebooks
    if len(table) != count or not np.array_equal(table["place"], np.arange(len(table))):
        raise UserError(f"{folder} has {len(table)} of {count} codes; run the same python encode.py again, it goes on")
    faults, table = table["fault"].drop_null().to_pylist(), table.filter(table["code"].is_valid())
    packed = np.frombuffer(b"".join(table["code"].to_pylist()), np.uint8)
    codes = unpack(packed.reshape(len(table), table["code"].type.byte_width), len(books), word_bits(books))
    names = np.array(table["name"].to_pylist(), str) if "names" in head.made_of else None
    return replace(head, codes=codes, names=names), faults


class Worker:
    """Encodes parts of the folder or .npy file `source`; like: of `Encoder`; threads: of `lazy.Pictures`."""

    def __init__(self, source, config, checkpoint, like, threads=None):
        self._source, self._config, self._threads = source, config, threads
        with tf.Graph().as_default():
            self.encoder = Encoder(config, machine.session(config), checkpoint, like)

    def __call__(self, part):
        """{column: values} of the rows of a part: (places int64 [n], names str [n], None each of an array)."""
        places, names = part
        if names[0] is None:
            images = arrays.one(self._source, "uint8 [N, ?, ?, ?] or float [N, D]", "array to encode")
            codes, faults = self.encoder.codes(images, rows=places), {}
        else:
            images = lazy.Pictures(lazy.Below(self._source, names), self._config.image_size,
                                   sets.SETS[self._config.dataset].prepare, True, self._threads)
            codes, faults = self.encoder.codes(images), images.faults
        packed = map(bytes, pack(codes, word_bits(self.encoder.codebooks())))
        return {"place": places, "name": names, "fault": [faults.get(row) for row in range(len(codes))],
                "code": [None if row in faults else code for row, code in enumerate(packed)]}


def encode(images, names, config, checkpoint, out, address=""):
    """Encode what the folder `out` lacks of `config.images`, here, or on the Ray cluster at `address`.

    Args:
        images, names: as of `lazy.read_all`, or vectors and None; checkpoint, config: as of `runs.chosen`.
    Returns: how many were lacking.
    Raises: UserError where another process writes there, and where the folder was begun with something else.
    """
    import pyarrow as pa
    from pyarrow import parquet
    source, folder, count = Path(config.images).resolve(), Path(out).resolve(), len(images)
    plain = METHODS[config.method].model_validate(config.model_dump(include=set(METHODS[config.method].model_fields)))
    given = source, plain, str(Path(checkpoint).resolve()), images[:0]
    made, worker = {**made_of(config, checkpoint), "images": str(source), "count": count}, Worker(*given)
    if names is not None:
        with files.sound(source, "folder of names in UTF-8", "rename that file, or set --out to a file"):
            made["names"] = hashlib.sha256("\n".join(names).encode()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with files.held(folder / ".lock", f"another process is writing {folder}; wait for it, or give another folder"):
        if not any(folder.glob("*.parquet")) and not (folder / HEAD).exists():
            no_codes = np.empty((0, len(worker.encoder.codebooks())), np.uint8)
            head = worker.encoder.database(no_codes, made_of=made | made_by(config, checkpoint, folder))
            head.save(folder / HEAD)
        head, table = rows(folder)
        for name, now in made.items():
            if head.made_of.get(name) != now:
                raise UserError(f"{folder} was begun with {name}={head.made_of.get(name)} and now it is {now}; give "
                                "another folder, or set that as it was")
        lacking, size = np.setdiff1d(np.arange(count), table["place"]), min(MOST, max(FEWEST, count // 100))
        names = np.full(count, None) if names is None else names
        parts = [(part, names[part]) for part in np.split(lacking, range(size, len(lacking), size)) if len(part)]
        done = _by_workers(address, given, parts) if address and parts else map(worker, parts)
        for columns in tqdm(done, "encoding", len(parts), unit="file", disable=None):
            with files.whole(folder / f"codes-{columns['place'][0]}.parquet", over_input=True) as file:
                parquet.write_table(pa.table(columns, table.schema), file, write_page_checksum=True)
    return len(lacking)


def on_ray(address, kind):
    """(The module `ray`, connected to the cluster at `address`; `kind` as a class of actors, started and asked again
    when they die; how many cores there are). Raises UserError where there is no Ray, or no cluster."""
    try:
        import ray
        if not ray.is_initialized():
            ray.init(address, log_to_driver=False, logging_level="error", runtime_env={"env_vars": ENV})
    except (ImportError, ConnectionError, ValueError) as error:
        raise UserError(f"--ray={address} finds no cluster ({files.reason(error)}); pip install ray, start one by ray "
                        "start --head, or leave --ray out") from error
    actors = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(kind)
    return ray, actors, max(1, int(ray.cluster_resources().get("CPU", 1)))


def _by_workers(address, given, parts):
    ray, actors, cores = on_ray(address, Worker)
    pool = ray.util.ActorPool([actors.remote(*given, 1) for _ in parts[:cores]])
    try:
        yield from pool.map_unordered(lambda worker, part: worker.__call__.remote(part), parts)
    except ray.exceptions.RayError as error:
        raise UserError(f"a worker gave up ({str(error).strip().rpartition(chr(10))[2]}); run the same command again, "
                        "it goes on") from error


def finder(database, address=""):
    """`search` in a Database, a function of (queries, n): here, or by actors on the Ray cluster at `address`, each of a
    part of it. What these find is searched once more, so that equal codes are equally far however they are shared out.
    """
    if not address:
        return lambda queries, n: search(database, queries, n)
    ray, actors, cores = on_ray(address, Database)
    kind = database.codebooks, None, {}, None, database.distance, database.added
    places = np.array_split(np.arange(len(database.codes)), min(cores, len(database.codes)))
    parts = [actors.remote(database.codes[part], *kind) for part in places]

    def find(queries, n):
        found = ray.get([part.__ray_call__.remote(lambda held: search(held, queries, n)[1]) for part in parts])
        near = np.unique(np.concatenate([part[rows.ravel()] for part, rows in zip(places, found, strict=True)]))
        distances, rows = search(Database(database.codes[near], *kind), queries, n)
        return distances, near[rows]
    return find
