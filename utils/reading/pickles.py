"""Pickles, read without trust: nothing in them is called, and no more memory is taken than the file accounts for."""
import os
import pickle

import numpy as np

MOST_OPERATIONS = 2 ** 22  # twenty times those of the largest batch of CIFAR-100
NUMPY = {"numpy.core.multiarray._reconstruct", "numpy.core.multiarray.scalar", "numpy.ndarray", "numpy.dtype",
         "_codecs.encode"}  # what Python 3 writes bytes by in an old protocol
PLAIN = b"".join(getattr(pickle, name) for name in """
    MARK STOP POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING
    BINSTRING SHORT_BINSTRING UNICODE BINUNICODE BINUNICODE8 SHORT_BINUNICODE BINBYTES SHORT_BINBYTES BINBYTES8 LIST
    EMPTY_LIST APPEND APPENDS EMPTY_DICT TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 GET BINGET LONG_BINGET PUT BINPUT
    LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL PERSID BINPERSID PROTO""".split())  # the operations that plain data need


class Inert(dict):
    """Stands in for what a pickle names or would make by a call: it keeps what the pickle says and runs nothing.

    name: str. arguments: a tuple, None for what is named and not called. state: anything. Its entries are those that
    the pickle sets. It equals itself alone.
    """

    __slots__ = "name", "arguments", "state"
    __hash__, __eq__ = object.__hash__, object.__eq__

    def __init__(self, name, arguments=None):
        super().__init__()
        self.name, self.arguments, self.state = name, arguments, None


KEYS = {str, bytes, int, float, bool, Inert}  # a tuple's hash would descend into it


def read(file, names, encoding="bytes", persistent=None):
    """What the pickle that begins here holds, made of lists, dicts, tuples, texts, bytes, numbers and `Inert`.

    Who uses it neither compares nor prints nor descends without end what it holds: that may be nested deep, and a part
    may stand in many places.

    Args:
        file: a binary file that can be sought; afterwards it stands behind the pickle.
        names: the names that the pickle may ask for, of numpy 1 where they are numpy's.
        encoding: of the texts that Python 2 wrote.
        persistent: makes an object of a persistent identity, None where there are none.
    Raises: nearly anything where the pickle is damaged, asks for another name or has keys that are no text or number.
    """
    return _Unpickler(file, names, encoding, persistent).load()


def array(value):
    """The array, read-only, that numpy pickled as `value`, an `Inert`. Raises nearly anything where it is none."""
    if value.name != "numpy.core.multiarray._reconstruct":
        raise ValueError(f"it has a {value.name} for an array")
    _, shape, dtype, by_column, raw = value.state
    return _numbers(dtype, raw).reshape(shape, order="F" if by_column else "C")


def number(value):
    """The int that `value` is, or that numpy pickled as `value`. Raises nearly anything where it is none."""
    if type(value) is int:
        return value
    if value.name != "numpy.core.multiarray.scalar":
        raise ValueError(f"it has a {value.name} for a number")
    dtype, raw = value.arguments
    return int(_numbers(dtype, raw, 1)[0])


def _numbers(dtype, raw, most=None):
    """The numbers of that dtype, an `Inert`, in the bytes `raw`, at most so many: a read-only array [N]."""
    kind, order = (str(part, "ascii") if type(part) is bytes else part for part in (dtype.arguments[0], dtype.state[1]))
    if type(kind) is not str or kind not in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"):
        raise ValueError("it has an array of no plain numbers")  # a forged dtype makes bytes pass for pointers
    dtype = np.dtype(f"{'>' if order == '>' else '<'}{kind}")
    if type(raw) is Inert:  # _codecs.encode(text, "latin1")
        raw = raw.arguments[0][:most and most * dtype.itemsize].encode("latin1")
    return np.frombuffer(raw, dtype)


def _with_keys(load, keys):
    """`load`, which makes entries of a dict, with a check of the keys before, that slice of the stack."""
    def checked(self):
        if not KEYS.issuperset(map(type, self.stack[keys])):
            raise ValueError("a key in it is no text or number")
        load(self)
    return checked


class _Unpickler(pickle._Unpickler):
    """Knows the operations that plain data need.

    It is the unpickler written in Python, as fast where most bytes are of few items: its memo is a dict, whereas the
    other takes as much memory as a forged memo index says.
    """

    def __init__(self, file, names, encoding, persistent):
        super().__init__(file, encoding=encoding)
        start = file.tell()
        size = file.seek(0, os.SEEK_END)
        file.seek(start)
        self.read, self.readline = lambda n: file.read(min(n, size)), file.readline
        self.metastack, self.stack, self.proto = [], [], 0
        self.append = self.stack.append
        self._names, self._persistent = names, persistent

    def load(self):
        dispatch, read = self.dispatch, self._file_read
        try:
            for _ in range(MOST_OPERATIONS):
                dispatch[read(1)[0]](self)
        except pickle._Stop as stop:
            return stop.value
        raise ValueError("it has too many parts")

    def find_class(self, module, name):
        asked = f"{module}.{name}".replace("numpy._core.", "numpy.core.", 1)
        if asked not in self._names:
            raise ValueError(f"it asks for {asked}")
        return Inert(asked)

    def persistent_load(self, identity):
        return self._persistent(identity)

    def load_reduce(self):
        arguments, function = self.stack.pop(), self.stack[-1]
        if type(function) is not Inert or function.arguments is not None or type(arguments) is not tuple:
            raise ValueError("it calls what is no function")
        self.stack[-1] = Inert(function.name, arguments)

    def load_build(self):
        state = self.stack.pop()
        if type(self.stack[-1]) is not Inert:
            raise ValueError("it gives a state to what has none")
        self.stack[-1].state = state

    def load_frame(self):
        self.read(8)  # a frame's length, which only makes reading faster

    dispatch = {code: pickle._Unpickler.dispatch[code] for code in PLAIN} | {
        pickle.REDUCE[0]: load_reduce, pickle.BUILD[0]: load_build, pickle.FRAME[0]: load_frame,
        pickle.DICT[0]: _with_keys(pickle._Unpickler.load_dict, slice(0, None, 2)),
        pickle.SETITEMS[0]: _with_keys(pickle._Unpickler.load_setitems, slice(0, None, 2)),
        pickle.SETITEM[0]: _with_keys(pickle._Unpickler.load_setitem, slice(-2, -1))}
