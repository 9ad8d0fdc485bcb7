"""CIFAR-10 from its published python batches: read, checked, split and fetched.

Three numbers describe an image here: its index in what was loaded, its position among the published 60,000
(batches 1 to 5, then test), and its rank in the release's class-sorted order (`cifar10/release_order.npy`).
Every role follows from the rank or the position, so the full set and the sample are split by the same lines.
"""
import sys
from pathlib import Path

import numpy as np

from gpq.utils.data import archives
from gpq.utils.data.data import Data, Source, digest
from gpq.utils.errors import UserError
from gpq.utils.reading import arrays

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SIZE = 170_498_071  # bytes
MD5 = "c58f30108f718f92721af3b95e74349a"

BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f", "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751", "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb", "test_batch": "40351d587109b95175f43aff81a1287e"}
SAMPLE_SHA256 = "9387a82f7ada28316c9550cd53c4d6fa3a00cfd597e167532e2c9f22f198ff73"  # what `digest` gives it
ARCHIVE = archives.Archive(
    title="CIFAR-10", name="cifar10", url=URL, size=SIZE, md5=MD5, folder="cifar-10-batches-py",
    batches=BATCHES, others=("batches.meta", "readme.html"), label_key=b"labels", n_classes=10)
POSITIONS = "positions.npy"  # the mark of a sample
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
N_IMAGES, PER_BATCH, PER_CLASS = 60_000, 10_000, 6_000
HOME = Path(__file__).resolve().parents[2] / "cifar10"


