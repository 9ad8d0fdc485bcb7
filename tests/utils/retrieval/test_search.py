"""The database keeps its codes in a file, and the search in it is exact."""
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from utils.errors import UserError
from utils.retrieval import search
from utils.retrieval.database import Database, load, pack, save, unpack

REFERENCE = np.load(ROOT / "tests" / "data" / "reference_retrieval.npz")
N_BOOK = REFERENCE["codes"].shape[1]


def reference_database():
    """The 64 pictures of the release's run: its Z [K, M * d] cut into codebooks [M, K, d]."""
    codebooks = REFERENCE["Z"].reshape(len(REFERENCE["Z"]), N_BOOK, -1).swapaxes(0, 1)
    return Database(REFERENCE["codes"], codebooks, REFERENCE["test_labels"], {})


def random_database(n, n_book=6, bits=2, seed=0):
    """Few words and many pictures, so that codes collide."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2**bits, (n, n_book), dtype=np.uint8)
    codebooks = rng.standard_normal((n_book, 2**bits, 5), np.float32)
    return Database(codes, codebooks, rng.integers(0, 4, n), {"seed": seed, "of": ["a", "b"]})


def table_distances(database, queries):
    """The slow exact way, float64 [Q, N]: a table of all sub-queries with all codewords, gather, sum."""
    parts = queries.astype(float).reshape(len(queries), len(database.codebooks), -1)
    table = 1 - np.einsum("qmd,mkd->qmk", parts, database.codebooks.astype(float))
    return sum(table[:, m, database.codes[:, m]] for m in range(len(database.codebooks)))


def all_distances(database, queries):
    """What `each_query` hands out, float32 [Q, N]."""
    codes, inverse, _ = search.distinct(database.codes)
    found = np.empty((len(queries), len(codes)), np.float32)
    search.each_query(found.__setitem__, queries, database.codebooks, codes)
    return found[:, inverse]


def test_distances_of_the_release():
    found = all_distances(reference_database(), REFERENCE["feature_raw"][:16])
    np.testing.assert_allclose(found, REFERENCE["pqDist_q16_g64"], atol=2e-5)


def test_ranking_of_the_release():
    D, ids = search.search(reference_database(), REFERENCE["feature_raw"][:16], 64)
    rank = REFERENCE["rank_q16_g64"].T
    theirs = np.take_along_axis(REFERENCE["pqDist_q16_g64"], rank.astype(int), 1)
    np.testing.assert_allclose(D, theirs, atol=2e-5)
    np.testing.assert_array_equal(REFERENCE["codes"][ids], REFERENCE["codes"][rank])  # or equals


@pytest.mark.parametrize("block", [1, 1000, 2**24])
def test_distances_are_those_of_a_look_up_table(monkeypatch, block):
    monkeypatch.setattr(search, "BLOCK", block)
    database = random_database(3000)
    queries = np.random.default_rng(1).standard_normal((7, 30), np.float32)
    expected = table_distances(database, queries)
    np.testing.assert_allclose(all_distances(database, queries), expected, atol=1e-5)


def test_search_orders_equal_distances_as_the_gallery():
    database = random_database(3000)
    queries = np.random.default_rng(1).standard_normal((7, 30), np.float32)
    everything = all_distances(database, queries)
    order = np.argsort(everything, axis=1, kind="stable")[:, :500]
    D, ids = search.search(database, queries, 500)
    assert np.unique(D[0]).size < 400  # there are ties
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_array_equal(D, np.take_along_axis(everything, order, 1))


def test_search_returns_a_small_gallery_whole():
    D, ids = search.search(random_database(9), np.ones((2, 30), np.float32), 15)
    assert D.shape == ids.shape == (2, 9)
    assert sorted(ids[0]) == list(range(9))


def test_ascending_is_a_stable_argsort():
    rng = np.random.default_rng(0)
    values = rng.standard_normal(4000).astype(np.float32).round(2)
    values[:8] = [0, -0.0, 0, 3e38, -3e38, 1e-45, -1e-45, -0.0]
    order, rises = search.ascending(values)
    np.testing.assert_array_equal(order, np.argsort(values, kind="stable"))
    np.testing.assert_array_equal(rises, np.diff(values[order]) > 0)


def test_distinct_codes_give_the_gallery_back():
    codes = random_database(3000).codes[:, ::-1]  # not contiguous
    few = search.distinct(codes)
    np.testing.assert_array_equal(few.codes[few.inverse], codes)
    np.testing.assert_array_equal(few.counts, np.bincount(few.inverse))
    assert len(np.unique(few.codes, axis=0)) == len(few.codes) < len(codes)


@pytest.mark.parametrize("queries", [np.ones((2, 29), np.float32), np.ones(30, np.float32)])
def test_queries_of_another_length_are_refused(queries):
    with pytest.raises(ValueError, match="shape"):
        search.search(random_database(9), queries, 3)


def test_numbers_of_a_broken_checkpoint_are_refused():
    with pytest.raises(UserError, match="finite"):
        search.search(random_database(9), np.full((2, 30), np.nan, np.float32), 3)


def test_an_error_in_a_visit_is_raised():
    database = random_database(9)
    with pytest.raises(KeyError):
        search.each_query(lambda q, distance: {}[q], np.ones((2, 30)), database.codebooks, database.codes)


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
        database = database._replace(labels=None, names=np.array([f"picture {i}.png" for i in range(100)]))
    path = tmp_path / "codes.npz"
    save(path, database, features=np.zeros((100, 30), np.float32))
    back = load(path)
    for ours, theirs in zip(database, back, strict=True):
        assert type(ours) is type(theirs)
        np.testing.assert_array_equal(ours, theirs)
    assert back.codes.dtype == np.uint8 and back.codebooks.dtype == np.float32
    with np.load(path) as file:
        assert file["packed_codes"].shape == (100, 2) and file["features"].shape == (100, 30)
    assert os.listdir(tmp_path) == ["codes.npz"]


def damaged(data):
    yield "cut short", data[:len(data) // 2]
    yield "a byte changed", data[:200] + bytes([data[200] ^ 1]) + data[201:]
    yield "empty", b""
    yield "a picture", b"\x89PNG\r\n\x1a\n" + bytes(100)


def test_a_damaged_database_is_refused(tmp_path):
    path = tmp_path / "codes.npz"
    save(path, random_database(100))
    for what, data in damaged(path.read_bytes()):
        path.write_bytes(data)
        with pytest.raises(UserError, match="codes.npz is damaged"):
            load(path)
            pytest.fail(what)


def foreign():
    database = random_database(20)
    packed = pack(database.codes, 2)
    parts = {"packed_codes": packed, "codebooks": database.codebooks, "made_of": "{}"}
    yield {"features": np.zeros(3)}
    yield parts | {"packed_codes": packed[:, :1]}
    yield parts | {"codebooks": database.codebooks[:, :3]}
    yield parts | {"labels": np.zeros(19, np.int64)}
    yield parts | {"made_of": "{"}
    yield parts | {"labels": np.array([print] * 20)}  # a pickle


@pytest.mark.parametrize("arrays", list(foreign()))
def test_a_file_of_something_else_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "codes.npz", **arrays)
    with pytest.raises(UserError, match="no retrieval database"):
        load(tmp_path / "codes.npz")


def test_an_absent_database_is_named(tmp_path):
    with pytest.raises(UserError, match="codes.npz cannot be read"):
        load(tmp_path / "codes.npz")


def test_a_failed_save_leaves_the_old_database(tmp_path):
    path = tmp_path / "codes.npz"
    save(path, random_database(10))
    before = path.read_bytes()
    program = ("import sys; from utils import errors; from utils.retrieval.database import save\n"
               "sys.path.append('tests/utils/retrieval'); from test_search import random_database\n"
               "errors.run(lambda: save(sys.argv[1], random_database(100_000)))")
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, cwd=ROOT,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
                           env={**os.environ, "PYTHONPATH": "tests"})
    assert ended.returncode == 2 and "codes.npz cannot be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["codes.npz"]
