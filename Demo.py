"""Restore a checkpoint, search CIFAR-10 by compact codes, print mAP and save a ranked list.

    python Demo.py
    python Demo.py --query=307
    python Demo.py --image=cat.png
    python Demo.py --database=codes.npz --image=cat.png     # among your own pictures (python -m utils.encode)

The retrieval database is kept in model_save_path and used again while checkpoint, data and settings are the same.
"""
import hashlib
import time
from pathlib import Path

import numpy as np

from config import Config
from model.tf1 import tf
from utils import errors, figures
from utils.data import cifar10, pictures
from utils.data.relevance import relevance
from utils.retrieval import metrics, search
from utils.retrieval.database import Database, load, save
from utils.retrieval.encoder import Encoder, made_of
from utils.session import machine
from utils.settings import from_command_line

SHOWN = 15


class Options(Config):
    """GPQ's settings, and what to search for."""

    query: int = 0
    """Number of the query whose ranked list is drawn, from 0."""

    image: str = ""
    """A picture of your own to search for in place of a query."""

    database: str = ""
    """A database of your own pictures to search in, made by `python -m utils.encode`; needs --image."""


class Stages:
    """Seconds that each named stage took."""

    def __init__(self):
        self._began = time.perf_counter()
        self.seconds = {}

    def done(self, name):
        now = time.perf_counter()
        self.seconds[name], self._began = now - self._began, now

    def __str__(self):
        return ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.seconds.items())


def gallery_database(encoder, data, config):
    """The database of the gallery, from its file while that is good for this checkpoint, data and settings."""
    path = Path(config.model_save_path) / f"{Path(config.checkpoint).name}.database.npz"
    images = data.images[data.gallery]
    made = {**made_of(config), "protocol": config.protocol,
               "images": hashlib.sha256(images.tobytes()).hexdigest()}
    if path.exists():
        kept = load(path)
        if kept.made_of == made:
            print(f"Retrieval database from {path}")
            return kept
    _, codes = encoder(images, "encoding the gallery")
    database = Database(codes, encoder.codebooks(), data.labels[data.gallery], made)
    try:
        save(path, database)
    except errors.UserError as error:
        print(f"The retrieval database is not kept: {error}")
    return database


def evaluate(config):
    """Print mAP over CIFAR-10's queries and draw one query's ranked list, or that of the user's picture."""
    stages = Stages()
    data = cifar10.load(config.data_dir, config.protocol, config.known_classes)
    if not 0 <= config.query < len(data.query):
        raise errors.UserError(f"query is {config.query}, but the queries are 0 to {len(data.query) - 1}"
                               + (" in the sample" if data.sample else "") + "; choose one of them")
    picture = pictures.read(config.image, config.image_size) if config.image else data.images[data.query[config.query]]
    relevant = relevance(config.cifar10_label_sim_path, data)
    stages.done("data")
    with tf.Graph().as_default(), machine.session(config) as session:
        encoder = Encoder(config, session, config.checkpoint)
        stages.done("restore")
        database = gallery_database(encoder, data, config)
        stages.done("database")
        queries, _ = encoder(data.images[data.query], "encoding the queries")
        (shown,), _ = encoder(picture[np.newaxis])
        stages.done("queries")
    if relevant is None:
        relevant = data.labels[data.query]
    mean = metrics.mean_average_precision(database, queries, relevant, config.n_DB)
    stages.done("search")
    print(f"{config.checkpoint} mAP: {mean:.4f}")

    distances, places = search.search(database, shown[np.newaxis], SHOWN)
    titles = [f"{data.class_names[database.labels[i]]}\n{d:.3f}" for d, i in zip(distances[0], places[0], strict=True)]
    label = None if config.image else data.labels[data.query[config.query]]
    right = [None if label is None else database.labels[i] == label for i in places[0]]
    name = Path(config.image).stem if config.image else config.query
    title = Path(config.image).name if config.image else f"query {name}\n{data.class_names[label]}"
    figure = f"retrieval_result_{name}.png"
    figures.ranked_list(figure, picture, title, list(data.images[data.gallery[places[0]]]), titles, right)
    stages.done("figure")
    n_distinct = len(search.distinct(database.codes).counts)
    print(f"{len(data.query)} queries, {len(database.codes)} gallery images, {n_distinct} distinct codes of "
          f"{config.n_bits} bits; ranked list: {figure}")
    print(f"seconds: {stages}")


def search_own(config):
    """Draw the ranked list of the user's picture among the user's pictures."""
    if not config.image:
        raise errors.UserError(f"--database={config.database} needs a picture to search for; add --image=FILE")
    picture = pictures.read(config.image, config.image_size)
    database = load(config.database)
    for key, value in made_of(config).items():
        if database.made_of.get(key) != value:
            this = config.checkpoint if key == "checkpoint" else f"{key}={value}"
            raise errors.UserError(f"{config.database} was not made with {this}; make it again with "
                                   "python -m utils.encode, or set that as it was")
    with tf.Graph().as_default(), machine.session(config) as session:
        (feature,), _ = Encoder(config, session, config.checkpoint)(picture[np.newaxis])
    distances, places = search.search(database, feature[np.newaxis], SHOWN)
    source = Path(database.made_of["images"])
    names = [str(i) if database.names is None else str(database.names[i]) for i in places[0]]
    if database.names is None:
        array = pictures.read_all(source, config.image_size)[0] if source.exists() else ()
        images = [array[i] if i < len(array) else None for i in places[0]]
    else:
        images = [pictures.read(source / name, config.image_size) if (source / name).exists() else None
                  for name in names]
    figure = f"retrieval_result_{Path(config.image).stem}.png"
    figures.ranked_list(figure, picture, Path(config.image).name, images,
                        [f"{name[:16]}\n{d:.3f}" for name, d in zip(names, distances[0], strict=True)],
                        [None] * len(names))
    for name, distance in zip(names, distances[0], strict=True):
        print(f"{distance:.4f} {name}")
    print(f"ranked list: {figure}")


def main():
    config = from_command_line(Options)
    (search_own if config.database else evaluate)(config)


if __name__ == "__main__":
    errors.run(main)
