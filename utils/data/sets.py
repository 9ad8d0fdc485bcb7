"""The data sets: one row for each, and the only list of them."""
from collections.abc import Callable
from typing import NamedTuple

from utils.data import cifar10, cifar100, embeddings
from utils.errors import UserError


class DataSet(NamedTuple):
    """How a data set is read, and how it is got."""
    load: Callable  # (config) -> Data
    fetch: Callable | None  # (data_dir) downloads, verifies and unpacks the official archive; None for a user's own


SETS = {
    "cifar10": DataSet(lambda config: cifar10.load(config.data_dir, config.protocol, config.known_classes),
                       cifar10.fetch),
    "cifar100": DataSet(lambda config: cifar100.load(config.data_dir), cifar100.fetch),
    "embeddings": DataSet(lambda config: embeddings.load(config.embeddings, config.seed), None)}


def load(config):
    """The `Data` of `config.dataset`, in `config.data_dir`. Raises what its reader raises, and UserError where F takes
    pictures and the data are vectors, or the other way round."""
    if (config.dataset == "embeddings") != (config.backbone == "embeddings"):
        raise UserError(f"dataset is {config.dataset} and backbone {config.backbone}, but vectors and a network on "
                        "vectors belong together; set embeddings to a file of vectors, or neither")
    return SETS[config.dataset].load(config)
