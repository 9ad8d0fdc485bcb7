"""Weight files of PyTorch, read without PyTorch and without trust.

Both formats hold a pickle of tensors and, apart from it, the bytes of the storages that the tensors are views of. Up to
PyTorch 1.5 all lies in one stream: a magic number, a version, what machine wrote it, the pickle, the storages' keys,
and for each its length and its bytes. Since 1.6 it is an uncompressed zip archive of `data.pkl` and `data/<key>`.
(torch/serialization.py; `torch.save`.)
"""
import io
import os
import zipfile
from typing import NamedTuple

import numpy as np

from gpq.utils import files
from gpq.utils.reading import pickles

ITEM_TYPES = {"DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "bfloat16",
              "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
              "BoolStorage": "?"}
MAGIC_NUMBER = 0x1950a86a20f9469cfc6c
PROTOCOL_VERSION = 1001
BYTE_ORDERS = {b"little": "<", b"big": ">"}
TENSOR, PARAMETERS = "torch._utils._rebuild_tensor_v2", ("torch._utils._rebuild_parameter",
                                                         "torch._utils._rebuild_parameter_with_state")
NAMES = {TENSOR, *PARAMETERS, "collections.OrderedDict", "torch.Size", *(f"torch.{kind}" for kind in ITEM_TYPES)}
NORMALISATION = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
"""PyTorch's names of what a batch normalisation has, and TensorFlow's."""


class Storage(NamedTuple):
    """The one-dimensional array that a tensor is a view of."""

    key: str  # its name in the file
    item_type: str  # a value of ITEM_TYPES
    length: int  # in items


