"""Data sets published in the python format of CIFAR: fetched from the official archive, read without trust.

Such a set is a gzipped tar of one folder; its batches are dicts of pixels, labels and file names that
Python 2 pickled. `cifar10` and `cifar100` say where and what; here is what they share.
"""
import gzip
import hashlib
import shlex
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import requests
from tqdm import tqdm

from gpq.utils import files
from gpq.utils.errors import UserError
from gpq.utils.reading import pickles


class Archive(NamedTuple):
    """A published data set: its official archive, and what its batches hold."""
    title: str
    name: str  # of the data set
    url: str
    size: int  # bytes
    md5: str  # hexadecimal
    folder: str  # the archive's one folder
    batches: dict[str, str]  # files in it that hold images, and the MD5 of each, hexadecimal
    others: tuple[str, ...]  # the rest of its files
    label_key: bytes  # of the labels in a batch
    n_classes: int


def fetch(archive, root, there):
    """Download the official archive into the folder `root` and unpack it there, as `root/archive.folder`, unless what
    is needed of it is `there`.

    What came of a broken download stays in a `.part` file, where the next call goes on.
    Raises `UserError` for no network, a refusing server, a full disk, and an archive that is not the expected
    one; such an archive is deleted and nothing of it is written.
    """
    root = Path(root)
    part = root / f"{Path(archive.url).name}.part"
    try:
        if not there:
            root.mkdir(parents=True, exist_ok=True)
            _download(archive, part)
            _verify(archive, part)
            _unpack(archive, part, root)
        part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"Cannot write in {root} ({error.strerror}); make room or choose another --data_dir."
                        ) from error
    print(f"{archive.title} is {'already ' * there}complete in {root}.")


def folders(archive, root):
    """Where below `root` the batches may lie: in the archive's own folder, or in `root` itself."""
    return Path(root, archive.folder), Path(root)


def missing(archive, folder):
    """The names of the batches that `folder` lacks."""
    return [name for name in archive.batches if not Path(folder, name).is_file()]


def find(archive, candidates, command):
    """The first of the folders `candidates` with every batch; None where no batch is in any.

    command: fetches the set. Raises `UserError` for a partly present set.
    """
    lacks = {folder: missing(archive, folder) for folder in candidates}
    for folder, names in lacks.items():
        if not names:
            return folder
    for folder, names in lacks.items():
        if len(names) < len(archive.batches):
            raise UserError(f"{folder} lacks {', '.join(names)}; run `{command}`.")
    return None


def fetch_command(archive, root):
    """The command that fetches the set into `root`, or around `root` where that is the archive's folder."""
    root = Path(root)
    root = root.parent if root.name == archive.folder else root
    return f"python -m utils.data fetch {archive.name} --data_dir={shlex.quote(str(root))}"


def read_batch(archive, path, command, count=None):
    """One batch file's dict, checked: `data` uint8 [N, 3072], labels a list of N ints, N at least 1.

    command: fetches the set; count: what N must be, None for any.
    Raises `UserError` for a damaged, foreign or malicious file, of which nothing is executed, for another
    shape or count, and for labels that the set does not have.
    """
    with files.opened(path, f"{archive.title} batch of the published format", f"delete it and run `{command}`") as file:
        batch = pickles.read(file, pickles.NUMPY)
        labels = batch[archive.label_key]
        batch[b"data"] = rows = pickles.array(batch[b"data"])
        if not (batch.keys() >= {b"batch_label", b"filenames"} and rows.dtype == np.uint8 and rows.flags.c_contiguous
                and type(labels) is list and set(map(type, labels)) == {int}):
            raise ValueError("a part of it is absent or of another type")
    expected = len(labels) if count is None else count
    if rows.shape != (expected, 3072) or len(labels) != expected:
        raise UserError(f"{path} must hold {expected:,} images of 3,072 bytes and a label for each, but "
                        f"holds an array of shape {rows.shape} and {len(labels):,} labels.")
    if not all(0 <= label < archive.n_classes for label in labels):
        raise UserError(f"{path} holds a label outside 0 to {archive.n_classes - 1}, "
                        f"so it is not {archive.title}.")
    return batch


def joined(archive, batches):
    """Batches one after another: images uint8 [N, 32, 32, 3], RGB, and labels bool [N, n_classes], one true a row.

    batches: dicts of `read_batch`, whose `data` are planes of red, green and blue.
    """
    labels = np.concatenate([batch[archive.label_key] for batch in batches])
    images = np.empty((len(labels), 32, 32, 3), np.uint8)
    for channel in range(3):  # plane by plane takes half the time of a transposed copy
        planes = [batch[b"data"].reshape(-1, 3, 32, 32)[:, channel] for batch in batches]
        np.concatenate(planes, out=images[..., channel])
    return images, labels[:, np.newaxis] == np.arange(archive.n_classes)


def origin(archive, folder):
    """In words, whether the batches in `folder` are the published ones, byte for byte."""
    if all(_md5(Path(folder, name)) == md5 for name, md5 in archive.batches.items()):
        return "the published batches"
    return f"batches that are not the published ones, in {folder}"


def _download(archive, part):
    """Fill the file `part` up to the archive's size, going on from what it holds where the server can."""
    have = part.stat().st_size if part.exists() else 0
    if have >= archive.size:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(archive.url, headers=headers, stream=True, timeout=30) as response:
            response.raise_for_status()
            refusal = f"another process is fetching {part}; wait for it"
            with files.held(part, refusal) as file, tqdm(total=archive.size, initial=have, unit="B", unit_scale=True,
                                                         desc=archive.title) as bar:
                if file.tell() != have:
                    raise UserError(refusal)
                if have and response.status_code != 206:
                    have = file.truncate(0)
                for chunk in response.iter_content(1 << 16):
                    have += file.write(chunk)
                    bar.update(len(chunk))
                    if have > archive.size:
                        break
    except requests.RequestException as error:
        why = type(error).__name__ if error.response is None else f"HTTP {error.response.status_code}"
        raise UserError(f"Cannot download {archive.url} ({why}); check the network and run the command "
                        "again, it goes on where it stopped.") from error


def _verify(archive, part):
    have = part.stat().st_size
    if have < archive.size:
        raise UserError(f"{archive.url} ended after {have:,} of {archive.size:,} bytes; "
                        "run the command again to go on.")
    if have > archive.size or _md5(part) != archive.md5:
        part.unlink()
        raise UserError(f"What {archive.url} sent is not the official archive (size or MD5 differs) and was "
                        "deleted; run the command again.")


def _md5(path):
    """The MD5 of a file, hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _unpack(archive, part, root):
    """Move the archive's files to `root/archive.folder`, each whole; of any other, nothing."""
    names = {f"{archive.folder}/{name}" for name in (*archive.batches, *archive.others)}
    try:
        with files.whole_folder(root / archive.folder) as unfinished, tarfile.open(part, "r:gz") as tar:
            members = [m for m in tar if not (m.isdir() and m.name == archive.folder)]
            if sorted(m.name for m in members) != sorted(names) or not all(m.isreg() for m in members):
                raise tarfile.TarError("other members")
            tar.extractall(unfinished, [m.replace(name=Path(m.name).name) for m in members], filter="data")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        part.unlink()
        raise UserError(f"The archive does not hold {archive.title}'s {len(names)} files and no others "
                        f"({error}); it was deleted and nothing of it kept.") from error
