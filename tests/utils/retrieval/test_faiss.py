"""A faiss index of our codes finds what our search finds, and its codes come back as they were."""
import sys
from dataclasses import fields, replace

import faiss
import made_up
import numpy as np
import pytest
from galleries import random_database

from gpq.model.baselines import hamming
from gpq.model.fitting import product
from gpq.model.tf1 import tf
from gpq.utils.errors import UserError
from gpq.utils.retrieval import faiss as ours
from gpq.utils.retrieval import search
from gpq.utils.retrieval.database import Database
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.settings import from_command_line

faiss.omp_set_num_threads(1)  # threads of tests beside one another wait for each other


def bits_of(n, n_bits=12, distance="squared"):
    """A Database of n random bit strings, as a binary method makes it, and 5 queries."""
    bits = np.random.default_rng(0).random((n + 5, n_bits)) < 0.5
    with tf.Graph().as_default(), tf.Session() as session:
        queries, codes, codebooks = session.run(hamming.retrieval(tf.constant(bits)))
    return Database(codes[5:], codebooks, None, {"seed": 0}, distance=distance), queries[:5]


def gallery(kind, n):
    """A Database of n codes of that kind, with 5 queries."""
    if kind == "hamming":
        return bits_of(n)
    n_book, bits, distance, added = {"gpq": (12, 4, "inner", False), "opq": (3, 4, "squared", False),
                                     "256 words": (4, 8, "inner", False), "64 words": (3, 6, "squared", False),
                                     "wsdhq": (3, 8, "inner", True), "additive": (5, 4, "inner", True)}[kind]
    database = random_database(n, n_book, bits, distance=distance, added=added)
    length = 5 if added else 5 * n_book
    return database, np.random.default_rng(1).standard_normal((5, length), np.float32)


@pytest.fixture
def back(tmp_path):
    """back(index, like=None): the Database that the file of a faiss index is read as."""
    def reading(index, like=None):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}-codes.faiss"
        ours.write(index, path)
        return ours.read(path, like)
    return reading


def loaded(path):
    """The index in a file, as faiss reads it."""
    kind = path.read_bytes()[:2]
    return (faiss.read_index_binary if kind == b"IB" else faiss.read_index)(str(path))


KINDS = ["gpq", "opq", "256 words", "64 words", "wsdhq", "additive", "hamming"]


def check_found(index, database, queries, n):
    """The index's n nearest are as near as ours, one by one, each by our distance."""
    expected, _ = search.search(database, queries, n)
    _, ids = index.search(np.packbits(queries > 0, axis=1) if isinstance(index, faiss.IndexBinary) else queries, n)
    assert all(len(set(row)) == n for row in ids)
    every = np.concatenate([part for _, part in search.blocks(queries, database.gallery)])
    distances = np.take_along_axis(every, database.gallery.inverse[ids], 1)
    np.testing.assert_allclose(np.sort(distances, axis=1), expected, atol=2e-4)


def check_same(one, other):
    for field in fields(Database):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_finds_the_same_among_100_000_codes(kind, tmp_path):
    database, queries = gallery(kind, 100_000)
    ours.write(ours.index_of(database), tmp_path / "codes.faiss")
    index = loaded(tmp_path / "codes.faiss")
    check_found(index, database, queries, 100)
    check_same(ours.read(tmp_path / "codes.faiss", database), database)


@pytest.mark.parametrize("kind", KINDS)
def test_inverted_lists_hold_the_same_codes(kind, tmp_path):
    database, queries = gallery(kind, 2000)
    ours.write(ours.index_of(database, 9), tmp_path / "codes.faiss")
    index = loaded(tmp_path / "codes.faiss")
    assert index.nlist == 9
    index.nprobe = 9
    check_found(index, database, queries, 100)


@pytest.mark.parametrize("method", ["pqn", "subic", "dqn", "dtq", "ssdh", "bgdh", "cnnh", "ninh"])
def test_codes_of_a_deep_method_are_found_as_we_find_them(method, session, back, tmp_path):
    """Of its own graph, with random weights; DQN and DTQ have k-means' codebooks, as after a training."""
    x, _ = made_up.vectors(600)
    config = from_command_line(None, [f"--method={method}", "--n_bits=12", "--hidden=[]",
                                      f"--embeddings={made_up.file(tmp_path / 'v.npz')}"])
    tf.set_random_seed(1)
    encoder = Encoder(config, session, like=x)
    session.run(tf.global_variables_initializer())
    for variable in tf.global_variables(f"{method}/codebooks"):
        if method in ("dqn", "dtq"):
            variable.load(product.codebooks_of(encoder(x)[0], 3, 0), session)
    features, codes = encoder(x)
    database = encoder.database(codes[20:])
    index = ours.index_of(database)
    assert len(database.gallery.counts) > 100  # different codes
    assert type(index) is (faiss.IndexPQ if method in ("pqn", "subic", "dqn", "dtq") else faiss.IndexBinaryFlat)
    check_found(index, database, features[:20], 100)
    check_same(back(index, like=database), database)


