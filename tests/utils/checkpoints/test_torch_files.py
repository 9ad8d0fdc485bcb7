"""Weight files of PyTorch, read without it: both formats as it wrote them, and what must be refused."""
import io
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from conftest import DATA, ROOT
from forgery import ATTACKS, Executes

from gpq.utils.checkpoints import torch_files
from gpq.utils.errors import UserError

FILES = ("torch_stream.pt", "torch_zip.pt")  # torch.save of the same content by PyTorch 2.13, in its two formats
GRID = np.arange(24, dtype=np.float32).reshape(4, 6)
CONTENT = {
    "network.0.weight": GRID[0].reshape(2, 3), "network.0.bias": np.float32([1, 2]),
    "network.1.weight": np.float32([2, 3]), "network.1.bias": np.float32([3, 4]),
    "network.1.running_mean": np.float32([4, 5]), "network.1.running_var": np.float32([5, 6]),
    "network.1.num_batches_tracked": np.int64(6), "step": np.int64(7), "parameter": np.float32([1.5, -2]),
    "shared.whole": GRID, "shared.transposed": GRID.T, "shared.part": GRID[1:, 1::2],
    "shared.spread": np.float32([5, 5, 5]), "half": np.float16([0.5, -3]), "bfloat16": np.float32([0.5, -3]),
    "double": np.array([[1e300]]), "flags": np.array([True, False, True]), "bytes": np.uint8([255, 0]),
    "small": np.int16([-5]),
    "empty": np.zeros((0, 4), np.float32)}
SIX = GRID[0].tobytes()  # what the storage 0 of a file made by hand holds
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


class StandIn:
    """Pickles as a global or as a reference to a storage, without PyTorch."""

    def __init__(self, *what):
        self.what = what


class Pickler(pickle._Pickler):
    """Writes a StandIn of two texts as that global, and one of more as the persistent identity it holds."""

    def persistent_id(self, value):
        return value.what if isinstance(value, StandIn) and len(value.what) != 2 else None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, StandIn) and len(value.what) == 2:
            self.write(b"c%s\n%s\n" % tuple(part.encode() for part in value.what))
        else:
            super().save(value, save_persistent_id)

    def save_reduce(self, function, arguments, *rest, **named):
        if isinstance(function, StandIn):
            self.save(function)
            self.save(arguments)
            self.write(pickle.REDUCE)
        else:
            super().save_reduce(function, arguments, *rest, **named)


def pickled(value):
    file = io.BytesIO()
    Pickler(file, 2).dump(value)
    return file.getvalue()


def storage(key="0", kind="FloatStorage", length=6, location="cpu", *view):
    return StandIn("storage", StandIn("torch", kind), key, location, length, *view)


def tensor(storage, offset=0, shape=(2, 3), strides=(3, 1), function="_rebuild_tensor_v2"):
    return Executes(StandIn("torch._utils", function), storage, offset, shape, strides, False, OrderedDict())


def stream(content, keys=("0",), length=6, version=1001, machine=MACHINE):
    """The bytes of a file of the older format. content: a value to pickle, or the pickle itself."""
    content = content if isinstance(content, bytes) else pickled(content)
    head = [torch_files.MAGIC_NUMBER, version, machine]
    return b"".join([*map(pickled, head), content, pickled(list(keys)), length.to_bytes(8, "little"), SIX])


def zipped(content, compression=zipfile.ZIP_STORED, folder="a/", **entries):
    """The bytes of a file of the zip format; entries: {name: bytes} in place of the usual."""
    content = content if isinstance(content, bytes) else pickled(content)
    entries = {"data.pkl": content, "data/0": SIX, **entries}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, bytes_ in entries.items():
            if bytes_ is not None:
                archive.writestr(f"{folder}{name}", bytes_)
    return file.getvalue()


@pytest.fixture
def read(tmp_path):
    """read(bytes): what torch_files makes of a file of them."""
    def reading(content):
        (tmp_path / "weights.pt").write_bytes(content)
        return torch_files.read(tmp_path / "weights.pt")
    return reading


@pytest.fixture
def refused(read):
    """refused(bytes): the one sentence that such a file is refused with."""
    def refusing(content):
        with pytest.raises(UserError) as caught:
            read(content)
        assert "weights.pt" in str(caught.value) and "\n" not in str(caught.value)
        return str(caught.value)
    return refusing


@pytest.mark.parametrize("name", FILES)
def test_reads_what_pytorch_wrote(name):
    """Views of a shared storage, a parameter, nested dicts and every type; numbers and texts are left out."""
    found = torch_files.read(DATA / name)
    assert found.keys() == CONTENT.keys()
    for key, expected in CONTENT.items():
        assert found[key].dtype == expected.dtype and found[key].shape == expected.shape, key
        np.testing.assert_array_equal(found[key], expected, key)
        assert not found[key].flags.writeable


