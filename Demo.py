"""Restore a checkpoint, search the data set by compact codes, print mAP and save a ranked list.

    python Demo.py
    python Demo.py --query=307
    python Demo.py --image=cat.png
    python Demo.py --database=codes.npz --image=cat.png     # among your own pictures (python encode.py)
    python Demo.py --database=codes.npz                     # mAP of the data set's queries over codes of its gallery
    python Demo.py --database=folder_of_codes/ --image=cat.png      # in Parquet (docs/cluster.md)
    python Demo.py --method=classifier                      # a checkpoint of another method
    python Demo.py --embeddings=vectors.npz                 # of codes of vectors
    python Demo.py --method=wsdhq --tag=horse               # for a word, by a method that learns from tags
    python Demo.py --serve                                  # in the browser (pip install -e ".[page]")
    python Demo.py --serve --database=codes.npz             # your own pictures there

It takes model_load_path where that is given, else the newest finished training of these settings in model_save_path,
else the shipped example. The retrieval database is kept in model_save_path and used again while checkpoint, data and
settings are the same.
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.Demo")

import re
import time
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic_settings import CliImplicitFlag

from gpq.model.tf1 import tf
from gpq.utils import errors, figures, settings, user_database
from gpq.utils.base_settings import Own, PathText
from gpq.utils.checkpoints import machine, runs
from gpq.utils.data import pictures, relevance, sets
from gpq.utils.retrieval import by_tag, cluster, evaluation, search
from gpq.utils.retrieval.database import Database
from gpq.utils.retrieval.encoder import Encoder, made_of, unlike

SHOWN = 15


class Options(Own):
    """Search with the settings of config.py."""

    needs = {"query": {"image": "", "tag": "", "database": "", "serve": False}, "tag": {"database": "", "serve": False},
             "image": ("serve", False), "ray": ("database", None), "host": ("serve", True), "port": ("serve", True),
             "token": ("serve", True),
             **dict.fromkeys(("n_DB", "without_hits"), [("database", ""), {"image": "", "serve": False}])}

    query: int = 0
    """Number of the query whose ranked list is drawn, from 0."""

    image: PathText = ""
    """A picture of your own to search for in place of a query; with embeddings a .npy file of one vector, [1, D]."""

    tag: str = ""
    """A tag to search for in place of a query: its vector is compared with the codes. For methods that learn from tags.
    """

    database: PathText = ""
    """A database to search in, made by `python encode.py`, a file or a folder. Without --image or --serve
    the data set's queries search it, which must hold the data set's gallery, and mAP is printed."""

    ray: str = ""
    """Ray cluster that searches the database: "auto" is the one that runs, "local" one on this machine alone."""

    serve: CliImplicitFlag[bool] = False
    """Show the gallery as a page in the browser until Ctrl-C, in place of one ranked list."""

    host: str = "127.0.0.1"
    """With serve, the address to listen at; the default is for this machine alone, 0.0.0.0 for all that reach it."""

    port: Annotated[int, Field(ge=0, lt=2 ** 16)] = 8000
    """With serve, the port to listen at, 0 for any that is free. From 0 to 65535."""

    token: str = ""
    """With serve, a secret that the page asks for, for a host that others reach. Choose a long one."""


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


def beside(config, checkpoint, kind):
    """The file in model_save_path that is kept of what `checkpoint` makes of the gallery: its "database" or "map"."""
    return Path(config.model_save_path) / f"{Path(checkpoint).name}.{kind}.npz"


def gallery_database(encoder, data, checkpoint, config):
    """The database of the gallery, from its file while that is good for this checkpoint, data and settings."""
    path, made = beside(config, checkpoint, "database"), made_of(config, checkpoint, data)
    if path.exists():
        kept = Database.load(path)
        if not unlike(kept.made_of, made):
            print(f"Retrieval database from {path}")
            return kept
    codes = encoder.codes(data.images, "encoding the gallery", data.gallery)
    database = encoder.database(codes, data.labels[data.gallery], made)
    try:
        database.save(path, over_input=True)
    except errors.UserError as error:
        print(f"The retrieval database is not kept: {error}")
    return database


def gallery_page():
    """The module that serves the page, whose libraries nothing else needs. Raises UserError where these are missing."""
    try:
        from gpq.utils.page import server
    except ImportError as error:
        raise errors.UserError(f"--serve needs {error.name}, which is not installed; pip install "
                               "flask waitress") from error
    return server


def print_means(title, means):
    """Print the mAP, and where codewords are added the symmetric_mAP, of `means`, a float each."""
    print(f"{title} mAP: {means['mAP']:.4f}")
    if "symmetric_mAP" in means:
        print(f"with the queries as codes too (SQD): {means['symmetric_mAP']:.4f}")


def evaluate(config):
    """Print mAP over the data set's queries and draw the ranked list of one query, of the user's picture or of a tag;
    with `serve` show them in the browser."""
    if config.tag and config.image:
        raise errors.UserError(f"tag is {config.tag} and image {config.image}; search for one of them")
    stages = Stages()
    if config.serve:
        page = gallery_page()
        listening = page.listen(config.host, config.port)  # before the gallery is encoded, which may take minutes
    checkpoint, config = runs.chosen(config)
    data = by_tag.loaded(config)
    runs.check_source(checkpoint, data.source)
    config = sets.completed(config, data)
    if not len(data.query):
        raise errors.UserError(f"{config.embeddings or config.data_dir} has no labels, so nothing says what is "
                               "alike; search codes of encode.py by --database and --image, or give labels")
    if not 0 <= config.query < len(data.query):
        raise errors.UserError(f"query is {config.query}, but the queries are 0 to {len(data.query) - 1}"
                               + (" in the sample" if data.source.part == "the sample" else "")
                               + "; choose one of them")
    place = data.query[config.query]
    asking = user_database.read_query(config) if config.image else None
    tag = by_tag.number(data, config.tag) if config.tag else None
    asked = evaluation.question(data, config)
    stages.done("data")
    with tf.Graph().as_default(), machine.session(config) as session:
        encoder = Encoder(config, session, checkpoint, like=data.images)
        stages.done("restore")
        database = gallery_database(encoder, data, checkpoint, config)
        stages.done("database")
        queries, query_codes = encoder(data.images, "encoding the queries", asked.queries)
        feature = queries[config.query] if tag is None else by_tag.feature(data, tag)
        if config.image:
            (feature,), _ = encoder(asking[np.newaxis])
        stages.done("queries")
        means = evaluation.means(database, queries, query_codes, asked, config)
        stages.done("search")
        print_means(checkpoint, means)
        if config.serve:
            about = {"method": f"{config.method}, {config.n_bits} bits", "checkpoint": str(checkpoint),
                     "mAP": f"{means['mAP']:.4f}", "data": data.source.name, "seconds": str(stages)}
            gallery = page.Gallery(data, database, encoder, queries, config.image_size, about, by_tag.asking(data),
                                   sets.SETS[config.dataset].prepare)
            return page.serve(gallery, listening, beside(config, checkpoint, "map"), config.seed,
                              config.token)

    distances, places = search.search(database, feature[np.newaxis], SHOWN)
    found = data.gallery[places[0]]
    shown = pictures.of(data, found, config.image_size)
    names = [by_tag.described(data, i) for i in found]
    titles = [f"{name}\n{d:.3f}" if image is not None else f"{i}: {name}\n{d:.3f}"
              for i, image, name, d in zip(found, shown, names, distances[0], strict=True)]
    if config.image:
        figure = draw_own(config, asking, shown, titles)
    elif tag is not None:
        figure = draw_tag(config, data, tag, found, shown, titles)
    else:
        labels, (picture,) = data.labels[place], pictures.of(data, [place], config.image_size)
        title = f"query {config.query}\n{by_tag.described(data, place)}"
        right = relevance.sharing(labels, data.labels[found]).tolist()
        figure = f"retrieval_result_{config.query}.png"
        figures.ranked_list(figure, picture, title, shown, titles, right)
    stages.done("figure")
    print(f"{len(data.query)} queries, {len(database.codes)} gallery images, {len(database.gallery.counts)} distinct "
          f"codes of {config.n_bits} bits; ranked list: {figure}")
    print(f"seconds: {stages}")


def draw_tag(config, data, tag, found, images, titles):
    """Draw the images found, places of `data`, for its tag of that number; right is who has it, unknown who has none.
    Returns the figure's path."""
    name = str(data.tag_names[tag])
    figure = "retrieval_result_" + re.sub(r"[^\w-]+", "_", config.tag) + ".png"
    right = relevance.sharing([tag], data.tags[found]).tolist()
    figures.ranked_list(figure, None, f"tag\n{by_tag.shortened(name)}", images, titles, right)
    print(f"tag {name}: {sum(filter(None, right))} of the {len(found)} nearest images have it, as "
          f"{data.tags[data.gallery, tag].sum()} of {len(data.gallery)} in the gallery")
    return figure


