"""Codes in a folder: each row once, whatever is cut or damaged, found as in one gallery, here and by Ray's workers."""
import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import slow_worker
from conftest import ROOT, options
from galleries import random_database
from PIL import Image
from pyarrow import parquet

from gpq import Demo, encode
from gpq.utils.errors import UserError
from gpq.utils.retrieval import cluster
from gpq.utils.retrieval.database import Database, pack
from gpq.utils.retrieval.search import search
from gpq.utils.settings import from_command_line

KINDS = [("inner", False), ("inner", True), ("squared", False), ("squared", True), ("norms", False)]


@pytest.fixture
def vectors(tmp_path, monkeypatch):
    """(2,000 vectors of which `made` makes codes; their Database)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "Worker", slow_worker.Slow)
    monkeypatch.setattr(cluster, "made_of", lambda config, checkpoint: {"checkpoint": checkpoint})
    found = np.random.default_rng(0).integers(0, 100, (2000, 3)).astype(np.float32)
    np.save("vectors.npy", found)
    return found, Database(slow_worker.codes(found), slow_worker.CODEBOOKS, None, {})


def made(vectors, names=None, checkpoint="a", address=""):
    config = options(encode.Options, "--images=vectors.npy")
    return cluster.encode(vectors, names, config, checkpoint, "codes", address)


def test_a_run_that_was_cut_makes_what_is_lacking(vectors):
    Path("stop").write_text("600")
    with pytest.raises(KeyboardInterrupt):
        made(vectors[0])
    with pytest.raises(UserError, match="codes has 768 of 2000 codes; run the same python encode.py again, it goes on"):
        cluster.load("codes")
    Path("stop").unlink()
    before = {path: path.stat().st_mtime_ns for path in Path("codes").glob("*.parquet")}
    assert len(before) == 3 and made(vectors[0]) == 1232 and made(vectors[0]) == 0
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    database, faults = cluster.load("codes")
    np.testing.assert_array_equal(database.codes, vectors[1].codes)
    assert database.names is None and faults == []


def test_half_a_file_is_not_believed(vectors, monkeypatch, capsys):
    def cut(table, file, **_):
        file.write(b"PAR1 half of it")
        raise KeyboardInterrupt
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "write_table", cut)
        patched.setattr("os.remove", lambda path: None)  # as after kill -9
        with pytest.raises(KeyboardInterrupt):
            made(vectors[0])
    (left,) = Path("codes").glob(".part-codes-*")
    made(vectors[0])
    assert not left.exists()
    Path("codes/codes-256.parquet").write_bytes(b"PAR1 and no more PAR1")
    with pytest.raises(UserError, match="codes has 1744 of 2000 codes"):
        cluster.load("codes")
    assert "codes/codes-256.parquet is damaged or no file of codes" in capsys.readouterr().err
    assert made(vectors[0]) == 256
    np.testing.assert_array_equal(cluster.load("codes")[0].codes, vectors[1].codes)


def test_rows_that_are_there_twice_or_in_any_order_count_once(vectors):
    made(vectors[0])
    table = parquet.read_table("codes/codes-512.parquet")
    parquet.write_table(table.take(list(range(200, 100, -1))), "codes/a.parquet")
    np.testing.assert_array_equal(cluster.load("codes")[0].codes, vectors[1].codes)


def test_what_something_else_made_is_refused(vectors):
    made(vectors[0])
    with pytest.raises(UserError, match="codes was begun with checkpoint=a and now it is b; give another folder"):
        made(vectors[0], checkpoint="b")
    Path("codes/database.npz").unlink()
    with pytest.raises(UserError, match="there is no file .*codes/database.npz"):
        made(vectors[0])
    with pytest.raises(UserError, match="there is no file vectors/database.npz"):
        cluster.load("vectors")


@pytest.mark.parametrize("named", [False, True])
def test_shards_of_before_are_read(tmp_path, named):
    """Row by row in the order of their numbers; which pictures were left out, their metadata say."""
    made_of = {"checkpoint": "a", "count": 71, "shard": 31, **({"names": "their hash"} if named else {})}
    codes = np.random.default_rng(0).integers(0, 4, (70, 3), dtype=np.uint8)
    Database(codes[:0], slow_worker.CODEBOOKS, None, made_of).save(tmp_path / "database.npz")
    packed, names = [bytes(code) for code in pack(codes, 2)], [f"sub/ü {k}.png" for k in range(70)]
    for number, (first, last) in enumerate([(0, 31), (31, 61), (61, 70)]):
        about = {"made_of": json.dumps(made_of), "skipped": json.dumps(["b is broken"] if number == 1 else [])}
        columns = {"code": pa.array(packed[first:last], pa.binary(1)), **({"name": names[first:last]} if named else {})}
        parquet.write_table(pa.table(columns, metadata=about), tmp_path / f"codes-{number:05}-of-00003.parquet")
    database, faults = cluster.load(tmp_path)
    np.testing.assert_array_equal(database.codes, codes)
    assert faults == ["b is broken"] and (database.names.tolist() == names if named else database.names is None)


def test_no_flipped_bit_changes_what_is_read(vectors, capsys):
    """Pages have checksums, and every place must be there."""
    made(vectors[0][:20], np.array([f"{k}.png" for k in range(20)]))
    path, noticed = Path("codes/codes-0.parquet"), 0
    good = path.read_bytes()
    for bit in np.random.default_rng(1).choice(8 * len(good), 300, replace=False).tolist():
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            database, faults = cluster.load("codes")
        except UserError as error:
            assert "codes has 0 of 20 codes" in str(error)
            noticed += 1
        else:
            np.testing.assert_array_equal(database.codes, vectors[1].codes[:20])
            assert database.names.tolist() == [f"{k}.png" for k in range(20)] and faults == []
    assert noticed > 150


class Local:
    """Ray's part in `cluster.finder`, of actors in this process."""

    def __init__(self, *given):
        self.__ray_call__ = SimpleNamespace(remote=lambda call: call(Database(*given)))

    @classmethod
    def remote(cls, *given):
        return cls(*given)


