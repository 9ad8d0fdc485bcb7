"""A database of a user's own pictures or vectors, as `python encode.py` makes it, and what it is of."""
from pathlib import Path

import numpy as np

from utils.cluster import searching
from utils.data import embeddings, lazy, pictures
from utils.data.data import Data, Source
from utils.errors import UserError
from utils.retrieval.encoder import made_of
from utils.training import folder


def asked_for(config):
    """What the user asks for: a picture, uint8 [H, W, 3], or with a network on vectors a vector, float [D]."""
    if config.backbone != "embeddings":
        return pictures.read(config.image, config.image_size)
    vectors = embeddings.read_vectors(config.image)
    if len(vectors) != 1:
        raise UserError(f"{config.image} holds {len(vectors)} vectors; give one to search for, [1, D]")
    return vectors[0]


def opened(config):
    """(database, find, checkpoint, settings): `config.database` and its search as of `searching.opened`, and the
    checkpoint with its settings as of `folder.chosen`. Raises UserError as these do, and where the database was made
    with something else or of no pictures of one's own."""
    database, find = searching.opened(config.database, config.ray)
    checkpoint, config = folder.chosen(config)
    for key, value in made_of(config, checkpoint).items():
        if database.made_of.get(key) != value:
            this = checkpoint if key == "checkpoint" else f"{key}={value}"
            raise UserError(f"{config.database} was not made with {this}; make it again with python encode.py, or set "
                            "that as it was")
    if "images" not in database.made_of:
        raise UserError(f"{config.database} is of a data set and not of pictures of your own; leave --database out, or "
                        "give a file that python encode.py wrote")
    return database, find, checkpoint, config


def shown(database, places, config):
    """The pictures at `places`, int [n], of a database: a list of uint8 [size, size, 3], None for a vector and where
    one is no longer there. Raises UserError where a file is no picture."""
    source = Path(database.made_of["images"])
    if config.backbone == "embeddings":
        return [None] * len(places)
    if database.names is None:
        array = pictures.read_array(source, config.image_size) if source.exists() else ()
        return [array[i] if i < len(array) else None for i in places]
    files = [source / str(database.names[i]) for i in places]
    return [pictures.read(file, config.image_size) if file.exists() else None for file in files]


def data(database, config):
    """The `Data` of what a database is of, all of it gallery: there are no queries, and nobody knows a class. Raises
    UserError where an array is gone, or has no longer as many pictures or vectors."""
    source, n = Path(database.made_of["images"]), len(database.codes)
    if database.names is not None:
        images = lazy.Pictures(lazy.Below(source, database.names), config.image_size, pictures.cropped)
    else:
        images = (embeddings.read_vectors(source) if config.backbone == "embeddings"
                  else pictures.read_array(source, config.image_size))
        if len(images) != n:
            raise UserError(f"{config.database} is of {n} pictures or vectors, and {source} has {len(images)} now; "
                            "make the database again with python encode.py")
    nobody = np.empty(0, np.int32)
    return Data(images, np.empty((n, 0), bool), query=nobody, labelled=nobody, unlabelled=nobody,
                gallery=np.arange(n, dtype=np.int32), validation=nobody, class_names=(), source=Source(source.name),
                names=database.names, folder=source)
