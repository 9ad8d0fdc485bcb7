"""Vectors of tags: from a table of words, from what gensim loads, and what cannot be read."""
import gzip
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from utils.data.tags import words
from utils.errors import UserError

TABLE = words.Words({"sea": 0, "horse": 1, "New_York": 2, "roof": 3}, np.arange(12, dtype=np.float32).reshape(4, 3))


def test_a_tag_is_the_mean_of_its_known_words():
    found = words.of(TABLE, ["sea", "sea_horse", "Sea-unknown", "New_York", "roofs", "unknown"])
    rows = TABLE.vectors
    np.testing.assert_array_equal(found[:5], [rows[0], rows[:2].mean(0), rows[0], rows[2], rows[3]])
    assert np.isnan(found[5]).all()


def test_a_table_in_an_npz_file(tmp_path):
    np.savez(tmp_path / "t.npz", words=np.array(["a", "b"]), vectors=np.eye(2, dtype=np.float16))
    found = words.read(tmp_path / "t.npz")
    assert found.rows == {"a": 0, "b": 1} and found.vectors.dtype == np.float32


@pytest.mark.parametrize("name, first_line, expected", [
    ("g.bin.gz", "", {"binary": True}), ("glove.txt", "the 0.1 0.2 0.3\n", {"binary": False, "no_header": True}),
    ("word2vec.txt", "2 3\n", {"binary": False, "no_header": False}),
    ("glove.gz", "the 0.1 0.2 0.3\n", {"binary": False, "no_header": True})])
def test_gensim_is_told_the_format(tmp_path, monkeypatch, name, first_line, expected):
    asked = {}

    def load(path, **options):
        asked.update(options)
        return SimpleNamespace(index_to_key=["the", "of"], vectors=np.ones((2, 3), np.float32))

    module = ModuleType("gensim.models")
    module.KeyedVectors = SimpleNamespace(load_word2vec_format=load)
    monkeypatch.setitem(sys.modules, "gensim", ModuleType("gensim"))
    monkeypatch.setitem(sys.modules, "gensim.models", module)
    content = first_line.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name == "glove.gz" else content)
    assert words.read(tmp_path / name).rows == {"the": 0, "of": 1} and asked == expected


def test_without_gensim_the_sentence_says_how(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    (tmp_path / "g.bin.gz").write_bytes(b"")
    with pytest.raises(UserError, match="pip install gensim"):
        words.read(tmp_path / "g.bin.gz")


@pytest.mark.parametrize("arrays, message", [
    (None, "there are no word vectors"), ({"words": np.array(["a"])}, "has no vectors"),
    ({"words": np.array(["a"]), "vectors": np.ones((2, 3))}, "must be float .V, D., V = 1"),
    ({"words": np.array(["a"]), "vectors": np.full((1, 3), np.nan)}, "not finite")])
def test_a_table_that_cannot_be_used(tmp_path, arrays, message):
    if arrays:
        np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(UserError, match=message):
        words.read(tmp_path / "t.npz")