def draw_own(config, asking, images, titles):
    """Draw the images found for what `user_database.read_query` gave. Returns the figure's path."""
    figure = f"retrieval_result_{Path(config.image).stem[:50]}.png"  # a name has an end
    figures.ranked_list(figure, asking if asking.ndim == 3 else None, Path(config.image).name, images, titles,
                        [None] * len(titles))
    return figure


def search_own(config):
    """Draw the ranked list of the user's picture or vector among the user's own, or without one print the mAP of the
    data set's queries over these."""
    if config.serve:
        return serve_own(config)
    if not config.image:
        score = user_database.evaluate_map(config)
        print_means(f"{score.checkpoint}, {config.database}", score.means)
        return print(f"{score.queries} queries, {score.gallery} gallery images, {score.left_out} others left out")
    database, checkpoint, config = user_database.open_database(config)
    asking = user_database.read_query(config)
    with tf.Graph().as_default(), machine.session(config) as session:
        (feature,), _ = Encoder(config, session, checkpoint, like=asking[np.newaxis])(asking[np.newaxis])
    distances, places = cluster.finder(database, config.ray)(feature[np.newaxis], SHOWN)
    names = [str(i) if database.names is None else str(database.names[i]) for i in places[0]]
    images = user_database.load_images(database, places[0], config)
    figure = draw_own(config, asking, images,
                      [f"{name[:16]}\n{d:.3f}" for name, d in zip(names, distances[0], strict=True)])
    for name, distance in zip(names, distances[0], strict=True):
        print(f"{distance:.4f} {name}")
    print(f"ranked list: {figure}")


def serve_own(config):
    """Show the user's own pictures or vectors in the browser."""
    page = gallery_page()
    listening = page.listen(config.host, config.port)
    database, checkpoint, config = user_database.open_database(config)
    data = user_database.as_dataset(database, config)
    with tf.Graph().as_default(), machine.session(config) as session:
        encoder = Encoder(config, session, checkpoint, like=data.images)
        about = {"method": f"{config.method}, {config.n_bits} bits", "checkpoint": str(checkpoint),
                 "data": config.database}
        gallery = page.Gallery(data, database, encoder, np.empty((0, 0), np.float32), config.image_size, about,
                               prepare=sets.SETS[config.dataset].prepare,
                               find=cluster.finder(database, config.ray))
        page.serve(gallery, listening, f"{config.database.rstrip('/')}.map.npz", config.seed, config.token)


def main():
    config = settings.from_command_line(Options)
    settings.refuse_idle(config)
    (search_own if config.database else evaluate)(config)
