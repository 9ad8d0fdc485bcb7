"""CIFAR-10 from its published python batches: read, checked, split and fetched.

    python -m utils.cifar10 fetch [--data_dir=cifar10]
    python -m utils.cifar10 sample --data_dir=FULL --out=cifar10/sample

Three numbers describe an image here: its index in what was loaded, its position among the published 60,000
(batches 1 to 5, then test), and its rank in the release's class-sorted order (`cifar10/release_order.npy`).
Every role follows from the rank alone, so the full set and the sample are split by the same lines.
"""
import argparse
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.io
import scipy.sparse

from utils import archives, errors
from utils.errors import UserError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SIZE = 170_498_071  # bytes
MD5 = "c58f30108f718f92721af3b95e74349a"

BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6)) + ("test_batch",)
ARCHIVE = archives.Archive(
    title="CIFAR-10", module="utils.cifar10", url=URL, size=SIZE, md5=MD5, folder="cifar-10-batches-py",
    batches=BATCHES, others=("batches.meta", "readme.html"), label_key=b"labels", n_classes=10)
POSITIONS = "positions.npy"  # the mark of a sample
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
N_IMAGES, PER_BATCH, PER_CLASS = 60_000, 10_000, 6_000
HOME = Path(__file__).resolve().parents[1] / "cifar10"


class Data(NamedTuple):
    """Images and their roles; the index vectors point into `images`, in the release's class-sorted order."""
    images: np.ndarray  # uint8 [N, 32, 32, 3], RGB
    labels: np.ndarray  # int64 [N], 0 to 9
    positions: np.ndarray  # int32 [N], place among the published 60,000
    query: np.ndarray  # int32
    labelled: np.ndarray  # int32
    unlabelled: np.ndarray  # int32
    gallery: np.ndarray  # int32, the same images as `unlabelled`
    class_names: tuple[str, ...]
    sample: bool  # True when the sample stands in for the full set


