"""Data sets on the command line.

    python -m utils.data fetch cifar10 [--data_dir=cifar10]
    python -m utils.data fetch cifar100 [--data_dir=cifar100]
    python -m utils.data sample --data_dir=FULL --out=cifar10/sample
    python -m utils.data embeddings --features=lite2.npy --data_dir=cifar10 --out=cifar10_lite2.npz

`python -m utils.cifar10` and `python -m utils.cifar100` do the same for one data set.
"""
import argparse

from utils import errors
from utils.data import cifar10, embeddings
from utils.data.sample import make_sample
from utils.data.sets import SETS


def main(dataset=None):
    """Do what the command line says; with `dataset`, it is that of this data set alone, which then is not named."""
    parser = argparse.ArgumentParser(prog=f"python -m utils.{dataset or 'data'}", description="Get a data set.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="download, verify and unpack the official archive")
    if dataset is None:
        fetch.add_argument("dataset", choices=[name for name, row in SETS.items() if row.fetch])
    fetch.add_argument("--data_dir", help=f"folder to unpack into ({dataset or 'named as the data set'})")
    if dataset in (None, "cifar10"):
        sample = commands.add_parser("sample", help="write the 6,000 images of CIFAR-10 that the repository ships")
        sample.add_argument("--data_dir", required=True, help="folder of the full set")
        sample.add_argument("--out", required=True, help="folder to write")
        vectors = commands.add_parser("embeddings", help="give features of CIFAR-10's images the release's split")
        vectors.add_argument("--features", required=True, help=".npy of float [N, D], as utils.data.cifar10 orders")
        vectors.add_argument("--data_dir", required=True, help="folder of CIFAR-10")
        vectors.add_argument("--out", required=True, help="file to write, .npz, for --embeddings")
    given = parser.parse_args(namespace=argparse.Namespace(dataset=dataset))
    if given.command == "fetch":
        SETS[given.dataset].fetch(given.data_dir or given.dataset)
    elif given.command == "embeddings":
        embeddings.write(given.out, embeddings.read_vectors(given.features), cifar10.load(given.data_dir))
    else:
        make_sample(given.data_dir, given.out)


if __name__ == "__main__":
    errors.run(main)
