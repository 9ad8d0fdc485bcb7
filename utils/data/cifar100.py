"""CIFAR-100 from its published python batches, to pretrain F on: its 100 classes are none of CIFAR-10's.

    python -m utils.cifar100 fetch [--data_dir=cifar100]
"""
import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils import errors
from utils.data import archives
from utils.errors import UserError

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
SIZE = 169_001_437  # bytes
MD5 = "eb9058c3a382ffc7106e4002c42a8d85"

ARCHIVE = archives.Archive(
    title="CIFAR-100", module="utils.cifar100", url=URL, size=SIZE, md5=MD5, folder="cifar-100-python",
    batches=("train", "test"), others=("meta", "file.txt~"), label_key=b"fine_labels", n_classes=100)


class Data(NamedTuple):
    """Images, RGB, and their fine labels, 0 to 99; of the published set N is 50,000 and T 10,000."""
    images: np.ndarray  # uint8 [N, 32, 32, 3]
    labels: np.ndarray  # int64 [N]
    test_images: np.ndarray  # uint8 [T, 32, 32, 3]
    test_labels: np.ndarray  # int64 [T]


def load(data_dir):
    """Read CIFAR-100, or a part of it in the same format.

    data_dir: the folder of `train` and `test`, or one that holds `cifar-100-python/`.
    Returns `Data`. Raises `UserError` for a missing folder or file, a damaged, foreign or malicious batch, no
    images, labels outside 0 to 99 and other than one an image.
    """
    root, command = Path(data_dir), archives.fetch_command(ARCHIVE, data_dir)
    if not root.is_dir():
        raise UserError(f"There is no folder {root}; set data_dir or run `{command}`.")
    folder = archives.find(ARCHIVE, archives.folders(ARCHIVE, root), command)
    if folder is None:
        raise UserError(f"There is no CIFAR-100 in {root}; run `{command}`.")
    train, test = (archives.read_batch(ARCHIVE, folder / name, command) for name in ARCHIVE.batches)
    return Data(*_arrays(train), *_arrays(test))


def fetch(data_dir, url=URL, size=SIZE, md5=MD5):
    """Download the official archive into `data_dir` and unpack it there; where the batches are, do nothing.

    size: of the archive, bytes; md5: its hexadecimal digest. Raises what `archives.fetch` raises.
    """
    root = Path(data_dir)
    if any(not archives.missing(ARCHIVE, folder) for folder in archives.folders(ARCHIVE, root)):
        print(f"CIFAR-100 is already complete in {root}.")
        return
    archives.fetch(ARCHIVE._replace(url=url, size=size, md5=md5), root)


def _arrays(batch):
    """(images uint8 [N, 32, 32, 3], fine labels int64 [N]) of a batch."""
    return archives.as_images(batch[b"data"]).copy(), np.array(batch[ARCHIVE.label_key], np.int64)


def main():
    parser = argparse.ArgumentParser(prog="python -m utils.cifar100", description="Fetch CIFAR-100.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("fetch", help="download, verify and unpack the official archive")
    command.add_argument("--data_dir", default="cifar100", help="folder to unpack into (%(default)s)")
    fetch(parser.parse_args().data_dir)


if __name__ == "__main__":
    errors.run(main)