def load(data_dir, protocol=1, known_classes=tuple(range(7))):
    """Read CIFAR-10 and split it; where `data_dir` has no full set, the sample, said in one line on stderr.

    data_dir: the folder of the published batches or of a sample, or one that holds `cifar-10-batches-py/` or
        `sample/`.
    protocol 1 (release): every 60th rank is a query; of each class's other 5,900 the first 500 are labelled,
        the last 5,400 are both unlabelled and gallery.
    protocol 2 (section 4.2): the first 3,000 ranks of each class are "train", the last 3,000 "test"; labelled
        are the train images of `known_classes`, queries the test images of the other classes, and the rest is
        both unlabelled and gallery.
    protocol 3 (SPQ's release): queries are the published test images; the training images are both unlabelled and
        gallery, and none is labelled.
    known_classes: labels, int, each once; used by protocol 2 alone.
    The sample is every tenth image of each role of protocol 1. Its images have the roles of the full set, about a
        tenth as many of each.

    Returns `Data`, its index vectors in the release's class-sorted order, those of protocol 3 in the published one;
    `validation` is empty.
    Raises `UserError` for a missing folder, a partly present set, a damaged, foreign or malicious batch, labels that
    are not the published ones, and an impossible protocol.
    """
    folder = find(data_dir)
    sample = (folder / POSITIONS).is_file()
    positions = _positions(folder / POSITIONS) if sample else np.arange(N_IMAGES, dtype=np.int32)
    counts = np.bincount(positions // PER_BATCH, minlength=len(BATCHES))
    images, labels = archives.joined(ARCHIVE, [
        archives.read_batch(ARCHIVE, folder / name, fetch_command(folder), count)
        for name, count in zip(BATCHES, counts, strict=True)])
    rank = np.argsort(_release_order())[positions]
    if np.any(labels.argmax(1) != rank // PER_CLASS):
        raise UserError(f"The labels in {folder} are not the published ones, so the split would not hold; "
                        f"delete the batches there and run `{fetch_command(data_dir)}`.")
    if sample and not folder.samefile(data_dir):
        print(f"No full CIFAR-10 in {data_dir}: using the sample of {len(labels):,} images in {folder}; "
              f"for all of it run `{fetch_command(data_dir)}`.", file=sys.stderr)
    order = np.argsort(positions if protocol == 3 else rank).astype(np.int32)
    test = positions[order] // PER_BATCH == len(BATCHES) - 1
    roles = (test, test & ~test, ~test) if protocol == 3 else _roles(rank[order], protocol, known_classes)
    query, labelled, gallery = (order[role] for role in roles)
    return Data(images, labels, query, labelled, unlabelled=gallery, gallery=gallery, validation=order[:0],
                class_names=CLASS_NAMES, source=_source(folder, sample, images, labels), positions=positions)


def file_names(folder):
    """The names of the images' files in the batches in `folder`, bytes, in the order of the images. Raises `UserError`
    for a damaged, foreign or malicious batch."""
    names = [name for batch in BATCHES
             for name in archives.read_batch(ARCHIVE, folder / batch, fetch_command(folder))[b"filenames"]]
    if not all(isinstance(name, bytes) and len(name) < 256 for name in names):
        raise UserError(f"The file names in {folder} are no text; delete it and run `{fetch_command(folder)}`.")
    return names


def _source(folder, sample, images, labels):
    sha256 = digest(images, labels)
    if not sample:
        return Source("CIFAR-10", "all", sha256, archives.origin(ARCHIVE, folder))
    return Source("CIFAR-10", "the sample", sha256, "the repository's sample" if sha256 == SAMPLE_SHA256
                  else f"a sample that is not the repository's, in {folder}")


def fetch(data_dir, url=URL, size=SIZE, md5=MD5):
    """Download the official archive into `data_dir` and unpack it there; where the full set is, do nothing.

    size: of the archive, bytes; md5: its hexadecimal digest. Raises what `archives.fetch` raises.
    """
    root = Path(data_dir)
    there = any(not archives.missing(ARCHIVE, folder) and not (folder / POSITIONS).exists()
                for folder in archives.folders(ARCHIVE, root))
    archives.fetch(ARCHIVE._replace(url=url, size=size, md5=md5), root, there)


def _roles(rank, protocol, known_classes):
    """Masks (query, labelled, gallery) of protocol 1 or 2, bool [N] each, of the images of the given ranks, int [N]."""
    label, place = np.divmod(rank, PER_CLASS)
    if protocol == 1:
        query = place % 60 == 0
        labelled = ~query & (place - place // 60 - 1 < 500)  # the place among its class's 5,900 others
        return query, labelled, ~query & ~labelled
    if protocol != 2:
        raise UserError(f"protocol {protocol!r} is unknown; it must be 1, 2 or 3.")
    if len(set(known_classes)) < len(known_classes) or not set() < set(known_classes) < set(range(len(CLASS_NAMES))):
        raise UserError(f"known_classes {known_classes!r} must name one to nine of the labels 0 to 9, each once.")
    train, known = place < PER_CLASS // 2, np.isin(label, list(known_classes))
    return ~train & ~known, train & known, train != known


def _release_order():
    """int32 [60000]: the published position of each rank, the release's sort of the labels."""
    return arrays.one(HOME / "release_order.npy", f"int [{N_IMAGES}], 0 to {N_IMAGES - 1}", "order of CIFAR-10")


def fetch_command(folder):
    """The command that fetches the full set into `folder`, or around it where that is a folder of batches."""
    root = Path(folder)
    return archives.fetch_command(ARCHIVE, root.parent if root.name == "sample" else root)


def find(data_dir):
    """The folder with all six batches, below `data_dir` where it has them: the full set's, else the sample's.

    Raises `UserError` for a missing folder and a partly present set.
    """
    root, command = Path(data_dir), fetch_command(data_dir)
    if not root.is_dir():
        raise UserError(f"There is no folder {root}; set data_dir or run `{command}`.")
    for candidates in (archives.folders(ARCHIVE, root), (root / "sample", HOME / "sample")):
        if folder := archives.find(ARCHIVE, candidates, command):
            return folder
    raise UserError(f"There is no CIFAR-10 in {root}; run `{command}`.")


def _positions(path):
    """The sample's published positions, int32 [N], ascending."""
    positions = arrays.one(path, f"int32 [N], 0 to {N_IMAGES - 1}", "list of positions",
                           mend="restore the sample or fetch the full set")
    if not len(positions) or np.any(np.diff(positions) <= 0):
        raise UserError(f"{path} must hold ascending positions; restore the sample.")
    return positions
