"""A database of a user's own pictures or vectors, as `python encode.py` makes it, and what it is of."""
import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gpq.model.tf1 import tf
from gpq.utils import files, settings
from gpq.utils.checkpoints import machine, runs
from gpq.utils.data import embeddings, lazy, pictures, sets
from gpq.utils.data.data import Data, Source
from gpq.utils.errors import UserError
from gpq.utils.retrieval import cluster, evaluation
from gpq.utils.retrieval.database import Database
from gpq.utils.retrieval.encoder import Encoder, made_of, unlike

BLOCK = 1000  # pictures or vectors that are compared at once


def read_query(config):
    """What the user asks for: a picture, uint8 [H, W, 3], or with a network on vectors a vector, float [D]."""
    if config.backbone != "embeddings":
        return pictures.read(config.image, config.image_size, sets.SETS[config.dataset].prepare)
    vectors = embeddings.read_vectors(config.image)
    if len(vectors) != 1:
        raise UserError(f"{config.image} holds {len(vectors)} vectors; give one to search for, [1, D]")
    return vectors[0]


def open_database(config):
    """(The Database of the file or folder `config.database`, and the checkpoint with its settings as of `runs.chosen`).
    Raises UserError as these do, and where the database was made with something else."""
    folder = Path(config.database).is_dir()
    database = cluster.load(config.database)[0] if folder else Database.load(config.database)
    if not database.made_of:
        raise UserError(f"{config.database} does not say what made its codes; read them from the faiss index with "
                        "--like=DATABASE, or make them with python encode.py")
    checkpoint, config = runs.chosen(_knowing(config, database.made_of))
    if config.image or config.serve:
        config = sets.for_own_pictures(config)
    for name, value in unlike(database.made_of, made_of(config, checkpoint)):
        this = checkpoint if name == "checkpoint" else f"{name}={value}"
        raise UserError(f"{config.database} was not made with {this}; make it again with python encode.py, or set that "
                        "as it was")
    return database, checkpoint, config


def _knowing(config, made):
    """`config` with what its database says of the checkpoint that made it, where nothing else was given.

    Args:
        made: what the database was made of; one of an older program says less.
    """
    given = {name: getattr(config, name) for name in config.model_fields_set}
    kind = settings.of_method(type(config), made.get("method", config.method))
    if "model" not in made or given.get("method", made["method"]) != made["method"] or given.keys() - kind.model_fields:
        return config
    folder = Path(config.database) if Path(config.database).is_dir() else Path(config.database).parent
    known = {**made, "model_load_path": os.path.normpath(folder / made["model"])}
    if made["dataset"] == "folder":
        known["data_dir"] = made["images"]
    with files.sound(config.database, "retrieval database", "make one with python encode.py"):
        return kind(**{**{name: value for name, value in known.items() if name in kind.model_fields}, **given})


class Score(NamedTuple):
    """What the queries of a data set find in a database."""

    checkpoint: str
    means: dict[str, float]  # "mAP", and where codewords are added "symmetric_mAP", of the queries as codes too
    queries: int
    gallery: int  # pictures that are searched
    left_out: int  # other pictures of the database, such as the queries themselves


def evaluate_map(config):
    """The Score of the queries of `config`'s data set over `config.database`. Raises UserError as `open_database`,
    `gallery_rows`, and the data set's reader."""
    database, checkpoint, config = open_database(config)
    data = sets.load(config)
    runs.check_source(checkpoint, data.source)
    config = sets.completed(config, data)
    rows = gallery_rows(database, data, config, checkpoint)
    asked = evaluation.question(data, config)
    with tf.Graph().as_default(), machine.session(config) as session:
        queries, codes = Encoder(config, session, checkpoint, like=data.images)(data.images, "encoding the queries",
                                                                                asked.queries)

    gallery = replace(database, codes=database.codes[rows], labels=None, names=None)
    means = evaluation.means(gallery, queries, codes, asked, config)
    return Score(checkpoint, means, len(queries), len(rows), len(database.codes) - len(rows))


