"""Shards in a folder: whole or not at all, each once, and what is read is what was written."""
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from arithmetic import Slow, begun, whole
from conftest import ROOT, options
from PIL import Image
from pyarrow import parquet as pq

import Demo
import encode
from utils.cluster import shards, work
from utils.cluster.searching import Shards, average_precision
from utils.cluster.shards import Store
from utils.data.relevance import SharedLabels
from utils.errors import UserError
from utils.retrieval import metrics, search
from utils.retrieval.database import Database
from utils.settings import from_command_line


def made(store, source, make=Slow):
    return [told["number"] for told in work.here(store, source, make, None)]


@pytest.mark.parametrize(("n_book", "bits"), [(12, 4), (3, 4), (4, 8), (5, 1), (6, 3)])
def test_codes_and_names_are_read_as_they_were_written(tmp_path, n_book, bits):
    codes = np.random.default_rng(0).integers(0, 2**bits, (50, n_book), dtype=np.uint8)
    head = Database(codes[:0], np.ones((n_book, 2**bits, 2), np.float32), None, {"count": 71, "shard": 51})
    store = Store.begun(tmp_path / "new" / "codes", head)
    names = np.array([f"sub/ü {k}.png" for k in range(50)])
    store.write(0, codes, names, ["b.png is broken"])
    store.write(1, codes[:0], names[:0])
    again = Store.opened(tmp_path / "new" / "codes")
    np.testing.assert_array_equal(again.codes(0), codes)
    np.testing.assert_array_equal(again.names(0), names)
    assert again.about(0) == (50, True, ["b.png is broken"]) and again.codes(1).shape == (0, n_book)
    table = pq.read_table(store.path(0))  # as others read it
    assert table.column("name").to_pylist() == names.tolist()
    assert len(table.column("code")[0].as_py()) == -(-n_book * bits // 8)
    assert json.loads(table.schema.metadata[b"made_of"]) == head.made_of


def test_a_run_that_was_cut_goes_on_and_makes_each_shard_once(tmp_path):
    store, source = begun(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        made(store, source, lambda: Slow(most=7))
    assert store.missing() == list(range(7, 20))
    before = [store.path(number).stat().st_mtime_ns for number in range(7)]
    with pytest.raises(UserError, match="lacks 13 of 20 shards, codes-00007-of-00020.parquet for one; run the same"):
        Shards(store.folder)
    assert made(store, source) == list(range(7, 20)) and made(store, source) == []
    assert [store.path(number).stat().st_mtime_ns for number in range(7)] == before
    np.testing.assert_array_equal(np.concatenate([store.codes(n) for n in range(20)]), whole(tmp_path, store).codes)


def test_a_shard_that_is_cut_while_it_is_written_has_no_name(tmp_path, monkeypatch):
    store, source = begun(tmp_path)

    def cut(table, file, **_):
        file.write(b"half of it")
        raise KeyboardInterrupt
    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", cut)
        patched.setattr("os.remove", lambda path: None)  # as after kill -9
        with pytest.raises(KeyboardInterrupt):
            made(store, source)
    (left,) = store.folder.glob(".part-codes-*")
    assert store.missing() == list(range(20))
    made(store, source)
    assert not left.exists() and store.missing() == []


def test_the_shards_are_searched_like_the_whole(tmp_path):
    store, source = begun(tmp_path, count=2050)  # 64 codes
    made(store, source)
    queries = np.random.default_rng(2).standard_normal((5, 6), np.float32)
    found, expected = Shards(store.folder).search(queries, 100), search.search(whole(tmp_path, store), queries, 100)
    assert np.unique(expected[0][0]).size < 10  # there are ties
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)


@pytest.mark.parametrize("without_hits", ["zero", "drop"])
def test_an_mAP_over_shards_is_that_over_the_whole(tmp_path, monkeypatch, without_hits):
    """To the last bit, with ties (64 codes), of all pictures or of some, asked of a few queries at a time or of all."""
    store, source = begun(tmp_path, count=2050)
    made(store, source)
    database, random = whole(tmp_path, store), np.random.default_rng(3)
    queries, labels = random.standard_normal((5, 6), np.float32), random.random((2050, 3)) < 0.3
    asking = labels[:5]
    asking[0] = False  # it finds nothing
    for rows in (np.arange(2050), random.permutation(2050)[:1500]):
        relevance = SharedLabels(asking, labels[rows])
        few = replace(database, codes=database.codes[rows])
        expected = metrics.average_precision(few, queries, relevance, 700, without_hits=without_hits)
        for block in (1500, search.BLOCK):
            monkeypatch.setattr(search, "BLOCK", block)
            for held in (database, Shards(store.folder)):
                found = average_precision(held, queries, relevance, 700, without_hits, rows)
                np.testing.assert_array_equal(found, average_precision(few, queries, relevance, 700, without_hits))
                np.testing.assert_allclose(found, expected, atol=1e-9)
        assert np.isnan(found[0]) if without_hits == "drop" else found[0] == 0
    with pytest.raises(ValueError, match=r"relevance is \(5, 1500\), not \(5, 2050\)"):
        average_precision(database, queries, relevance, 700)


def test_what_something_else_made_is_refused(tmp_path):
    store, source = begun(tmp_path)
    made(store, source)
    other = replace(store.head, made_of={**store.head.made_of, "checkpoint": "b"})
    with pytest.raises(UserError, match="was begun with checkpoint=a and now it is b; give another folder"):
        Store.begun(store.folder, other)
    other.save(store.folder / shards.HEAD, over_input=True)
    with pytest.raises(UserError, match="00000-of-00020.parquet was not made with what .*database.npz says"):
        Shards(store.folder)
    with pytest.raises(UserError, match="holds no shards of codes"):
        Shards(tmp_path)


@pytest.mark.parametrize("content", [b"", b"words", b"PAR1 and no more PAR1"])
def test_a_damaged_shard_is_named(tmp_path, content):
    store, source = begun(tmp_path)
    made(store, source)
    store.path(3).write_bytes(content)
    with pytest.raises(UserError, match="codes-00003-of-00020.parquet is damaged or no shard of codes .*; remove it"):
        Shards(store.folder)


def test_no_flipped_bit_changes_what_is_read(tmp_path):
    """Pages have checksums; what their headers and the footer say is held against what must be in a shard."""
    codes = np.random.default_rng(0).integers(0, 16, (60, 3), dtype=np.uint8)
    head = Database(codes[:0], np.ones((3, 16, 2), np.float32), None, {"count": 61, "shard": 61})
    store = Store.begun(tmp_path, head)
    names = np.array([f"{k}.png" for k in range(60)])
    store.write(0, codes, names, ["b.png is broken"])
    good, noticed = store.path(0).read_bytes(), 0
    for bit in np.random.default_rng(1).choice(8 * len(good), 400, replace=False).tolist():
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        store.path(0).write_bytes(content)
        try:
            rows, named, _ = store.about(0)
            assert (rows, named) == (60, True)
            np.testing.assert_array_equal(store.codes(0), codes)
            np.testing.assert_array_equal(store.names(0), names)
        except UserError as error:
            assert "codes-00000-of-00001.parquet" in str(error) and "\n" not in str(error)
            noticed += 1
    assert noticed > 200


@pytest.fixture
def mine(sample, tmp_path, monkeypatch):
    """A folder `mine` of 20 pictures, one of them in a folder below, and one that cannot be read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine" / "sub").mkdir(parents=True)
    for i in range(20):
        name = f"mine/sub/{i:02}.png" if i == 7 else f"mine/{i:02}.png"
        Image.fromarray(sample.images[sample.gallery[i * 250]]).save(name)
    (tmp_path / "mine" / "05 broken.png").write_text("words")


COMMON = [f"--model_load_path={ROOT}/models/12bits_example.ckpt", "--n_book=3", "--follow=paper"]


def run_encode(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["encode", *COMMON, *arguments])
    encode.main()


def test_pictures_are_encoded_into_shards_and_searched(mine, monkeypatch, capsys):
    monkeypatch.setattr(shards, "SMALLEST", 8)
    run_encode(monkeypatch, "--images=mine", "--out=codes/")
    said = capsys.readouterr()
    assert "codes/: 20 images in 3 shards, 12-bit codes" in said.out
    assert "05 broken.png cannot be read and is left out: it is empty or no picture" in said.err
    assert "1 of 21 pictures are left out" in said.err
    run_encode(monkeypatch, "--images=mine", "--out=codes/")
    assert "3 of 3 shards are there" in capsys.readouterr().out
    Demo.search_own(from_command_line(Demo.Options, [*COMMON, "--database=codes/", "--image=mine/sub/07.png"]))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 16
    nearest = lines[0].split()[0]
    assert "sub/07.png" in [line.split()[1] for line in lines[:15] if line.split()[0] == nearest]


def test_what_has_no_effect_is_refused(mine, monkeypatch):
    with pytest.raises(UserError, match="ray has no effect on the file a.npz"):
        run_encode(monkeypatch, "--images=mine", "--out=a.npz", "--ray=auto")
    with pytest.raises(UserError, match="features_only writes a .npy file"):
        run_encode(monkeypatch, "--images=mine", "--out=a/", "--features_only")
    with pytest.raises(UserError, match="ray has no effect on the file a.npz"):
        Demo.search_own(options(Demo.Options, "--database=a.npz", "--image=mine/00.png", "--ray=auto"))
    monkeypatch.setattr(sys, "argv", ["Demo", "--ray=auto"])
    with pytest.raises(UserError, match="ray has no effect while database is ''; set database"):
        Demo.main()


@pytest.mark.parametrize("made", [{"count": 10 ** 12, "shard": 1}, {"count": 10}, {"shard": 10}])
def test_a_head_that_cannot_be_is_refused(tmp_path, made):
    Database(np.empty((0, 4), np.uint8), np.ones((4, 16, 3), np.float32), None, made).save(tmp_path / "database.npz")
    with pytest.raises(UserError, match="database.npz does not say how many pictures lie in how many shards"):
        Store.opened(tmp_path)
