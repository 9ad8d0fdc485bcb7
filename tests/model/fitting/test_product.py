"""PQ, OPQ and LOPQ: codes against brute force, each method where it must equal a simpler one, and faiss."""

import faiss
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from gpq import config
from gpq.model.baselines import shallow
from gpq.model.fitting import product
from gpq.model.fitting.projections import balanced_axes, eigenvalue_allocation
from gpq.model.tf1 import tf
from gpq.utils.data.relevance import SharedLabels
from gpq.utils.methods import METHODS
from gpq.utils.retrieval import metrics, search
from gpq.utils.retrieval.database import Database, reconstruct


@pytest.fixture(autouse=True)
def one_thread():
    """As a fit has: tests run side by side, and threads that wait for each other take minutes."""
    with threadpool_limits(1):
        yield


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def x():
    """400 unit vectors of 18 numbers that depend on each other."""
    generator = np.random.default_rng(0)
    return unit(generator.normal(size=(400, 18)) @ generator.normal(size=(18, 18)) * 0.3 + generator.normal(size=18))


def retrieved(method, x, n_bits, fitted):
    """The Retrieval of x, in arrays, by the graph of the method with fitted variables."""
    settings = config.METHODS[method](n_bits=n_bits, embeddings="v.npz")
    with tf.Graph().as_default(), tf.Session() as session:
        graph = METHODS[method](settings).retrieval(tf.constant(x))
        for v in tf.global_variables():
            v.load(fitted[v.op.name.removeprefix(f"{method}/")], session)
        return session.run(graph)


def error(method, x, n_bits, fitted):
    """Mean squared error of the reconstruction by the method's graph."""
    found = retrieved(method, x, n_bits, fitted)
    made = reconstruct(found.codebooks, found.codes, METHODS[method].added)
    return ((found.features - made) ** 2).sum(1).mean()


def test_pq_codes_are_the_nearest_words_one_by_one(x):
    fitted = product.pq(x, 20, seed=0)
    found = retrieved("pq", x, 20, fitted)
    padded = np.pad(x, ((0, 0), (0, 2))).reshape(len(x), 5, 4)
    for n, m in [(0, 0), (7, 3), (399, 4)]:
        distances = [((padded[n, m] - word) ** 2).sum() for word in fitted["codebooks"][m]]
        assert found.codes[n, m] == np.argmin(distances)
    np.testing.assert_allclose(found.features, padded.reshape(len(x), 20), atol=1e-6)


def test_pq_reconstructs_as_many_points_as_it_has_words(x):
    few = np.repeat(x[:16], 20, axis=0)
    assert error("pq", few, 12, product.pq(few, 12, seed=0)) < 1e-9


def test_better_fits_reconstruct_better(x):
    plain = error("pq", x, 12, product.pq(x, 12, seed=0))
    parametric = error("opq", x, 12, product.opq(x, 12, seed=0, rounds=0))
    whole = error("opq", x, 12, product.opq(x, 12, seed=0))
    assert whole < 0.98 * parametric < 0.95 * plain


def test_opq_s_rotation_is_one(x):
    for dimension in (18, 17):
        rotation = product.opq(x[:, :dimension], 12, seed=0)["rotation"]
        assert rotation.shape == (dimension, 18)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(dimension), atol=1e-5)


def test_lopq_of_one_cell_is_parametric_opq(x, monkeypatch):
    """The same reconstructions: LOPQ spends 4 bits on the cell."""
    monkeypatch.setattr(shallow, "CELLS", 1)
    local = retrieved("lopq", x, 16, product.lopq(x, 16, seed=0, cells=1))
    fitted = product.opq(x, 12, seed=0, rounds=0)
    global_ = retrieved("opq", x, 12, fitted)
    np.testing.assert_array_equal(local.codes, global_.codes)
    turned_back = reconstruct(global_.codebooks, global_.codes) @ fitted["rotation"].T
    np.testing.assert_allclose(reconstruct(local.codebooks, local.codes, added=True), turned_back, atol=1e-5)


def test_lopq_codes_by_the_cell_s_own_rotation(x):
    """Against the way of the paper: the cell, the rotated rest, its nearest words; and its distances."""
    fitted = product.lopq(x, 12, seed=0)
    found = retrieved("lopq", x, 12, fitted)
    for n in (0, 100, 399):
        cell = np.argmin(((x[n] - fitted["cells"]) ** 2).sum(1))
        rest, made = x[n] - fitted["cells"][cell], fitted["cells"][cell].copy()
        for m in range(2):
            basis, _, _ = np.linalg.svd(fitted["words"][m, cell].T, full_matrices=False)  # of the book's sub-space
            words = fitted["words"][m, cell] @ basis
            word = np.argmin(((rest @ basis - words) ** 2).sum(1))
            assert found.codes[n, m] == 16 * cell + word
            made += fitted["words"][m, cell, word]
        np.testing.assert_allclose(reconstruct(found.codebooks, found.codes[n:n + 1], added=True)[0], made, atol=1e-6)
    across = np.einsum("vkd,vld->vkl", *fitted["words"])
    assert np.abs(across).max() < 1e-5


def test_variances_are_shared_out_evenly():
    assert eigenvalue_allocation(np.array([8, 4, 2, 1.0]), 2).tolist() == [0, 3, 1, 2]
    assert eigenvalue_allocation(np.array([8, 4, 2, 1.0]) * 1e-3, 2).tolist() == [0, 3, 1, 2]
    assert sorted(eigenvalue_allocation(np.array([5, 1, 0, 0, 0, 0.0]), 3)) == list(range(6))


def test_the_balanced_axes_are_a_rotation(x):
    axes = balanced_axes(x[:, :17], 4)
    assert axes.shape == (17, 20)
    np.testing.assert_allclose(axes @ axes.T, np.eye(17), atol=1e-10)


def test_the_same_codes_and_distances_as_faiss(x):
    found = retrieved("pq", x, 24, product.pq(x, 24, seed=0))
    index = faiss.IndexPQ(18, 6, 4)
    index.is_trained = True
    faiss.copy_array_to_vector(found.codebooks.ravel(), index.pq.centroids)
    codes = index.pq.compute_codes(x)
    np.testing.assert_array_equal(np.stack([codes & 15, codes >> 4], axis=2).reshape(len(x), 6), found.codes)
    index.add(x)
    theirs, _ = index.search(x[:20], 50)
    ours, _ = search.search(Database(found.codes, found.codebooks, None, {}, distance="squared"), x[:20], 50)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("method", ["pq", "opq", "lopq"])
def test_random_codes_are_at_chance(x, method):
    generator = np.random.default_rng(0)
    found = retrieved(method, x, 16, getattr(product, method)(x, 16, seed=0))
    codes = generator.integers(0, found.codebooks.shape[1], (5000, found.codes.shape[1]), np.uint8)
    labels = np.arange(5100)[:, np.newaxis] % 10 == np.arange(10)
    database = Database(codes, found.codebooks, None, {}, distance="squared", added=METHODS[method].added)
    relevance = SharedLabels(labels[:100], labels[100:])
    made = metrics.mean_average_precision(database, found.features[:100], relevance, 5000)
    assert made == pytest.approx(0.1, abs=0.003)
