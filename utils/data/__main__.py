"""Data sets on the command line.

    python -m utils.data fetch cifar10 [--data_dir=cifar10]
    python -m utils.data fetch cifar100 [--data_dir=cifar100]
    python -m utils.data embeddings --features lite0.npy lite2.npy --out=cifar10_lite.npz    # any settings may follow
    python -m utils.data embeddings --features lite2.npy --out=corel5k.npz --dataset=corel5k --data_dir=corel5k \\
        --method=wsdhq    # with the tags that WSDHQ learns from
    python -m utils.data embeddings --features lite2.npy --out=c.npz --protocol=3 --labelled=500    # labels for GPQ
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.utils.data.__main__")

from gpq.utils.base_settings import Affects
from gpq.utils.data import joined, sets, splits
from gpq.utils.errors import Parser
from gpq.utils.settings import from_command_line, refuse_idle


def main():
    """Do what the command line says."""
    parser = Parser(prog="python -m utils.data", description="Get a data set.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="download, verify and unpack the official archive")
    fetch.add_argument("dataset", choices=[name for name, row in sets.SETS.items() if row.fetch])
    fetch.add_argument("--data_dir", help="folder to unpack into (named as the data set)")
    vectors = commands.add_parser(
        "embeddings", help="give features of a data set's images its labels and split", allow_abbrev=False,
        epilog="--dataset, --data_dir and the other settings of config.py that choose data may follow as "
               "--name=value. With --method=wsdhq the images' tags come along.")
    vectors.add_argument("--features", required=True, nargs="+", help=".npy of float [N, D], of all images in the "
                         "order in which they are loaded; several are joined")
    vectors.add_argument("--out", required=True, help="file to write, .npz, for --embeddings")
    vectors.add_argument("--labelled", type=int, metavar="N", help="let training know the labels of the first N "
                         "images of each class (those that the data set says)")
    given, rest = parser.parse_known_args()
    if rest and given.command != "embeddings":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if given.command == "fetch":
        sets.SETS[given.dataset].fetch(given.data_dir or given.dataset)
    else:
        settings = from_command_line(None, rest)
        refuse_idle(settings, settings.affecting(Affects.DATA))
        data = sets.load(settings, tags=hasattr(settings, "tags"))
        if given.labelled is not None:
            data = splits.label_first(data, given.labelled)
        joined.write(given.out, joined.join(given.features), data)
        print(f"{given.out}: the labels and roles of {data.source} and its features; learn codes by train.py "
              f"--embeddings={given.out}")