def test_the_bytes_are_those_that_we_pack_with_the_low_nibble_first():
    codes = np.uint8([[1, 2, 15]])
    index = ours.index_of(replace(random_database(1, 3, bits=4), codes=codes))
    np.testing.assert_array_equal(faiss.vector_to_array(index.codes), [0x21, 0x0F])


def test_equal_codewords_are_not_mistaken_for_one_another(back):
    database = random_database(500, bits=4)
    database.codebooks[:, 8:] = database.codebooks[:, :8]
    np.testing.assert_array_equal(back(ours.index_of(database)).codes, database.codes)


@pytest.mark.parametrize("more, said", [({"distance": "norms"}, "SPQ.*--method=opq"),
                                        ({"distance": "squared", "added": True}, "LOPQ.*--method=opq")])
def test_distances_without_an_index_are_refused(more, said):
    with pytest.raises(UserError, match=said):
        ours.index_of(random_database(9, **more))


def test_an_index_that_faiss_learned_is_searched_by_us(back):
    x = np.random.default_rng(0).standard_normal((200, 12), np.float32)
    norms = faiss.IndexResidualQuantizer(12, 2, 3, faiss.METRIC_L2, faiss.AdditiveQuantizer.ST_norm_qint8)
    for index in (faiss.IndexPQ(12, 3, 3, faiss.METRIC_L2), faiss.IndexResidualQuantizer(12, 2, 3), norms,
                  faiss.IndexLocalSearchQuantizer(12, 2, 4)):
        index.train(x)
        index.add(x)
        found, expected = search.search(back(index), x[:5], 20)[0], index.search(x[:5], 20)[0]
        np.testing.assert_allclose(found, expected, atol=0.3 if index is norms else 1e-4)


@pytest.mark.parametrize("kind, said", [
    ("Flat", "kind 'IxF2'"), ("IVF2,PQ2x4", "kind 'IwPQ'"), ("PQ4x4fs", "kind 'IPfs'"),
    ("IVF2,PQ4x4fs", "kind 'IwPf'"), ("RQ2x4fs_Nrq2x4", "kind 'IRfs'"), ("SQ8", "kind 'IxSQ'"),
    ("OPQ2,PQ2x4", "kind 'IxPT'"), ("PRQ2x2x4", "kind 'IxPR'"), ("RQ2x4_Nrq2x4", "norms by a quantizer"),
    ("RQ1x3_1x4", "of \\[3, 4\\] bits")])
def test_other_layouts_are_refused_by_their_kind(kind, said, back):
    index, x = faiss.index_factory(8, kind), np.random.default_rng(0).standard_normal((600, 8), np.float32)
    index.train(x)
    index.add(x)
    with pytest.raises(UserError, match=f"codes.faiss is damaged or no faiss index that is read here .*{said}"):
        back(index)


def test_two_levels_and_other_distances_are_refused(back):
    x = np.random.default_rng(0).standard_normal((300, 8), np.float32)
    levels, city = faiss.Index2Layer(faiss.IndexFlatL2(8), 4, 2, 4), faiss.IndexPQ(8, 2, 4, faiss.METRIC_L1)
    for index, said in ((levels, "kind 'Ix2L'"), (city, "neither the inner")):
        index.train(x)
        index.add(x)
        with pytest.raises(UserError, match=said):
            back(index)


def test_what_does_not_fit_is_refused(back):
    padded = bits_of(20)[0]
    with pytest.raises(UserError, match="20 codes .* 30"):
        back(ours.index_of(padded), like=bits_of(30)[0])
    with pytest.raises(UserError, match="more lists than the 20"):
        ours.index_of(padded, 21)


def test_without_the_database_bits_are_read_four_to_a_word(back):
    database, queries = bits_of(50)
    found = back(ours.index_of(database))
    assert found.codes.shape == (50, 4) and (found.codes[:, 3] == 0).all()  # 12 bits and the 4 zeros behind them
    np.testing.assert_array_equal(found.codes[:, :3], database.codes)


def test_the_command_goes_both_ways(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    database = replace(random_database(40, bits=4), names=np.array([f"{i}.png" for i in range(40)]))
    database.save("codes.npz")
    for arguments in (["codes.npz", "lists.faiss", "--ivf=2"], ["codes.npz", "codes.faiss"],
                      ["codes.faiss", "back.npz", "--like=codes.npz"]):
        monkeypatch.setattr(sys, "argv", ["faiss", *arguments])
        ours.main()
    assert "IndexIVFPQ of 40 codes of 3 bytes" in capsys.readouterr().out
    check_same(Database.load("back.npz"), database)
    (tmp_path / "none.faiss").write_bytes(b"nothing")
    monkeypatch.setattr(sys, "argv", ["faiss", "none.faiss", "back.npz"])
    with pytest.raises(UserError, match="none.faiss is damaged or no faiss index"):
        ours.main()
