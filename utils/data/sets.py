"""The data sets: one row for each, and the only list of them."""
from collections.abc import Callable
from typing import NamedTuple

from utils.data import cifar10, cifar100


class DataSet(NamedTuple):
    """How a data set is read, and how it is got."""
    load: Callable  # (config) -> Data
    fetch: Callable  # (data_dir) downloads, verifies and unpacks the official archive


SETS = {
    "cifar10": DataSet(lambda config: cifar10.load(config.data_dir, config.protocol, config.known_classes),
                       cifar10.fetch),
    "cifar100": DataSet(lambda config: cifar100.load(config.data_dir), cifar100.fetch)}


def load(config):
    """The `Data` of `config.dataset`, in `config.data_dir`. Raises what its reader raises."""
    return SETS[config.dataset].load(config)