def test_needs_no_pytorch():
    code = (f"import sys; from gpq.utils.checkpoints import torch_files; torch_files.read({str(DATA / FILES[0])!r}); "
            "sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("form", [stream, zipped])
def test_reads_a_file_made_by_hand(form, read):
    found = read(form({"x": tensor(storage()), "y": tensor(storage(), 1, (2, 2), (1, 3))}))
    np.testing.assert_array_equal(found["x"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["y"], [[1, 4], [2, 5]])


def test_byte_order(read, refused):
    big = zipped({"x": tensor(storage())}, **{"data/0": np.arange(6, dtype=">f4").tobytes(), "byteorder": b"big"})
    np.testing.assert_array_equal(read(big)["x"], [[0, 1, 2], [3, 4, 5]])
    assert "byte order" in refused(zipped({"x": tensor(storage())}, byteorder=b"middle"))
    assert "big-endian" in refused(stream({"x": tensor(storage())}, machine={**MACHINE, "little_endian": False}))


@pytest.mark.parametrize("name", FILES)
def test_truncated(name, refused):
    content = (DATA / name).read_bytes()
    for length in {*range(0, len(content), 101), len(content) - 1}:
        refused(content[:length])


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_is_refused_or_read(name, read):
    """Nothing but UserError may come of it; every 23rd byte in turn."""
    content = bytearray((DATA / name).read_bytes())
    for place in range(0, len(content), 23):
        content[place] ^= 0x5A
        try:
            read(content)
        except UserError:
            pass
        content[place] ^= 0x5A


@pytest.mark.parametrize("offset, shape, strides", [
    (0, (2, 3), (4, 1)), (1, (2, 3), (3, 1)), (6, (1,), (1,)), (-1, (2,), (1,)), (5, (2,), (-1,)), (0, (2, 3), (1,)),
    (0, [2, 3], [3, 1]), (0, (2.0,), (1,)), (0, (True,), (1,)), (0, (2**60,), (1,)), (0, ("2",), (1,)),
    (0, (2**40, 2**40), (0, 0)), (0, (1,) * 40, (1,) * 40)])
@pytest.mark.parametrize("form", [stream, zipped])
def test_a_view_beyond_its_storage(form, offset, shape, strides, refused):
    refused(form({"x": tensor(storage(), offset, shape, strides)}))


@pytest.mark.parametrize("kind, length, key", [("FloatStorage", 7, "0"), ("DoubleStorage", 6, "0"),
                                               ("FloatStorage", -6, "0"), ("FloatStorage", 6, "1"),
                                               ("FloatStorage", 6, 0), ("FloatStorage", 2**62, "0")])
@pytest.mark.parametrize("form", [stream, zipped])
def test_a_storage_that_is_not_there(form, kind, length, key, refused):
    refused(form({"x": tensor(storage(key, kind, length), 0, (2,), (1,))}))


@pytest.mark.parametrize("content", [
    7, [], {("a", "b"): tensor(storage())}, {"a": {"b": tensor(storage())}, "a.b": tensor(storage())},
    {"x": tensor(None)}, {"x": tensor(storage()), "y": tensor(storage("0", "IntStorage"))},
    {"x": tensor(storage("0", "FloatStorage", 6, "cpu", ("part", 0, 3)))}, {"x": tensor(storage("0", "QInt8Storage"))},
    {"x": StandIn("storage", "FloatStorage", "0", "cpu", 6)}, {"x": StandIn("module", None, "0", "cpu", 6)},
    {"x": tensor(storage(), function="_rebuild_sparse_tensor")}])
@pytest.mark.parametrize("form", [stream, zipped])
def test_other_content(form, content, refused):
    refused(form(content))


def test_a_dict_within_itself(refused):
    endless = {}
    endless["again"] = endless
    assert "two places" in refused(stream(endless, keys=()))


def test_the_frame_of_each_format(refused):
    sound = {"x": tensor(storage())}
    assert "version" in refused(stream(sound, version=1002))
    assert "list of storages" in refused(stream(sound, keys=("0", "1")))
    assert "items" in refused(stream(sound, length=5))
    assert "compressed" in refused(zipped(sound, zipfile.ZIP_DEFLATED))
    assert "data.pkl" in refused(zipped(sound, **{"data.pkl": None}))
    assert "data/0" in refused(zipped(sound, **{"data/0": None}))
    assert "bytes" in refused(zipped(sound, **{"data/0": b"short"}))
    assert "neither" in refused(pickled({"x": 1}))
    refused(b"")
    refused(b"no weights at all")


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", [bytes, stream, zipped])
def test_hostile(place, attack, refused, tmp_path):
    """As the first pickle of the older format, as its content, and as that of the zip format."""
    refused(place(attack(tmp_path / "made")))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [
    b"ctorch._utils\n_rebuild_parameter\n}X\x05\x00\x00\x00_callN\x86b.",  # gives a function attributes
    b"ctorch._utils\n_rebuild_parameter\nN}X\x05\x00\x00\x00_callNs\x86b.",
    b"ctorch\nFloatStorage\n}X\x09\x00\x00\x00item_typeX\x01\x00\x00\x00Osb.",
    b"]r\xff\xff\xff\x7f.",  # a memo of 16 GiB, were it a list
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."])  # eight exbibytes of text
def test_hostile_to_the_reader_itself(content, refused):
    refused(stream(content, keys=()))
    assert torch_files.read(DATA / FILES[0]).keys() == CONTENT.keys()


def test_absent(tmp_path):
    with pytest.raises(UserError, match="there is no file .*absent.pt"):
        torch_files.read(tmp_path / "absent.pt")
    with pytest.raises(UserError, match="is a folder"):
        torch_files.read(tmp_path)
