"""utils/reading/arrays.py: whatever a .npy or .npz holds, there are arrays of the form asked for, or one sentence."""
import io
import zipfile

import numpy as np
import pytest
from damage import mutations, sentence

from gpq.utils.errors import UserError
from gpq.utils.reading import arrays

FORMS = {"features": "float16 or float32 [N, D]", "labels?": "int [N] or bool [N, L]", "names?": "str [N]"}


def read(path, **more):
    return arrays.read(path, FORMS, "file of vectors", **more)


@pytest.fixture
def held():
    g = np.random.default_rng(0)
    return {"features": g.normal(size=(9, 4)).astype(np.float32), "labels": np.arange(9) % 3,
            "names": np.array([f"{i}.jpg" for i in range(9)])}


def npy(array, **more):
    file = io.BytesIO()
    np.save(file, array, **more)
    return file.getvalue()


def test_reads_npz_folder_and_npy_alike(tmp_path, held):
    np.savez(tmp_path / "v.npz", **held)
    np.savez_compressed(tmp_path / "c.npz", **held)
    (tmp_path / "f").mkdir()
    for name, array in held.items():
        np.save(tmp_path / "f" / name, array)
    for path in ("v.npz", "c.npz", "f"):
        found = read(tmp_path / path)
        assert found.keys() == held.keys()
        for name, array in held.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
    alone = read(tmp_path / "f" / "features.npy")
    assert list(alone) == ["features"]
    np.testing.assert_array_equal(alone["features"], held["features"])


@pytest.mark.parametrize("array", [np.array(3), np.array("text"), np.zeros((0, 4), np.float32), np.ones((2, 3), int),
                                   np.asfortranarray(np.arange(6.).reshape(2, 3)), np.arange(6, dtype=">i4"),
                                   np.array(["\U0010ffff", "ä"], ">U2"), np.array([True, False])])
def test_one_is_as_it_was_saved(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", a=array)
    kind = next(name for name, kinds in arrays.KINDS.items() if array.dtype.kind in kinds)
    form = f"{kind} [{', '.join('ABC'[:array.ndim])}]"
    packed = arrays.read(tmp_path / "a.npz", {"a": form}, "file")["a"]
    for found in (arrays.one(tmp_path / "a.npy", form, "array"), packed):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


def test_an_npz_where_an_npy_is_read_is_a_sentence_that_says_the_way_out(tmp_path, held):
    np.savez(tmp_path / "v.npz", **held)
    told = sentence(lambda: arrays.one(tmp_path / "v.npz", "float32 [N, D]", "array"))
    assert told.endswith(f"np.save('v.npy', np.load('{tmp_path}/v.npz')['features'])")


def test_says_which_array_has_another_form(tmp_path, held):
    def told(**change):
        np.savez(tmp_path / "v.npz", **{**held, **change})
        return sentence(lambda: read(tmp_path / "v.npz"))

    assert told(labels=np.zeros(9)).endswith("is float64 [9]; it must be int [N] or bool [N, L], N = 9")
    assert "names in" in told(names=held["names"][:5]) and "<U5 [5]" in told(names=held["names"][:5])
    assert "features in" in told(features=np.zeros(9))
    assert "has more, which is unknown" in told(more=np.zeros(2))
    objects = told(names=np.array(["a"] * 9, object))
    assert "names in" in objects and "dtype=object" in objects and "np.array(names.tolist())" in objects
    np.savez(tmp_path / "v.npz", labels=held["labels"])
    assert "has no features" in sentence(lambda: read(tmp_path / "v.npz"))
    np.savez(tmp_path / "v.npz", **held)
    assert "N = 8" in sentence(lambda: read(tmp_path / "v.npz", N=8))


def test_ranges_exclude_what_is_outside_and_nan(tmp_path):
    for values, right in (([0, .5, 1], True), ([0, 1.01], False), ([-.01], False), ([np.nan], False), ([], True)):
        np.save(tmp_path / "a.npy", np.array(values, float))
        def look():
            return arrays.one(tmp_path / "a.npy", "float [N], 0 to 1", "array")
        assert len(look()) == len(values) if right else "0 to 1" in sentence(look)


def headed(header, data=b""):
    text = header.encode("latin1").ljust(117) + b"\n"
    return arrays.MAGIC + b"\x01\x00" + len(text).to_bytes(2, "little") + text + data


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 32), }"


