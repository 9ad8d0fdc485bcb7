"""Weight files of PyTorch, read without PyTorch and without trust, and written without it.

Both formats hold a pickle of tensors and, apart from it, the bytes of the storages that the tensors are views of. Up to
PyTorch 1.5 all lies in one stream: a magic number, a version, what machine wrote it, the pickle, the storages' keys,
and for each its length and its bytes. Since 1.6 it is an uncompressed zip archive of `data.pkl` and `data/<key>`.
(torch/serialization.py; `torch.save`.)
"""
import io
import os
import zipfile

import numpy as np

from utils import files
from utils.errors import UserError
from utils.session.torch_pickle import Damaged, Storage, Tensor, pickled, unpickle

MAGIC_NUMBER = 0x1950a86a20f9469cfc6c
PROTOCOL_VERSION = 1001
BYTE_ORDERS = {b"little": "<", b"big": ">"}
NORMALISATION = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
"""PyTorch's names of what a batch normalisation has, and TensorFlow's."""


def read(path):
    """The tensors of a file that `torch.save` wrote: {name: array}, names of nested dicts joined by dots.

    Each array has the tensor's shape and type, is read-only and may have strides of its own; bfloat16 comes as
    float32. What is not a tensor is left out. Raises UserError where the file is absent, damaged, of another format
    or asks for anything that tensors, numbers, texts, lists and dicts do not need; nothing in it is executed.
    """
    try:
        with open(path, "rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            content, storages = _read_zip(file) if zipped else _read_stream(file)
        return {name: _view(tensor, storages) for name, tensor in _tensors(content).items()}
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    except MemoryError as error:
        raise UserError(f"{path} holds more than the memory does") from error
    except Damaged as error:
        raise UserError(f"{path} is not a sound weight file of PyTorch: {error}") from error


def write(path, arrays):
    """Write {name: array}, of any type that PyTorch has, as `torch.save` writes a dict of tensors: a zip archive,
    which `torch.load(path, weights_only=True)` reads. Raises UserError where the file cannot be written."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    tensors, content = {}, []
    for name, array in arrays.items():
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        storage = Storage(str(len(content)), little.dtype.str[1:].replace("b1", "?"), little.size)
        strides = tuple(stride // little.itemsize for stride in little.strides)
        tensors[name] = Tensor(storage, 0, little.shape, strides)
        content.append(little.tobytes())
    with files.whole(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickled(tensors))
        archive.writestr("archive/byteorder", "little")
        for key, items in enumerate(content):
            archive.writestr(f"archive/data/{key}", items)
        archive.writestr("archive/version", "3\n")


def as_kernel(weight):
    """PyTorch's [outputs, inputs, height, width] as TensorFlow's [height, width, inputs, outputs], and [outputs,
    inputs] as [inputs, outputs]."""
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T


def as_weight(kernel):
    """The inverse of `as_kernel`."""
    return kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T


def _read_stream(file):
    """(what was pickled, {key: array [length]}) of the older format."""
    magic_number, _ = unpickle(file)
    if magic_number != MAGIC_NUMBER:
        raise Damaged("it begins like neither format")
    (version, _), (machine, _) = unpickle(file), unpickle(file)
    if version != PROTOCOL_VERSION:
        raise Damaged(f"its version is {version!r} and not {PROTOCOL_VERSION}")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise Damaged("a big-endian machine wrote it")
    (content, known), (keys, _) = unpickle(file), unpickle(file)
    if not isinstance(keys, list) or sorted(map(repr, keys)) != sorted(map(repr, known)):
        raise Damaged("its list of storages is not that of its tensors")
    storages = {}
    for key in keys:
        length = int.from_bytes(_exactly(file, 8), "little")
        if length != known[key].length:
            raise Damaged(f"the storage {key!r} has {length} items and not {known[key].length}")
        storages[key] = _items(_exactly(file, _size(known[key])), known[key].item_type, "<")
    return content, storages


def _read_zip(file):
    """(what was pickled, {key: array [length]}) of the zip format."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            prefixes = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
            if len(prefixes) != 1:
                raise Damaged("it is a zip archive, but not of a data.pkl")

            def read(name, size=None):
                entry = entries.get(prefixes[0] + name)
                if entry is None:
                    raise Damaged(f"it has no {name!r}")
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise Damaged(f"{name!r} is compressed")
                if size not in (None, entry.file_size):
                    raise Damaged(f"{name!r} has {entry.file_size} bytes and not {size}")
                return archive.read(entry)

            content, known = unpickle(io.BytesIO(read("data.pkl")))
            order = read("byteorder") if f"{prefixes[0]}byteorder" in entries else b"little"
            if order not in BYTE_ORDERS:
                raise Damaged(f"its byte order is {order!r}")
            return content, {key: _items(read(f"data/{key}", _size(storage)), storage.item_type, BYTE_ORDERS[order])
                             for key, storage in known.items()}
    except (Damaged, MemoryError):
        raise
    except Exception as error:  # a damaged archive can raise nearly anything
        raise Damaged(f"its zip archive is truncated or damaged ({type(error).__name__})") from error


def _exactly(file, size):
    """The next `size` bytes of the file."""
    if size > os.fstat(file.fileno()).st_size - file.tell():
        raise Damaged("it is truncated")
    return file.read(size)


def _size(storage):
    """Bytes of a storage."""
    return storage.length * (2 if storage.item_type == "bfloat16" else np.dtype(storage.item_type).itemsize)


def _items(content, item_type, order):
    """The bytes of a storage as an array [length] of this machine's byte order."""
    if item_type == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(content, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    items = np.frombuffer(content, np.uint8 if item_type == "?" else np.dtype(item_type).newbyteorder(order))
    return items != 0 if item_type == "?" else items.astype(item_type, copy=False)


def _tensors(content):
    """{name: Tensor} of nested dicts."""
    found, waiting, seen = {}, [("", content)], set()
    if not isinstance(content, dict):
        raise Damaged("it holds no dict of tensors")
    while waiting:
        prefix, entries = waiting.pop()
        if id(entries) in seen:
            raise Damaged("a dict in it stands in two places")
        seen.add(id(entries))
        for key, value in entries.items():
            if not isinstance(key, (str, int)):
                raise Damaged(f"it names a tensor {key!r}")
            name = f"{prefix}{key}"
            if isinstance(value, Tensor):
                if name in found:
                    raise Damaged(f"it holds {name!r} twice")
                found[name] = value
            elif isinstance(value, dict):
                waiting.append((f"{name}.", value))
    return found


def _view(tensor, storages):
    """The read-only array that a tensor is."""
    items = storages[tensor.storage.key]
    strides = [stride * items.itemsize for stride in tensor.strides]
    try:
        return np.lib.stride_tricks.as_strided(items[tensor.offset:], tensor.shape, strides, writeable=False)
    except ValueError as error:  # axes without length may be forged to any product
        raise Damaged(f"a tensor has the impossible shape {tensor.shape}") from error