def gallery_rows(database, data, config, checkpoint):
    """Where in a database the gallery of `data` lies: int64 [G], the place of each of its pictures or vectors.

    They are known by their names where the database has names, which are files in the folder of `data`; by their place
    where it is of an array, which must hold the gallery or all of `data`, in order; and in Demo.py's own database of
    `data` by lying there in order. Raises UserError where the database is of something else, or lacks one of them.
    """
    if "images" not in database.made_of:
        if unlike(database.made_of, made_of(config, checkpoint, data)):
            raise UserError(f"{config.database} is of another data set, or another split of it, than {data.source}; "
                            "set the data as they were")
        return np.arange(len(data.gallery))
    other = (f"{config.database} is not of the gallery of {data.source.name}, whose queries mAP is measured by; set "
             f"the data set of {database.made_of['images']}, or add --image=FILE to search, or --serve")
    if database.names is None:
        array = _array(database, config)
        for rows in (np.arange(len(data.images)), data.gallery):
            if _equal(array, data.images, rows):
                return np.searchsorted(rows, data.gallery)
        raise UserError(other)
    if data.folder is None or data.folder.resolve() != Path(database.made_of["images"]):
        raise UserError(other)
    place = {name: row for row, name in enumerate(database.names)}
    names = data.names[data.gallery]
    lacking = [name for name in names if name not in place]
    if lacking:
        raise UserError(f"{config.database} lacks {len(lacking)} of the {len(names)} pictures of the gallery, "
                        f"{lacking[0]} for one; make it again with python encode.py")
    return np.array([place[name] for name in names])


def _equal(array, images, rows):
    """Whether `array` [n, ...] holds what `images` has at `rows`, int [n]."""
    return array.shape == (len(rows), *images.shape[1:]) and all(
        np.array_equal(array[first:first + BLOCK], images[rows[first:first + BLOCK]])
        for first in range(0, len(rows), BLOCK))


def _source(database, config):
    """The path of a user's own pictures that a database is of. Raises UserError where it is of a data set."""
    if "images" not in database.made_of:
        raise UserError(f"{config.database} is of a data set and not of pictures of your own; leave --database out, or "
                        "give a file that python encode.py wrote")
    return Path(database.made_of["images"])


def _array(database, config):
    """The array that a database is of. Raises UserError where it is gone, or has no longer as many rows."""
    source, n = _source(database, config), len(database.codes)
    array = (embeddings.read_vectors(source) if config.backbone == "embeddings"
             else pictures.read_array(source, config.image_size))
    if len(array) != n:
        raise UserError(f"{config.database} is of {n} pictures or vectors, and {source} has {len(array)} now; make the "
                        "database again with python encode.py")
    return array


def load_images(database, places, config):
    """The pictures at `places`, int [n], of a database: a list of uint8 [size, size, 3], None for a vector and where
    one is no longer there. Raises UserError where a file is no picture, and where it is a data set's."""
    source = _source(database, config)
    if config.backbone == "embeddings":
        return [None] * len(places)
    if database.names is None:
        array = pictures.read_array(source, config.image_size) if source.exists() else ()
        return [array[i] if i < len(array) else None for i in places]
    files = [source / str(database.names[i]) for i in places]
    return [pictures.read(file, config.image_size) if file.exists() else None for file in files]


def as_dataset(database, config):
    """The `Data` of what a database is of, all of it gallery: there are no queries, and nobody knows a class. Raises
    UserError where it is of a data set, and where an array is gone, or has no longer as many pictures or vectors."""
    source, n = _source(database, config), len(database.codes)
    images = (_array(database, config) if database.names is None else
              lazy.Pictures(lazy.Below(source, database.names), config.image_size,
                            sets.SETS[config.dataset].prepare))
    nobody = np.empty(0, np.int32)
    return Data(images, np.empty((n, 0), bool), query=nobody, labelled=nobody, unlabelled=nobody,
                gallery=np.arange(n, dtype=np.int32), validation=nobody, class_names=(), source=Source(source.name),
                names=database.names, folder=source)