class Tensor(NamedTuple):
    """A view of a storage: where it begins, how long each axis is, and how far its items lie apart; all in items."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path):
    """The tensors of a file that `torch.save` wrote: {name: array}, names of nested dicts joined by dots.

    Each array has the tensor's shape and type, is read-only and may have strides of its own, 0 among them, so that a
    copy may be larger than the file; bfloat16 comes as float32. What is not a tensor is left out. Raises UserError
    where the file is absent, damaged, of another format or asks for anything that tensors, numbers, texts, lists and
    dicts do not need; nothing in it is executed.
    """
    with files.opened(path, "weight file of PyTorch") as file:
        size = os.fstat(file.fileno()).st_size
        zipped = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        content, storages = (_read_zip if zipped else _read_stream)(file, size)
        return {name: _view(tensor, storages) for name, tensor in _tensors(content).items()}


def as_kernel(weight):
    """PyTorch's [outputs, inputs, height, width] as TensorFlow's [height, width, inputs, outputs], and [outputs,
    inputs] as [inputs, outputs]."""
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T


def _unpickled(file):
    """(what the pickle that begins here holds, {key: Storage} of the storages it refers to)."""
    known = {}

    def storage(identity):
        kind, key, _, length, *view = identity[1:]
        if identity[0] != "storage" or type(kind) is not pickles.Inert or (type(key), type(length)) != (str, int):
            raise ValueError("a storage has no type, name or length")
        if view and view != [None]:
            raise ValueError("a storage is a part of another, as only PyTorch before 0.4 wrote them")
        made = Storage(key, ITEM_TYPES[kind.name.removeprefix("torch.")], length)
        if length < 0 or known.setdefault(key, made) != made:
            raise ValueError(f"the storage {key} has two types or lengths")
        return made

    return pickles.read(file, NAMES, "utf-8", storage), known


def _read_stream(file, size):
    """(what was pickled, {key: array [length]}) of the older format, in a file of `size` bytes."""
    if _unpickled(file)[0] != MAGIC_NUMBER:
        raise ValueError("it begins like neither format")
    if _unpickled(file)[0] != PROTOCOL_VERSION:
        raise ValueError(f"its version is not {PROTOCOL_VERSION}")
    if _unpickled(file)[0].get("little_endian") is not True:
        raise ValueError("a big-endian machine wrote it")
    (content, known), (keys, _) = _unpickled(file), _unpickled(file)
    if not all(type(key) is str for key in keys) or len(keys) != len(known) or set(keys) != known.keys():
        raise ValueError("its list of storages is not that of its tensors")
    storages = {}
    for key in keys:
        if file.read(8) != known[key].length.to_bytes(8, "little"):
            raise ValueError(f"the storage {key} has not {known[key].length} items")
        storages[key] = _items(file.read(min(_size(known[key]), size)), known[key], "<")
    return content, storages


def _read_zip(file, size):
    """(what was pickled, {key: array [length]}) of the zip format, in a file of `size` bytes."""
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        prefixes = [name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")]
        if len(prefixes) != 1:
            raise ValueError("it is a zip archive, but not of a data.pkl")

        def read(name):
            entry = entries[f"{prefixes[0]}{name}"]
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
                raise ValueError(f"{name} is compressed, or longer than the file")
            return archive.read(entry)

        content, known = _unpickled(io.BytesIO(read("data.pkl")))
        order = read("byteorder") if f"{prefixes[0]}byteorder" in entries else b"little"
        if order not in BYTE_ORDERS:
            raise ValueError("its byte order is neither little nor big")
        if sum(map(_size, known.values())) > size:
            raise ValueError("its storages are longer than itself")
        return content, {key: _items(read(f"data/{key}"), storage, BYTE_ORDERS[order])
                         for key, storage in known.items()}


def _size(storage):
    """Bytes of a storage."""
    return storage.length * (2 if storage.item_type == "bfloat16" else np.dtype(storage.item_type).itemsize)


def _items(content, storage, order):
    """The bytes of a storage as an array [length] of this machine's byte order."""
    if len(content) != _size(storage):
        raise ValueError(f"the storage {storage.key} has {len(content)} bytes and not {_size(storage)}")
    if storage.item_type == "bfloat16":  # the upper half of a float32
        return (np.frombuffer(content, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    if storage.item_type == "?":
        return np.frombuffer(content, np.uint8) != 0
    items = np.frombuffer(content, np.dtype(storage.item_type).newbyteorder(order))
    return items.astype(storage.item_type, copy=False)


def _tensors(content):
    """{name: Tensor} of nested dicts."""
    if not _is_dict(content):
        raise ValueError("it holds no dict of tensors")
    found, waiting, seen = {}, [("", content)], set()
    while waiting:
        prefix, entries = waiting.pop()
        if id(entries) in seen:
            raise ValueError("a dict in it stands in two places")
        seen.add(id(entries))
        for key, value in entries.items():
            name = f"{prefix}{key}" if type(key) in (str, int) else ""
            if not 0 < len(name) < 1000 or name in found:
                raise ValueError("a tensor in it has no name, or one that is too long or another's")
            value = value.arguments[0] if _is(value, *PARAMETERS) else value
            if _is(value, TENSOR):
                found[name] = _tensor(*value.arguments[:4])
            elif _is_dict(value):
                waiting.append((f"{name}.", value))
    return found


def _is(value, *names):
    """Whether `value` is what a pickle makes by a call of one of these names."""
    return type(value) is pickles.Inert and value.arguments is not None and value.name in names


def _is_dict(value):
    """Whether `value` is a dict, or an OrderedDict, whose attributes are dropped."""
    return type(value) is dict or _is(value, "collections.OrderedDict")


def _tensor(storage, offset, shape, strides):
    """The Tensor of what torch._utils._rebuild_tensor_v2 is called with."""
    if type(storage) is not Storage:
        raise ValueError("a tensor has no storage")
    if not (type(shape) is type(strides) is tuple and len(shape) == len(strides) <= 32
            and all(type(n) is int and 0 <= n < 2**48 for n in (offset, *shape, *strides))):
        raise ValueError("a tensor's shape, strides or offset are no list of sizes")
    if 0 not in shape:
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if last >= storage.length:
            raise ValueError(f"a tensor reaches to item {last} of a storage of {storage.length}")
    return Tensor(storage, offset, shape, strides)


def _view(tensor, storages):
    """The read-only array that a tensor is. Raises ValueError where axes without length are forged to any product."""
    items = storages[tensor.storage.key]
    strides = [stride * items.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(items[tensor.offset:], tensor.shape, strides, writeable=False)
