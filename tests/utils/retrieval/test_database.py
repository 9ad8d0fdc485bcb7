"""The database keeps its codes in a file, without loss or waste, and reads older and no foreign ones."""
import os
import resource
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from conftest import ROOT
from galleries import one_hot, random_database

from gpq.utils.errors import UserError
from gpq.utils.retrieval.database import Database, pack, unpack


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("n_book", [3, 12])
def test_packing_loses_nothing_and_wastes_nothing(bits, n_book):
    codes = np.random.default_rng(bits).integers(0, 2**bits, (50, n_book), dtype=np.uint8)
    packed = pack(codes, bits)
    assert packed.dtype == np.uint8 and packed.shape == (50, -(-n_book * bits // 8))
    np.testing.assert_array_equal(unpack(packed, n_book, bits), codes)


def test_two_four_bit_words_share_a_byte():
    np.testing.assert_array_equal(pack(np.uint8([[1, 2, 15]]), 4), [[0x12, 0xF0]])


def test_a_word_too_big_for_its_bits_is_refused():
    with pytest.raises(ValueError, match="16"):
        pack(np.uint8([[3, 16]]), 4)


@pytest.mark.parametrize("known", [True, False])
def test_a_saved_database_comes_back(tmp_path, known):
    database = random_database(100)
    if not known:
        names = np.array([f"picture {i}.png" for i in range(100)])
        database = replace(database, labels=None, names=names, distance="squared", added=True)
    path = tmp_path / "codes.npz"
    database.save(path, features=np.zeros((100, 30), np.float32))
    back = Database.load(path)
    for field in fields(Database):
        ours, theirs = getattr(database, field.name), getattr(back, field.name)
        assert type(ours) is type(theirs)
        np.testing.assert_array_equal(ours, theirs)
    assert back.codes.dtype == np.uint8 and back.codebooks.dtype == np.float32
    with np.load(path) as file:
        assert file["packed_codes"].shape == (100, 2) and file["features"].shape == (100, 30)
    assert os.listdir(tmp_path) == ["codes.npz"]


def test_a_file_of_class_numbers_still_loads(tmp_path):
    database, classes = random_database(100), np.random.default_rng(0).integers(0, 7, 100)
    made_of = '{"checkpoint": "abc"}'
    np.savez(tmp_path / "codes.npz", packed_codes=pack(database.codes, 2), codebooks=database.codebooks,
             made_of=made_of, labels=classes)  # all that was written before
    back = Database.load(tmp_path / "codes.npz")
    np.testing.assert_array_equal(back.labels, one_hot(classes, 7))
    np.testing.assert_array_equal(back.codes, database.codes)
    assert back.labels.dtype == bool and back.made_of == {"checkpoint": "abc"}
    assert (back.distance, back.added, back.names) == ("inner", False, None)


def test_an_unknown_distance_is_refused():
    with pytest.raises(ValueError, match="taxi"):
        random_database(9, distance="taxi")


def damaged(data):
    yield "cut short", data[:len(data) // 2]
    yield "a byte changed", data[:200] + bytes([data[200] ^ 1]) + data[201:]
    yield "empty", b""
    yield "a picture", b"\x89PNG\r\n\x1a\n" + bytes(100)


def test_a_damaged_database_is_refused(tmp_path):
    path = tmp_path / "codes.npz"
    random_database(100).save(path)
    for what, data in damaged(path.read_bytes()):
        path.write_bytes(data)
        with pytest.raises(UserError, match="codes.npz is damaged"):
            Database.load(path)
            pytest.fail(what)


def foreign():
    database = random_database(20)
    packed = pack(database.codes, 2)
    parts = {"packed_codes": packed, "codebooks": database.codebooks, "made_of": "{}"}
    yield {"features": np.zeros(3)}
    yield parts | {"packed_codes": packed[:, :1]}
    yield parts | {"codebooks": database.codebooks[:, :3]}
    yield parts | {"labels": np.zeros(19, np.int64)}
    yield parts | {"labels": np.zeros((19, 4), bool)}
    yield parts | {"labels": np.zeros((20, 4), np.int64)}
    yield parts | {"labels": np.zeros(20, bool)}
    yield parts | {"names": np.zeros(19, str)}
    yield parts | {"distance": "taxi"}
    yield parts | {"made_of": "{"}
    yield parts | {"labels": np.array([print] * 20)}  # a pickle


@pytest.mark.parametrize("arrays", list(foreign()))
def test_a_file_of_something_else_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "codes.npz", **arrays)
    with pytest.raises(UserError, match="no retrieval database|which a retrieval database has|it must be|dtype=object"):
        Database.load(tmp_path / "codes.npz")


def test_an_absent_database_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no file .*codes.npz; make one"):
        Database.load(tmp_path / "codes.npz")


def test_a_failed_save_leaves_the_old_database(tmp_path):
    path = tmp_path / "codes.npz"
    random_database(10).save(path)
    before = path.read_bytes()
    program = ("import sys; from gpq.utils import errors\n"
               "sys.path.append('tests/utils/retrieval'); from galleries import random_database\n"
               "errors.run(lambda: random_database(100_000).save(sys.argv[1]))")
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, cwd=ROOT,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
                           env={**os.environ, "PYTHONPATH": "tests"})
    assert ended.returncode == 2 and "codes.npz cannot be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["codes.npz"]


def test_a_flipped_bit_anywhere_is_noticed_or_harmless(tmp_path):
    """Of a member's name too, of which the distance that is searched by would be another."""
    database = replace(random_database(30), labels=None, names=np.array([f"{i}.png" for i in range(30)]),
                       distance="squared")
    path = tmp_path / "codes.npz"
    database.save(path, codes=database.codes)
    good, refused = path.read_bytes(), 0
    for at in np.random.default_rng(0).integers(0, 8 * len(good), 400):
        spoilt = bytearray(good)
        spoilt[at // 8] ^= 1 << at % 8
        path.write_bytes(spoilt)
        try:
            found = Database.load(path)
        except UserError as error:
            refused += "\n" not in str(error)
        else:
            assert (found.distance, found.made_of) == ("squared", database.made_of)
            np.testing.assert_array_equal(found.codes, database.codes)
            np.testing.assert_array_equal(found.names, database.names)
    assert refused > 200


@pytest.mark.parametrize("member", ["distance", "names", "added", "members"])
def test_a_member_that_is_lost_is_noticed(tmp_path, member):
    database = replace(random_database(30), names=np.array([f"{i}.png" for i in range(30)]), distance="squared")
    database.save(tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz") as file:
        parts = {name: file[name] for name in file.files if name != member}
    np.savez(tmp_path / "codes.npz", **parts)
    if member == "members":  # as of older databases
        np.testing.assert_array_equal(Database.load(tmp_path / "codes.npz").names, database.names)
    else:
        with pytest.raises(UserError, match="an array is lost"):
            Database.load(tmp_path / "codes.npz")


@pytest.mark.parametrize("made_of", ["[1]", "5", "null", '"x"', "[" * 100_000, '{"images": 5}',
                                     '{"images": "a\\u0000"}', '{"count": "x"}', '{"count": 0}', '{"shard": -1}'])
def test_what_made_it_must_be_said_as_it_is(tmp_path, made_of):
    database = random_database(20)
    packed = pack(database.codes, 2)
    np.savez(tmp_path / "codes.npz", packed_codes=packed, codebooks=database.codebooks, made_of=made_of)
    with pytest.raises(UserError, match="codes.npz is damaged"):
        Database.load(tmp_path / "codes.npz")
