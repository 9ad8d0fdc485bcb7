"""Vectors of tags: from a table of words, from GloVe's and word2vec's files, and what cannot be read."""
import gzip

import numpy as np
import pytest

from gpq.utils.data.tags import words
from gpq.utils.errors import UserError

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


def word2vec(words, vectors, end=b""):
    """The bytes of word2vec's .bin; `end` is what some writers put behind each word."""
    parts = [word.encode() + b" " + vector.tobytes() + end for word, vector in zip(words, vectors, strict=True)]
    return b"%d %d\n" % vectors.shape + b"".join(parts)


def text(words, vectors, head=b""):
    return head + b"".join(f"{word} {' '.join(map(str, vector))}\n".encode()
                           for word, vector in zip(words, vectors.tolist(), strict=True))


WORDS = ["the", ". . .", "at name@domain.com", "caf\u00e9", "a\u0085b", "7", "the"]
VECTORS = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name, content", [
    ("glove.txt", text(WORDS, VECTORS)), ("word2vec.txt", text(WORDS, VECTORS, b"7 4\n")),
    ("fast.vec", text(WORDS, VECTORS, b"7 4\n").replace(b"\n", b" \n")),
    ("x.bin", word2vec([word.replace(" ", "_") for word in WORDS], VECTORS)),
    ("x.bin", word2vec([word.replace(" ", "_") for word in WORDS], VECTORS, b"\n"))])
def test_text_and_word2vecs_files(tmp_path, name, content, packed):
    """GloVe's 840B file has words with spaces; of a word that is there twice the first counts."""
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(content) if packed else content)
    found = words.read(path)
    between = "_" if ".bin" in name else " "
    assert found.rows == {word.replace(" ", between): row for row, word in enumerate(WORDS[:6])}
    np.testing.assert_array_equal(found.vectors, VECTORS)


@pytest.mark.parametrize("name, content, said", [
    ("g.txt", text(WORDS, VECTORS) + b"a 1 2 3\n", "word 8 has not 4 numbers"), ("g.txt", b"a 1\nb x\n", "'x'"),
    ("g.txt", b"", "."), ("g.txt", b"\n", "."), ("g.txt", b"word\nmore\n", "."), ("g.txt", b"a nan\n", "not finite"),
    ("w.txt", text(WORDS, VECTORS, b"8 4\n"), "it has 7 words and says 8"),
    ("g.bin", word2vec(WORDS[:1], VECTORS[:1])[:-1], "word 1 has not 4 numbers"), ("g.bin", b"2 99999\na ", "numbers"),
    ("g.bin", b"2 3\n" + b"a" * 3 * 2 ** 20, "has not 3 numbers"), ("g.bin", b"9999999999 3\n", "says 9999999999"),
    ("g.txt", b"a" * 2 ** 21, "."), ("g.gz", gzip.compress(text(WORDS, VECTORS), mtime=0)[:60], "."),
    ("g.gz", gzip.compress(b"a 1\n" * 9, mtime=0)[:10] + b"\xff" * 9, "."), ("g.bin", bytes(range(256)) * 9, ".")])
def test_damaged_and_foreign_files_are_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        words.read(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name, sound", [("g.txt", text(WORDS, VECTORS)), ("g.bin", word2vec(WORDS, VECTORS)),
                                         ("g.txt.gz", gzip.compress(text(WORDS, VECTORS), mtime=0))])
def test_damage_is_refused_or_read(tmp_path, name, sound):
    """200 seeded damages: nothing but UserError may come of them."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        spoilt = bytearray(sound)
        for place in generator.integers(len(sound), size=2):
            spoilt[place] = generator.choice([spoilt[place] ^ 1 << generator.integers(8), *b"\x00\xff \n9e"])
        (tmp_path / name).write_bytes(spoilt)
        try:
            words.read(tmp_path / name)
        except UserError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("arrays, message", [
    (None, "there is no file .*t.npz"), ({"words": np.array(["a"])}, "has no vectors"),
    ({"words": np.array(["a"]), "vectors": np.ones((2, 3))}, "must be float .V, D., V = 1"),
    ({"words": np.array(["a"]), "vectors": np.full((1, 3), np.nan)}, "not finite")])
def test_a_table_that_cannot_be_used(tmp_path, arrays, message):
    if arrays:
        np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(UserError, match=message):
        words.read(tmp_path / "t.npz")