@pytest.mark.parametrize(("distance", "added"), KINDS)
@pytest.mark.parametrize("cores", [1, 3, 100])
def test_a_gallery_in_parts_is_searched_like_the_whole(monkeypatch, distance, added, cores):
    """To the last bit where no product is rounded, with many ties; else up to rounding."""
    monkeypatch.setattr(cluster, "on_ray", lambda address, kind: (SimpleNamespace(get=list), Local, cores))
    for rounded, bits in ((True, 2), (False, 1)):
        database = random_database(3000, bits=bits, distance=distance, added=added)
        queries = np.random.default_rng(1).standard_normal((7, 5 if added else 30), np.float32)
        if rounded:
            database, queries = replace(database, codebooks=np.round(2 * database.codebooks) / 2), np.round(queries)
        find = cluster.finder(database, "local")
        for n in (1, 100, 4000):
            for found, whole in zip(find(queries, n), search(database, queries, n), strict=True):
                np.testing.assert_allclose(found, whole, rtol=0, atol=0 if rounded else 1e-5)


@pytest.fixture
def mine(sample, tmp_path, monkeypatch):
    """A folder `mine` of 20 pictures, one of them in a folder below, and one that cannot be read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "FEWEST", 8)
    (tmp_path / "mine" / "sub").mkdir(parents=True)
    for i in range(20):
        name = f"mine/sub/{i:02}.png" if i == 7 else f"mine/{i:02}.png"
        Image.fromarray(sample.images[sample.gallery[i * 250]]).save(name)
    (tmp_path / "mine" / "05 broken.png").write_text("words")


COMMON = [f"--model_load_path={ROOT}/models/12bits_example.ckpt", "--n_book=3", "--follow=paper"]


def run_encode(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["encode", *COMMON, *arguments])
    encode.main()


def test_pictures_are_encoded_into_a_folder_and_searched(mine, monkeypatch, capsys):
    run_encode(monkeypatch, "--images=mine", "--out=codes/")
    said = capsys.readouterr()
    assert "codes/: 20 images, 12-bit codes, 21 of them encoded now" in said.out
    assert "05 broken.png cannot be read and is left out: it is empty or no picture" in said.err
    assert "1 of 21 pictures are left out" in said.err and len(list(Path("codes").glob("*.parquet"))) == 3
    run_encode(monkeypatch, "--images=mine", "--out=codes/")
    assert "20 images, 12-bit codes, 0 of them encoded now" in capsys.readouterr().out
    run_encode(monkeypatch, "--images=mine", "--out=codes.npz")
    whole, (database, _) = Database.load("codes.npz"), cluster.load("codes")
    np.testing.assert_array_equal(database.codes, whole.codes)
    np.testing.assert_array_equal(database.names, whole.names)
    Demo.search_own(from_command_line(Demo.Options, [*COMMON, "--database=codes/", "--image=mine/sub/07.png"]))
    found = [line.split() for line in capsys.readouterr().out.splitlines()[-16:-1]]
    assert "sub/07.png" in [name for distance, name in found if distance == found[0][0]]


def test_what_has_no_effect_or_no_name_is_refused(mine, monkeypatch):
    with pytest.raises(UserError, match="ray has no effect on the file a.npz"):
        run_encode(monkeypatch, "--images=mine", "--out=a.npz", "--ray=auto")
    with pytest.raises(UserError, match="features_only writes a .npy file"):
        run_encode(monkeypatch, "--images=mine", "--out=a/", "--features_only")
    monkeypatch.setattr(sys, "argv", ["Demo", "--ray=auto"])
    with pytest.raises(UserError, match="ray has no effect while database is ''; set database"):
        Demo.main()
    os.rename("mine/00.png", b"mine/\xff.png")
    with pytest.raises(UserError, match="no folder of names in UTF-8 .*; rename that file, or set --out to a file"):
        run_encode(monkeypatch, "--images=mine", "--out=a/")


def test_a_cluster_that_is_not_there_is_said(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda *_, **__: (_ for _ in ()).throw(ConnectionError("nobody answers")))
    with pytest.raises(UserError, match="--ray=auto finds no cluster .nobody answers.; pip install ray, start one by"):
        cluster.on_ray("auto", Database)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match="--ray=auto finds no cluster .*ray.*; pip install ray"):
        cluster.on_ray("auto", Database)


def test_a_worker_that_is_killed_loses_nothing_and_actors_find_the_same(vectors, monkeypatch):
    ray = pytest.importorskip("ray", reason='pip install -e ".[ray]"')
    monkeypatch.setenv("RAY_TQDM_PATCH_PRINT", "0")  # it would put its own in the place of `print`
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    killed = []

    def kill():
        while not killed:
            killed.extend(int(path.name) for path in Path("pids").glob("*") if int(path.name) != os.getpid())
            time.sleep(0.05)
        os.kill(killed[0], signal.SIGKILL)
    try:
        Path("slow").touch()
        thread = threading.Thread(target=kill)
        thread.start()
        assert made(vectors[0], address="local") == 2000
        thread.join()
        assert len(list(Path("pids").iterdir())) == 3  # two workers, and one in the place of one
        database, _ = cluster.load("codes")
        np.testing.assert_array_equal(database.codes, vectors[1].codes)
        find = cluster.finder(database, "local")
        queries = np.round(np.random.default_rng(2).standard_normal((5, 6), np.float32))
        found, whole = find(queries, 50), search(database, queries, 50)
        np.testing.assert_allclose(found[0], whole[0], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(found[1], whole[1])
    finally:
        ray.shutdown()
