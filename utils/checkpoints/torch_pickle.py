"""What the pickle in a weight file of PyTorch says of tensors, and a pickler that says it."""
import io
import pickle
from collections import OrderedDict
from typing import NamedTuple

ITEM_TYPES = {"DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "bfloat16",
              "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
              "BoolStorage": "?"}


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
    """The bytes of the pickle of {name: Tensor}, as PyTorch writes it."""
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(tensors)
    return file.getvalue()
