"""Batches and archives like the official ones, spoilt and malicious ones: what the tests of both data sets share."""
import hashlib
import io
import os
import pickle
import struct
import tarfile

import numpy as np


def batch_bytes(batch):
    """The published pickle of the dict `batch`: its strings bytes, its `data` uint8 [N, 3072]."""
    file = io.BytesIO()
    PublishedPickler(file, protocol=2).dump(batch)
    # numpy 2 names itself by a module that older readers do not have; the name comes before any pixel
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1)


class PublishedPickler(pickle._Pickler):
    """Writes bytes as the Python 2 strings of the published batches, which the C pickler cannot be taught."""
    dispatch = pickle._Pickler.dispatch.copy()

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


NAMES = [b"class %d" % i for i in range(100)]


def tar(folder, files, *extra, leave_out=()):
    """The bytes of an archive of `folder` with the `files` {name: bytes}, and of the `extra` members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        directory = tarfile.TarInfo(folder)
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(directory)
        for name in files.keys() - set(leave_out):
            add(archive, f"{folder}/{name}", files[name])
        for member in extra:
            add(archive, *member)
    return file.getvalue()


def add(archive, name, content=b"", kind=tarfile.REGTYPE, target=""):
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(content), kind, target
    archive.addfile(member, io.BytesIO(content))


def fetch(module, server, root, archive=None):
    """Fetch with `module` from `server`, expecting the bytes `archive`, by default what is served."""
    archive = archive or server.content
    module.fetch(root, server.url, len(archive), hashlib.md5(archive).hexdigest())


def complete(folder, files, root):
    """Whether `root` holds the `files` in `folder`, whole, and nothing else."""
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return found == {f"{folder}/{name}": content for name, content in files.items()}


def published(split, count):
    """The dict of a CIFAR-100 batch with `count` images of noise, keys in the order of the published one."""
    generator = np.random.default_rng(count)
    return {b"filenames": [b"%s_%06d.png" % (split.encode(), i) for i in range(count)],
            b"batch_label": split.encode() + b"ing batch 1 of 1",
            b"fine_labels": [99, 0, *generator.integers(0, 100, count).tolist()][:count],
            b"coarse_labels": generator.integers(0, 20, count).tolist(),
            b"data": generator.integers(0, 256, (count, 3072), np.uint8)}


def meta(names=NAMES):
    """The pickle of CIFAR-100's `meta`, in which the fine classes have these names."""
    return batch_bytes({b"fine_label_names": names, b"coarse_label_names": [b""] * 20})


def rewrite(path, **changes):
    """Write the batch at `path` anew with some of its entries changed."""
    batch = pickle.loads(path.read_bytes(), encoding="bytes")
    batch.update({name.encode(): value for name, value in changes.items()})
    path.write_bytes(batch_bytes(batch))


class Executes:
    """Pickles as the call of a function, whose result is given a state where one is named."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


def forged_dtype(_):
    """A dtype that hides its objects: numpy would take the sixteen bytes for two pointers and crash."""
    reconstruct = np.empty(0).__reduce__()[0]
    hiding = (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0)
    dtype = Executes(np.dtype, [("a", "u8")], state=hiding)
    array = Executes(reconstruct, np.ndarray, (0,), b"b", state=(1, (2,), dtype, False, b"A" * 16))
    return batch_bytes({b"batch_label": b"", b"labels": [0, 1], b"fine_labels": [0, 1],
                                 b"data": array, b"filenames": [b"", b""]})


# Each makes the bytes of a batch that would make the folder `path`, or crash, where it is trusted.
ATTACKS = [
    lambda path: pickle.dumps(Executes(os.mkdir, str(path)), 2),
    lambda path: pickle.dumps(Executes(os.mkdir, str(path)), 0),
    lambda path: pickle.dumps(Executes(eval, f"__import__('os').mkdir({str(path)!r})"), 4),
    lambda path: pickle.dumps({b"data": Executes(os.system, f"mkdir '{path}'"), b"labels": []}, 2),
    lambda path: pickle.dumps(Executes(np.save, str(path), 1), 2),
    lambda path: b"(S'mkdir " + os.fsencode(path) + b"'\nios\nsystem\n.",
    lambda path: b"cnumpy\ndtype\n(dS'__setstate__'\ncposix\nmkdir\nsb.",
    forged_dtype]
