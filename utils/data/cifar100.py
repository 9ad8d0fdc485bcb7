"""CIFAR-100 from its published python batches: read, checked and fetched. None of its 100 classes is CIFAR-10's."""
from pathlib import Path

import numpy as np

from gpq.utils import files
from gpq.utils.data import archives
from gpq.utils.data.data import Data, Source, digest
from gpq.utils.errors import UserError
from gpq.utils.reading import pickles

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
SIZE = 169_001_437  # bytes
MD5 = "eb9058c3a382ffc7106e4002c42a8d85"

ARCHIVE = archives.Archive(
    title="CIFAR-100", name="cifar100", url=URL, size=SIZE, md5=MD5, folder="cifar-100-python",
    batches={"train": "16019d7e3df5f24257cddd939b257f8d", "test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    others=("meta", "file.txt~"), label_key=b"fine_labels", n_classes=100)


def load(data_dir):
    """Read CIFAR-100, or a part of it in the same format.

    data_dir: the folder of `train` and `test`, or one that holds `cifar-100-python/`.
    Returns `Data` by fine classes: the training images, 50,000 of the published set, are labelled and gallery, the
    test images, 10,000, are validation and query, and none is unlabelled. The classes are called by their numbers
    where the file `meta` is absent.
    Raises `UserError` for a missing folder or file, a damaged, foreign or malicious batch or meta, no images, labels
    outside 0 to 99 and other than one an image.
    """
    root, command = Path(data_dir), archives.fetch_command(ARCHIVE, data_dir)
    if not root.is_dir():
        raise UserError(f"There is no folder {root}; set data_dir or run `{command}`.")
    folder = archives.find(ARCHIVE, archives.folders(ARCHIVE, root), command)
    if folder is None:
        raise UserError(f"There is no CIFAR-100 in {root}; run `{command}`.")
    batches = [archives.read_batch(ARCHIVE, folder / name, command) for name in ARCHIVE.batches]
    images, labels = archives.joined(ARCHIVE, batches)
    train, test = np.split(np.arange(len(images), dtype=np.int32), [len(batches[0][b"data"])])
    source = Source("CIFAR-100", "all", digest(images, labels), archives.origin(ARCHIVE, folder))
    return Data(images, labels, query=test, labelled=train, unlabelled=train[:0], gallery=train, validation=test,
                class_names=_class_names(folder / "meta", command), source=source)


def fetch(data_dir, url=URL, size=SIZE, md5=MD5):
    """Download the official archive into `data_dir` and unpack it there; where the batches are, do nothing.

    size: of the archive, bytes; md5: its hexadecimal digest. Raises what `archives.fetch` raises.
    """
    root = Path(data_dir)
    there = any(not archives.missing(ARCHIVE, folder) for folder in archives.folders(ARCHIVE, root))
    archives.fetch(ARCHIVE._replace(url=url, size=size, md5=md5), root, there)


def _class_names(path, command):
    """The names of the 100 fine classes in the file `meta`; their numbers where there is none."""
    if not path.is_file():
        return tuple(map(str, range(ARCHIVE.n_classes)))
    with files.opened(path, "list of the 100 fine classes", f"delete it and run `{command}`") as file:
        names = pickles.read(file, pickles.NUMPY)[b"fine_label_names"]
        if len(names) != ARCHIVE.n_classes or max(map(len, names)) > 80:
            raise ValueError(f"it names {len(names)}, or at too great length")
        return tuple(name.decode("ascii") for name in names)
