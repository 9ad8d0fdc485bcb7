"""The one reader of pickles, by each of the kinds of file that hold one: what is read, and what must be refused."""
import functools
import io
import pickle
import resource

import numpy as np
import pytest
from conftest import DATA
from forgery import batch_bytes, published

from gpq.utils.checkpoints import torch_files, wsdhq_release
from gpq.utils.data import archives, cifar100
from gpq.utils.data.tags import released
from gpq.utils.errors import UserError
from gpq.utils.reading import pickles

HEADER = b"\x93NUMPY\x01\x00\x06\x00{   }\n"  # of a .npy file
BATCH = batch_bytes(published("train", 20))
GROUPS = pickle.dumps({np.int64(0): [np.int64(1), 2], 1: [0], -1: [3]}, 2)
LAYERS = {"conv1": [np.ones((2, 2, 3, 4), np.float32), np.zeros(4)], "C": np.asfortranarray(np.eye(4, dtype="f"))}
KINDS = {  # each: what reads a file, a sound one, and how a pickle becomes one
    "batch": (lambda path: archives.read_batch(cifar100.ARCHIVE, path, "fetch"), BATCH, bytes),
    "meta": (lambda path: cifar100._class_names(path, "fetch"),
             batch_bytes({b"fine_label_names": [b"%d" % n for n in range(100)]}), bytes),
    "tags": (lambda path: released._groups(path, 4), GROUPS, bytes),
    "layers": (wsdhq_release.read, HEADER + pickle.dumps(np.array(LAYERS, object), 2), HEADER.__add__),
    "stream": (torch_files.read, (DATA / "torch_stream.pt").read_bytes(),
               b"".join([*(pickle.dumps(part, 2) for part in (torch_files.MAGIC_NUMBER, 1001,
                                                              {"little_endian": True}))]).__add__),
    "zip": (torch_files.read, (DATA / "torch_zip.pt").read_bytes(), lambda pickled: zipped(pickled))}
EACH = pytest.mark.parametrize("kind", KINDS)


def zipped(pickled):
    file = io.BytesIO()
    with torch_files.zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
    return file.getvalue()


def read(pickled, names=pickles.NUMPY):
    return pickles.read(io.BytesIO(pickled), names)


@pytest.fixture
def refused(tmp_path):
    """refused(kind, pickle): the one sentence with which a file of that kind and pickle is refused."""
    def refusing(kind, pickled):
        reader, _, frame = KINDS[kind]
        (tmp_path / "file").write_bytes(frame(pickled))
        with pytest.raises(UserError, match="file is damaged or no ") as caught:
            reader(tmp_path / "file")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
        return str(caught.value)
    return refusing


@pytest.mark.parametrize("protocol", range(5))
def test_plain_data_and_numbers_of_numpy(protocol):
    content = {"a": [1, -2 ** 70, 2.5, None, True, (), (1, (2, 3)), {}], b"b" if protocol > 2 else 7: "\u00e9\n" * 300}
    assert read(pickle.dumps(content, protocol)) == content
    for dtype in ("u1", "i1", "<i8", ">i4", "f4", ">f8"):
        for made in (np.arange(6).astype(dtype).reshape(2, 3), np.asfortranarray(np.ones((2, 3), dtype))):
            found = pickles.array(read(pickle.dumps(made, protocol)))
            np.testing.assert_array_equal(found, made)
            assert found.dtype == made.dtype
    for made in (np.int64(-5), np.uint8(200), -5):
        assert pickles.number(read(pickle.dumps(made, protocol))) == made


@EACH
def test_a_sound_file_of_each_kind_is_read(kind, tmp_path):
    reader, sound, _ = KINDS[kind]
    (tmp_path / "file").write_bytes(sound)
    assert len(reader(tmp_path / "file")) > 1


