"""The pickle in a weight file of PyTorch: an unpickler that admits only what tensors are made of, and its inverse."""
import io
import pickle
from collections import OrderedDict
from typing import NamedTuple

ITEM_TYPES = {"DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "bfloat16",
              "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
              "BoolStorage": "?"}


class Damaged(Exception):
    """What is wrong with a file, as the end of a sentence."""


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


class _Dictionary(dict):
    """Stands in for OrderedDict: the attributes that a state dict has besides its entries are dropped."""

    __slots__ = ()

    def __setstate__(self, state):
        pass


class _StorageType(NamedTuple):
    """Stands in for torch.FloatStorage and its like."""

    item_type: str


def _tensor(storage, offset, shape, strides, requires_grad=False, backward_hooks=None, metadata=None):
    """Stands in for torch._utils._rebuild_tensor_v2."""
    if not isinstance(storage, Storage):
        raise Damaged("a tensor has no storage")
    if not (isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 32
            and all(type(n) is int and 0 <= n < 2**48 for n in (offset, *shape, *strides))):
        raise Damaged("a tensor's shape, strides or offset are no list of sizes")
    if 0 not in shape:
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if last >= storage.length:
            raise Damaged(f"a tensor reaches to item {last} of a storage of {storage.length}")
    return Tensor(storage, offset, shape, strides)


def _parameter(data, requires_grad=True, backward_hooks=None, state=None):
    """Stands in for torch._utils._rebuild_parameter."""
    return data


class _Function:
    """Something to call that a pickle cannot give attributes to."""

    __slots__ = ("_call",)

    def __init__(self, call):
        object.__setattr__(self, "_call", call)

    def __call__(self, *arguments):
        return self._call(*arguments)

    def __setattr__(self, name, value):
        raise Damaged(f"it changes {name!r} of a function")


ADMITTED = {("collections", "OrderedDict"): _Function(lambda: _Dictionary()),
            ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
            ("torch._utils", "_rebuild_parameter"): _Function(_parameter),
            ("torch._utils", "_rebuild_parameter_with_state"): _Function(_parameter),
            ("torch", "Size"): _Function(lambda sizes: tuple(sizes) if isinstance(sizes, tuple) else ()),
            **{("torch", name): _StorageType(item_type) for name, item_type in ITEM_TYPES.items()}}


class _Unpickler(pickle._Unpickler):
    """Admits the names that tensors are made of, and puts something inert in the place of each.

    The unpickler written in Python is fast enough and keeps its memo in a dict, whereas the other takes as much memory
    as a forged memo index says.
    """

    def __init__(self, file):
        super().__init__(file, encoding="utf-8")
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) not in ADMITTED:
            raise Damaged(f"it asks for {f'{module}.{name}'!r}, which no tensor needs")
        return ADMITTED[module, name]

    def persistent_load(self, identity):
        if not (isinstance(identity, tuple) and len(identity) in (5, 6) and identity[0] == "storage"):
            raise Damaged("it refers to something other than a storage")
        _, kind, key, _, length, *view = identity
        if not isinstance(kind, _StorageType) or not isinstance(key, str) or type(length) is not int or length < 0:
            raise Damaged("a storage has no type, name or length")
        if view not in ([], [None]):
            raise Damaged("a storage is a part of another, as only PyTorch before 0.4 wrote them")
        storage = Storage(key, kind.item_type, length)
        if self.storages.setdefault(key, storage) != storage:
            raise Damaged(f"the storage {key!r} has two types or lengths")
        return storage


def unpickle(file):
    """(what the pickle that begins here makes, the storages it refers to); the file stands behind it afterwards."""
    unpickler = _Unpickler(file)
    try:
        return unpickler.load(), unpickler.storages
    except (Damaged, MemoryError):
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise Damaged(f"its pickle is truncated or damaged ({type(error).__name__})") from error


class _Name(NamedTuple):
    """Stands in for something of PyTorch that is pickled by its name."""

    module: str
    name: str


class _Pickler(pickle._Pickler):
    """Writes a Tensor as PyTorch pickles one; only the pickler written in Python can be taught to."""

    def persistent_id(self, value):
        if isinstance(value, Storage):
            kind = next(name for name, item_type in ITEM_TYPES.items() if item_type == value.item_type)
            return "storage", _Name("torch", kind), value.key, "cpu", value.length
        return None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, _Name):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        elif isinstance(value, Tensor):
            self.save(_Name("torch._utils", "_rebuild_tensor_v2"))
            self.save((*value, False, OrderedDict()))
            self.write(pickle.REDUCE)
        else:
            super().save(value, save_persistent_id)


def pickled(tensors):
    """The bytes of the pickle of {name: Tensor}, as PyTorch writes and `unpickle` reads it."""
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(tensors)
    return file.getvalue()