@pytest.mark.parametrize("content", [
    b"", b"\x93NUMPY", headed(GOOD), headed(GOOD, bytes(127)), headed(GOOD, bytes(129)), headed(GOOD[:40]),
    headed(GOOD.replace(")", "")), headed(GOOD.replace("(1,", "(-1,"), bytes(128)),
    headed(GOOD.replace("(1,", "(True,"), bytes(128)), headed(GOOD.replace("(1,", "(" + "-" * 5000 + "1,")),
    headed(GOOD.replace("(1,", "(4611686018427387904, 4,"), bytes(128)), headed(GOOD.replace("<f4", "<U0"), bytes(128)),
    headed(GOOD.replace("<f4", "|S99999999999"), bytes(128)), headed(GOOD.replace("'<f4'", "None"), bytes(128)),
    headed(GOOD.replace("<f4", "|b1").replace("32", "2"), b"\x01\x02"),
    headed(GOOD.replace("(1, 32)", "{}"), bytes(128)), b"PK\x03\x04",
    headed(GOOD.replace("<f4", "<U1").replace("32", "1"), b"\xff\xff\xff\x7f"), npy([{}], allow_pickle=True),
    arrays.MAGIC + b"\x02\x00\xff\xff\xff\xff" + GOOD.encode(), arrays.MAGIC + b"\x09\x00" + GOOD.encode()])
def test_a_damaged_npy_is_one_sentence(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    assert "a.npy" in sentence(lambda: arrays.one(tmp_path / "a.npy", "float32 [N, D]", "array"))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("features.npy", content)
    assert "a.npz" in sentence(lambda: read(tmp_path / "a.npz"))


def test_a_bomb_is_refused_before_it_unpacks(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "UNPACKED", 2 ** 20)
    np.savez_compressed(tmp_path / "v.npz", features=np.zeros((2 ** 19, 1), np.float32))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was unpacked"))
    assert "200 times" in sentence(lambda: read(tmp_path / "v.npz"))


def test_a_flipped_bit_in_content_or_name_of_a_member_is_noticed(tmp_path, held):
    np.savez(tmp_path / "v.npz", **held)
    good = (tmp_path / "v.npz").read_bytes()
    for at in (good.rfind(b"names.npy"), good.rfind(b"labels.npy"), good.rfind(b"features.npy"),
               good.find("3.jpg".encode("utf-32-le")), good.find(held["features"].tobytes()) + 7):
        (tmp_path / "v.npz").write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        sentence(lambda: read(tmp_path / "v.npz"))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_any_mutation_of_an_npz_is_noticed_or_harmless(tmp_path, held, save):
    save(tmp_path / "v.npz", **held)
    good, path, refused = (tmp_path / "v.npz").read_bytes(), tmp_path / "m.npz", 0
    for content in mutations(good, 250):
        path.write_bytes(content)
        try:
            found = read(path)
        except UserError as error:
            refused += "\n" not in str(error)
        else:  # what is not checksummed: dates, attributes, comments
            assert all(np.array_equal(found[name], held[name]) for name in held)
    assert refused > 150


def test_any_mutation_of_an_npy_is_one_sentence_or_an_array_of_that_form(tmp_path, held):
    path = tmp_path / "m.npy"
    for name, form in (("features", "float32 [N, 4]"), ("names", "str [N]")):
        for content in mutations(npy(held[name]), 250):
            path.write_bytes(content)
            try:
                found = arrays.one(path, form, "array")
            except UserError as error:
                assert "\n" not in str(error)
            else:
                assert found.dtype.kind == held[name].dtype.kind and found.nbytes <= len(content)
                found.tolist()