@EACH
def test_a_key_that_is_nested_deep_is_refused_before_its_hash(kind, refused):
    assert "a key in it is no text or number" in refused(kind, b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s.")
    for key in (b"}()\x85K\x01u.", b"()\x85K\x01d.", b"}K\x00K\x01s(NK\x01u."):
        assert "a key in it is no text or number" in refused(kind, key)


@EACH
def test_lengths_and_numbers_of_a_memo_take_no_memory(kind, refused):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for pickled in (b"\x80\x02]r\x00\x00\x00\x10.", b"]p1000000000000\n.", b"\x8e" + b"\xff" * 7 + b"\x7f.",
                    b"B\xff\xff\xff\xff.", b"T\xff\xff\xff\x7f.", b"X\xff\xff\xff\xff.",
                    b"\x95" + b"\xff" * 7 + b"\x7f].", b"\x96" + b"\x00\x00\x00\x00\x01\x00\x00\x00."):
        refused(kind, pickled)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def laughs(depth=60):
    """A pickle's list of two references to a list of two references, and so on."""
    return b"]q\x00" + b"".join(b"]q%c(h%ch%ce" % (n, n - 1, n - 1) for n in range(1, depth))


@EACH
def test_what_is_nested_deep_or_stands_in_many_places_is_neither_walked_nor_printed(kind, refused):
    for value in (laughs(), b"]" + b")" + b"\x85" * 10_000 + b"a"):
        keys = [b"U\x04data", b"U\x0bfine_labels", b"U\x10fine_label_names", b"K\x00", b"U\x01C"]
        refused(kind, value + b".")
        if kind not in ("stream", "zip"):  # which leave out what is no tensor
            refused(kind, b"}(" + b"".join(key + value for key in keys) + b"u.")


def test_pytorchs_list_of_storages_is_not_printed(refused):
    empty = pickle.dumps({}, 2)
    for value in (laughs(), b"](" + laughs() + b"e", b"]" + b")" + b"\x85" * 10_000 + b"a"):
        assert "list of storages" in refused("stream", empty + value + b".")


def test_dicts_of_tensors_that_nest_deep_are_refused_in_time(refused):
    deep = b"K\x00q\x000}" + b"h\x00}" * 99_999 + b"s" * 99_999 + b"."
    for kind in ("stream", "zip"):
        assert "too long" in refused(kind, deep + pickle.dumps([]))


def test_more_operations_than_any_file_needs_are_refused():
    with pytest.raises(ValueError, match="too many parts"):
        read(b"N0" * pickles.MOST_OPERATIONS)


def test_names_beside_the_given_and_operations_beside_the_plain_are_refused():
    for pickled in (b"cos\nsystem\n.", b"\x8c\x02os\x8c\x06system\x93.", b"\x80\x02\x8f.", b"(cnumpy\nndarray\no.",
                    b"cnumpy\nndarray\n)\x81.", b"(inumpy\nndarray\n.", b"\x82\x01.", b"]K\x01b.", b"])R.",
                    b"cnumpy\nndarray\n]R.", b"cnumpy\nndarray\n)R)R."):
        with pytest.raises(Exception, match="."):
            read(pickled)


@EACH
def test_damage_is_refused_or_read(kind, tmp_path):
    """200 seeded damages: nothing but UserError may come of them."""
    reader, sound, _ = KINDS[kind]
    generator = np.random.default_rng(len(kind))
    where = len(sound) - 200 if kind == "batch" else 0  # not in the pixels
    seen = 0
    for _ in range(200):
        spoilt = bytearray(sound)
        for place in generator.integers(where * (generator.random() < 0.5), len(sound), generator.integers(1, 4)):
            spoilt[place] = generator.choice([spoilt[place] ^ 1 << generator.integers(8), *b"(.}]t\x85s\xff\x00R"])
        if generator.random() < 0.2:
            del spoilt[generator.integers(len(spoilt)):]
        (tmp_path / "file").write_bytes(spoilt)
        try:
            reader(tmp_path / "file")
        except UserError as error:
            assert "\n" not in str(error)
            seen += 1
    assert seen > 20


def test_the_reader_is_told_where_a_pickle_ends():
    file = io.BytesIO(pickle.dumps([1], 4) + pickle.dumps("two", 0) + b"rest")
    found = [functools.partial(pickles.read, names=set())(file) for _ in range(2)]
    assert found == [[1], "two"] and file.read() == b"rest"
