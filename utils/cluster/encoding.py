"""Encode pictures or vectors into a folder of shards, here or on a cluster. All machines must see the pictures, the
checkpoint and the folder under the same paths."""
import hashlib
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

import config as all_settings
from model.tf1 import tf
from utils import files
from utils.checkpoints import machine
from utils.cluster.shards import Store, size_for
from utils.cluster.work import Source, here, on_ray
from utils.data import embeddings, pictures, sets
from utils.errors import UserError
from utils.retrieval.encoder import Encoder, made_of


class Recipe(NamedTuple):
    """How codes are made. settings: JSON-able, those of a method; checkpoint: its path."""

    source: Source
    settings: dict
    checkpoint: str

    @classmethod
    def of(cls, config, checkpoint):
        """The Recipe for `config.images`. checkpoint: a path, and settings as `runs.chosen` gives them."""
        kind = all_settings.METHODS[config.method]
        source = Source(Path(config.images).resolve(), 0 if config.backbone == "embeddings" else config.image_size,
                        prepare=sets.SETS[config.dataset].prepare)
        settings = config.model_dump(mode="json", include=set(kind.model_fields))
        return cls(source, settings, str(Path(checkpoint).resolve()))

    def encoder(self):
        """An `Encoder` in a Session of its own. Raises UserError where the checkpoint does not fit."""
        config = all_settings.METHODS[self.settings["method"]].model_validate(self.settings)
        like = None if self.source.side else self.source.array()
        with tf.Graph().as_default():
            return Encoder(config, machine.session(config), self.checkpoint, like=like)


def listed(source):
    """(how many there are of what a Source holds, names str [N] of a folder's pictures, or None). Raises UserError as
    the readers do."""
    if source.path.is_dir() and source.side:
        names = pictures.listed(source.path)[0]
        files.was_read(source.path)
        for name in names:
            if not name.isascii() and name != name.encode(errors="replace").decode():
                raise UserError(f"the name {ascii(name)} in {source.path} is no UTF-8, which Parquet needs; rename the "
                                "file, or set --out to one, a name that does not end in /")
        return len(names), names
    read = pictures.read_array(source.path, source.side) if source.side else embeddings.read_vectors(source.path)
    return len(read), None


def begun(config, checkpoint, encoder, count, names, out):
    """The Store at `out` of the codes that `encoder` gives of `config.images`, begun or gone on with. Names of pictures
    are compared with those that the folder was begun with, contents are not. Raises UserError as `Store.begun`."""
    made = {**made_of(config, checkpoint), "images": str(Path(config.images).resolve()), "count": count,
            "shard": size_for(count)}
    if names is not None:
        made["names"] = hashlib.sha256("\n".join(names).encode()).hexdigest()
    empty = np.empty((0, len(encoder.codebooks())), np.uint8)
    return Store.begun(Path(out).resolve(), encoder.database(empty, made_of=made))


def encode(config, checkpoint, out, address=""):
    """Encode `config.images` into the folder `out`, on the Ray cluster at `address`, here where that is "".

    Pictures that cannot be read are left out, named and counted on stderr. Returns (the Store, how many pictures it
    holds, how many were encoded now). Raises UserError as `begun`, the readers and the checkpoint do, where another
    process writes the folder, and where no picture can be read.
    """
    recipe = Recipe.of(config, checkpoint)
    count, names = listed(recipe.source)
    encoder = recipe.encoder()
    store = begun(config, checkpoint, encoder, count, names, out)
    with files.held(store.folder / ".lock", f"another process is writing {out}; wait for it, or choose another folder"):
        now = _make(store, (on_ray(store, recipe.source, recipe.encoder, names, address) if address
                            else here(store, recipe.source, lambda: encoder, names)))
        files.tidy(store.folder)
    held, _, faults = zip(*map(store.about, range(len(store))), strict=True)
    faults = sum(faults, [])
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        print(f"{config.images}: {len(faults)} of {count} pictures are left out", file=sys.stderr)
    if len(faults) == count:
        raise UserError(f"none of the {count} pictures of {config.images} can be read; give another folder")
    return store, sum(held), now


def _make(store, told):
    """Let the missing shards be made, with a progress bar; told: what `here` or `on_ray` yields. Returns how many
    pictures they were. Raises a worker's UserError."""
    sizes = [len(store.rows(number)) for number in store.missing()]
    if len(sizes) < len(store):
        print(f"{store.folder}: goes on, {len(store) - len(sizes)} of {len(store)} shards are there")
    total = store.head.made_of["count"]
    with tqdm(total=total, initial=total - sum(sizes), desc="encoding", unit="image", disable=None) as bar:
        for done in told:
            if done["fault"]:
                raise UserError(done["fault"])
            bar.update(len(store.rows(done["number"])))
    return sum(sizes)
