"""The data sets: one row for each, and the only list of them."""
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gpq.utils import files
from gpq.utils.data import cifar10, cifar100, corel5k, embeddings, flickr, image_lists, keywords, lazy, own_folder
from gpq.utils.data.pictures import tell
from gpq.utils.data.tags import tagging
from gpq.utils.errors import UserError
from gpq.utils.reading.pictures import cropped, squashed


class DataSet(NamedTuple):
    """How a data set is read, and how it is got."""
    load: Callable  # (config) -> Data
    fetch: Callable | None = None  # (data_dir) gets the official archive, verified; None for a user's own
    raw_tags: Callable | None = None  # (config, data) -> RawTags of its images, or None where it has none
    prepare: Callable = cropped  # how its pictures, and a user's own for what is trained on them, become squares


def _lists(name, other):
    """The set `name`: in the files of WSDHQ's released program where these are there, else by `other`."""
    def load(config):
        if image_lists.there(config.data_dir, name):
            return image_lists.load(config.data_dir, name, config.image_size)
        return other(config.data_dir, config.image_size)

    def raw_tags(config, data):
        return image_lists.raw_tags(config.data_dir, name, data) if image_lists.there(config.data_dir, name) else None

    return DataSet(load, raw_tags=raw_tags, prepare=squashed)


def _vectors(config):
    """The vectors of a user's own; those that were read last are given again while their files are as they were, since
    many trainings in a row have the same, and reading and checking them takes as long as fitting some."""
    path = config.embeddings
    parts = (path, *embeddings.split_files(path, config.model_save_path)) if path else ()
    if _last.get("state") != (path, files.state(*parts)):
        _last.clear()
        data = embeddings.load(path, config.seed, config.model_save_path)
        _last.update(data=data, state=(path, files.state(*parts)))  # with the split that was made just now
    return _last["data"]


_last = {}  # what `_vectors` read, and the state of its files
SETS = {
    "cifar10": DataSet(lambda config: cifar10.load(config.data_dir, config.protocol, config.known_classes),
                       cifar10.fetch, lambda config, data: keywords.raw_tags(config.data_dir)),
    "cifar100": DataSet(lambda config: cifar100.load(config.data_dir), cifar100.fetch),
    "corel5k": DataSet(lambda config: corel5k.load(config.data_dir, config.truth, config.image_size),
                       raw_tags=lambda config, data: corel5k.raw_tags(config.data_dir, data, config.truth),
                       prepare=squashed),
    "flickr25k": _lists("flickr25k", flickr.load_mirflickr),
    "nus-wide": _lists("nus-wide", flickr.load_nuswide),
    "folder": DataSet(lambda config: own_folder.load(config.data_dir, config.seed, config.image_size,
                                                     config.model_save_path),
                      raw_tags=lambda config, data: own_folder.raw_tags(config.data_dir, data)),
    "embeddings": DataSet(_vectors)}


def load(config, tags=False):
    """The `Data` of `config.dataset`, in `config.data_dir`, with `tags` that a method learns from if these are asked
    for.

    Raises what its reader raises, and UserError where F takes pictures and the data are vectors, or the other way
    round, where the images are of another size than `image_size`, and as `tagging.tagged`.
    """
    if (config.dataset == "embeddings") != (config.backbone == "embeddings"):
        raise UserError(f"dataset is {config.dataset} and backbone {config.backbone}, but vectors and a network on "
                        "vectors belong together; set embeddings to a file of vectors, or neither")
    data = SETS[config.dataset].load(config)
    if isinstance(data.images, lazy.Pictures):
        _tell_of_small(config)
    if data.images.ndim == 4 and data.images.shape[1] != config.image_size:
        raise UserError(f"image_size is {config.image_size}, but the images of {data.source.name} have "
                        f"{data.images.shape[1]} pixels a side; set image_size to that")
    return tagging.tagged(data, raw_tags(config, data), config) if tags else data


def completed(config, data):
    """`config` with what `data` say of settings that were not given: of a user's own n_CLASSES, and how long a preset
    trains."""
    found = config.of_length(len(data.labelled))
    if data.n_classes is not None and "n_CLASSES" not in config.model_fields_set:
        found["n_CLASSES"] = data.n_classes
    made = config.model_copy(update=found)
    made.model_fields_set.difference_update(found)
    return made


def for_own_pictures(config):
    """`config` with the size to which a user's own pictures are brought where nothing says it, neither what was given
    nor the checkpoint: what the backbone takes, 256 at least of a large one; an array's stays its own."""
    array = Path(getattr(config, "images", "")).is_file()
    if "image_size" not in config.model_fields_set and not array:
        size = config.takes if config.takes == 32 else max(256, config.takes)
        config = config.model_copy(update={"image_size": size})
    if not array:
        _tell_of_small(config)
    return config


def _tell_of_small(config):
    """Say on stderr where photographs are brought to fewer pixels than the backbone takes."""
    if config.image_size < config.takes and config.backbone != "embeddings":
        tell(f"pictures are brought to {config.image_size} pixels a side and {config.backbone} takes {config.takes}: "
             f"detail is lost; set image_size={config.takes} where nothing is trained yet")


def raw_tags(config, data):
    """The `RawTags` of `data`, which `load` gave by `config`; None where its set has none, and where `config.tags` is a
    file that needs none."""
    row = SETS[config.dataset].raw_tags
    return None if row is None or str(config.tags).endswith(".npz") else row(config, data)