def load(data_dir, protocol=1, known_classes=tuple(range(7))):
    """Read CIFAR-10 and split it; where `data_dir` has no full set, the sample, said in one line on stderr.

    data_dir: the folder of the published batches or of a sample, or one that holds `cifar-10-batches-py/` or
        `sample/`.
    protocol 1 (release): every 60th rank is a query; of each class's other 5,900 the first 500 are labelled,
        the last 5,400 are both unlabelled and gallery.
    protocol 2 (section 4.2): the first 3,000 ranks of each class are "train", the last 3,000 "test"; labelled
        are the train images of `known_classes`, queries the test images of the other classes, and the rest is
        both unlabelled and gallery.
    known_classes: labels, int; used by protocol 2 alone.
    The sample is every tenth image of each role, so its roles are those of the full set.

    Returns `Data`. Raises `UserError` for a missing folder, a partly present set, a damaged, foreign or
    malicious batch, labels that are not the published ones, and an impossible protocol.
    """
    folder = _find(data_dir)
    sample = (folder / POSITIONS).is_file()
    positions = _positions(folder / POSITIONS) if sample else np.arange(N_IMAGES, dtype=np.int32)
    images, labels = _read_images(folder, np.bincount(positions // PER_BATCH, minlength=len(BATCHES)))
    rank = np.argsort(_release_order())[positions]
    if np.any(labels != rank // PER_CLASS):
        raise UserError(f"The labels in {folder} are not the published ones, so the split would not hold; "
                        f"delete the batches there and run `{_fetch_command(data_dir)}`.")
    if sample and not folder.samefile(data_dir):
        print(f"No full CIFAR-10 in {data_dir}: using the sample of {len(labels):,} images in {folder}; "
              f"for all of it run `{_fetch_command(data_dir)}`.", file=sys.stderr)
    by_rank = np.argsort(rank).astype(np.int32)
    query, labelled, gallery = (by_rank[role] for role in _roles(rank[by_rank], protocol, known_classes))
    return Data(images, labels, positions, query, labelled, gallery, gallery, CLASS_NAMES, sample)


def relevance(path, data):
    """The release's ground truth, `label_Similarity` of `cifar10_Similarity.mat`, for the queries of `data`.

    path: a .mat file (up to version 7) whose matrix, dense or sparse, holds 0 and 1 and is the full set's
        1,000 queries by 54,000 gallery images of protocol 1, both in the release's order.
    Returns bool [Q, G], rows as `data.query`, columns as `data.gallery`; None where there is no such file.
    Raises `UserError` for an unreadable file, a missing key, another shape, other values, and for protocol 2.
    """
    if not Path(path).is_file():
        return None
    rank = np.argsort(_release_order())[data.positions]
    query, _, gallery = _roles(np.arange(N_IMAGES), protocol=1, known_classes=())
    if not (query[rank[data.query]].all() and gallery[rank[data.gallery]].all()):
        raise UserError(f"{path} is the ground truth of protocol 1; under protocol 2 leave its path empty.")
    rows, columns = np.cumsum(query)[rank[data.query]] - 1, np.cumsum(gallery)[rank[data.gallery]] - 1
    matrix = _similarity(path, (int(query.sum()), int(gallery.sum())))
    if scipy.sparse.issparse(matrix):
        return matrix.tocsr()[rows][:, columns].astype(bool).toarray()
    return matrix.astype(bool)[np.ix_(rows, columns)]


def fetch(data_dir, url=URL, size=SIZE, md5=MD5):
    """Download the official archive into `data_dir` and unpack it there; where the full set is, do nothing.

    size: of the archive, bytes; md5: its hexadecimal digest. Raises what `archives.fetch` raises.
    """
    root = Path(data_dir)
    if any(not archives.missing(ARCHIVE, folder) and not (folder / POSITIONS).exists()
           for folder in archives.folders(ARCHIVE, root)):
        print(f"CIFAR-10 is already complete in {root}.")
        return
    archives.fetch(ARCHIVE._replace(url=url, size=size, md5=md5), root)


def make_sample(data_dir, out):
    """Write every tenth image of each role of protocol 1 into the folder `out`, in the published format.

    Each image stays in the file of its own batch; `positions.npy`, int32 [6000], says where it was published.
    Raises `UserError` where `data_dir` has no full set or `out` cannot be written.
    """
    source, out = _find(data_dir), Path(out)
    data = load(data_dir)
    if data.sample:
        raise UserError(f"A sample is made from the full set, which is not in {data_dir}.")
    positions = np.sort(np.concatenate([role[::10] for role in (data.query, data.labelled, data.gallery)]))
    try:
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / "batches.meta", out / "batches.meta")
        np.save(out / POSITIONS, positions)
        for number, name in enumerate(BATCHES):
            rows = positions[positions // PER_BATCH == number] % PER_BATCH
            (out / name).write_bytes(_batch_bytes(source / name, rows))
    except OSError as error:
        raise UserError(f"Cannot write the sample in {out} ({error.strerror}).") from error


def _roles(rank, protocol, known_classes):
    """Masks (query, labelled, gallery), bool [N] each, of the images of the given ranks, int [N]."""
    label, place = np.divmod(rank, PER_CLASS)
    if protocol == 1:
        query = place % 60 == 0
        labelled = ~query & (place - place // 60 - 1 < 500)  # the place among its class's 5,900 others
        return query, labelled, ~query & ~labelled
    if protocol != 2:
        raise UserError(f"protocol {protocol!r} is unknown; it must be 1 or 2.")
    if not set() < set(known_classes) < set(range(len(CLASS_NAMES))):
        raise UserError(f"known_classes {known_classes!r} must name one to nine of the labels 0 to 9.")
    train, known = place < PER_CLASS // 2, np.isin(label, list(known_classes))
    return ~train & ~known, train & known, train != known


def _release_order():
    """int32 [60000]: the published position of each rank, the release's sort of the labels."""
    return np.load(HOME / "release_order.npy")


def _fetch_command(folder):
    root = Path(folder)
    return archives.fetch_command(ARCHIVE, root.parent if root.name == "sample" else root)


def _find(data_dir):
    """The folder with all six batches: the full set's, else the sample's."""
    root, command = Path(data_dir), _fetch_command(data_dir)
    if not root.is_dir():
        raise UserError(f"There is no folder {root}; set data_dir or run `{command}`.")
    for candidates in (archives.folders(ARCHIVE, root), (root / "sample", HOME / "sample")):
        if folder := archives.find(ARCHIVE, candidates, command):
            return folder
    raise UserError(f"There is no CIFAR-10 in {root}; run `{command}`.")


def _positions(path):
    """The sample's published positions, int32 [N], ascending."""
    try:
        positions = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is damaged; restore the sample or fetch the full set.") from error
    sound = positions.dtype == np.int32 and positions.ndim == 1 and len(positions) > 0
    if not sound or np.any(np.diff(positions) <= 0) or positions[0] < 0 or positions[-1] >= N_IMAGES:
        raise UserError(f"{path} must hold ascending int32 positions below {N_IMAGES:,}; restore the sample.")
    return positions


def _read_images(folder, counts):
    """(images uint8 [N, 32, 32, 3], labels int64 [N]) of the six batches, which hold `counts` images each."""
    images, labels, start = np.empty((counts.sum(), 32, 32, 3), np.uint8), [], 0
    for name, count in zip(BATCHES, counts, strict=True):
        batch = archives.read_batch(ARCHIVE, folder / name, _fetch_command(folder), count)
        images[start:start + count] = archives.as_images(batch[b"data"])
        labels += batch[b"labels"]
        start += count
    return images, np.array(labels, np.int64)


def _similarity(path, shape):
    """The matrix `label_Similarity` of a .mat file, ndarray or sparse, checked."""
    try:
        matrix = scipy.io.loadmat(path, variable_names=["label_Similarity"]).get("label_Similarity")
    except Exception as error:  # a damaged file can raise nearly anything; version 7.3 NotImplementedError
        raise UserError(f"{path} is not a .mat file of version 7 or older, or is damaged.") from error
    if matrix is None:
        raise UserError(f"{path} has no `label_Similarity`; delete it to take relevance from the labels.")
    if matrix.shape != shape:
        raise UserError(f"label_Similarity in {path} has the shape {matrix.shape}, but must have {shape}.")
    values = matrix.data if scipy.sparse.issparse(matrix) else matrix
    if values.dtype.kind not in "biuf" or not np.all((values == 0) | (values == 1)):
        raise UserError(f"label_Similarity in {path} must hold 0 and 1 only.")
    return matrix


def _batch_bytes(path, rows):
    """The pickle of a published batch file cut down to the given rows."""
    batch = archives.read_batch(ARCHIVE, path, _fetch_command(path.parent), PER_BATCH)
    return archives.batch_bytes({
        b"batch_label": batch[b"batch_label"],
        b"labels": [batch[b"labels"][row] for row in rows],
        b"data": batch[b"data"][rows],
        b"filenames": [batch[b"filenames"][row] for row in rows]})


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
        fetch(arguments.data_dir)
    else:
        make_sample(arguments.data_dir, arguments.out)


if __name__ == "__main__":
    errors.run(main)
