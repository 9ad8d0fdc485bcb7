import argparse

from utils import errors
from utils.data import cifar10
from utils.data.sample import make_sample


def main():
    parser = argparse.ArgumentParser(prog="python -m utils.cifar10", description="Fetch or sample CIFAR-10.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("fetch", help="download, verify and unpack the official archive")
    command.add_argument("--data_dir", default="cifar10", help="folder to unpack into (%(default)s)")
    command = commands.add_parser("sample", help="write the 6,000 images that the repository ships")
    command.add_argument("--data_dir", required=True, help="folder of the full set")
    command.add_argument("--out", required=True, help="folder to write")
    arguments = parser.parse_args()
    if arguments.command == "fetch":
        cifar10.fetch(arguments.data_dir)
    else:
        make_sample(arguments.data_dir, arguments.out)


if __name__ == "__main__":
    errors.run(main)
