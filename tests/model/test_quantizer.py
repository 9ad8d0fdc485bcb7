"""The quantizer against its definitions, one sub-vector at a time in float64, and against the release."""
from types import SimpleNamespace

import numpy as np
import pytest

from gpq.model import gpq, quantizer
from gpq.model.tf1 import tf

B, M, K, D = 7, 4, 6, 3


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def softly_assigned(x, codewords, alpha):
    """Equation 1 for one sub-vector x [d] and its codebook [K, d], float64."""
    weights = np.exp(alpha * (codewords @ x))
    return unit(weights @ codewords / weights.sum())


def each_sub_vector(function, x, codewords):
    """`function` of every sub-vector of x [B, M, d] and its own codebook out of [K, M, d]."""
    x, codewords = x.astype(np.float64), codewords.astype(np.float64)
    return np.array([[function(x[b, m], codewords[:, m]) for m in range(x.shape[1])] for b in range(len(x))])


def test_split_keeps_sub_vectors_together(compute):
    x = random(B, M * D)
    parts, joined = compute(lambda x: (quantizer.split(x, M), quantizer.join(quantizer.split(x, M))), x)
    for m in range(M):
        np.testing.assert_array_equal(parts[:, m], x[:, m * D:(m + 1) * D])
    np.testing.assert_array_equal(joined, x)


def test_every_sub_vector_has_length_one(compute):
    found = compute(quantizer.intra_normalise, 100 * random(B, M, D))
    np.testing.assert_allclose(found, unit(random(B, M, D)), atol=1e-6)


@pytest.mark.parametrize("alpha", [1.0, 20.0])
def test_soft_assignment(compute, alpha):
    x, codewords = unit(random(B, M, D)), random(K, M, D, seed=1)
    found = compute(lambda *xz: quantizer.soft_assignment(*xz, alpha), x, codewords)
    expected = each_sub_vector(lambda s, z: softly_assigned(s, z, alpha), x, codewords)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-6)


def test_soft_assignment_tends_to_the_hard_one(compute):
    x, codewords = unit(random(B, M, D)), unit(random(K, M, D, seed=1))
    soft, hard = compute(lambda x, z: (quantizer.soft_assignment(x, z, 1e4), quantizer.hard_assignment(x, z)),
                         x, codewords)
    np.testing.assert_allclose(soft, codewords[hard, np.arange(M)], atol=1e-5)


def test_hard_assignment_is_the_largest_cosine(compute):
    x = random(200, M, D)
    codewords = random(K, M, D, seed=1) * np.geomspace(0.1, 10, K, dtype=np.float32)[:, None, None]
    found = compute(quantizer.hard_assignment, x, codewords)
    by_cosine = each_sub_vector(lambda s, z: np.argmax(unit(z) @ unit(s)), x, codewords)
    np.testing.assert_array_equal(found, by_cosine)
    by_product = each_sub_vector(lambda s, z: np.argmax(z @ s), x, codewords)
    assert found.dtype == np.uint8 and np.any(found != by_product)  # so that lengths do matter here


def test_codewords_of_release_and_paper(compute):
    """Softly assigned to the prototypes; the paper takes their directions, the release their lengths too."""
    codebooks, prototypes = 3 * random(K, M, D), random(5, M, D, seed=1)
    release, paper = compute(lambda *zc: [quantizer.update_codewords(*zc, 2.0, follow)
                                          for follow in ("release", "paper")], codebooks, prototypes)
    for found, start in ((release, codebooks), (paper, unit(codebooks))):
        expected = each_sub_vector(lambda z, c: softly_assigned(z, c, 2.0), start, unit(prototypes))
        np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(release - paper).max() > 0.1


def test_the_releases_numbers(compute, reference):
    """Z' from Z and prototypes as stored, soft descriptors, and codes by the nearest Z and the nearest Z'."""
    def graph(z, prototypes, x):
        z, prototypes, x = (quantizer.split(array, 12) for array in (z, prototypes, x))
        x, updated = quantizer.intra_normalise(x), quantizer.update_codewords(z, prototypes, 20.0, "release")
        soft = quantizer.soft_assignment(x, updated, 20.0)
        return [*map(quantizer.join, (x, updated, soft)),
                quantizer.hard_assignment(x, z), quantizer.hard_assignment(x, updated)]

    x, updated, soft, codes, codes_of_updated = compute(
        graph, reference["Z"], reference["Prototypes"], reference["feature_raw"])
    np.testing.assert_allclose(x, reference["feature_intra_norm"], atol=1e-6)
    np.testing.assert_allclose(updated, reference["Z_prime_soft_assigned"], atol=2e-6)
    np.testing.assert_allclose(soft, reference["descriptor_soft"], atol=1e-5)
    np.testing.assert_array_equal(codes, reference["codes"])
    np.testing.assert_array_equal(codes_of_updated, reference["codes_with_Z_prime"])


def test_retrieval_of_the_paper(compute):
    """Codes by the nearest Z', distances to Z', both sides normalised; the release's features are raw."""
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)

    def graph(images):
        settings = dict(n_book=M, len_code=D, intn_word=K, n_CLASSES=5, alpha=20.0, backbone="modified_vgg",
                        hidden=(), input_side=224)
        return [gpq.GPQ(SimpleNamespace(**settings, follow=follow)).retrieval(images)
                for follow in ("paper", "release")] + [{v.op.name: v for v in tf.global_variables()}]

    paper, release, variables = compute(graph, images)
    z, prototypes = (variables[name].reshape(-1, M, D) for name in "ZC")
    raw = release.features.reshape(5, M, D)
    np.testing.assert_allclose(paper.features.reshape(5, M, D), unit(raw), atol=1e-5)
    np.testing.assert_array_equal(release.codebooks, z.swapaxes(0, 1))
    updated = each_sub_vector(lambda s, c: softly_assigned(s, c, 20.0), unit(z), unit(prototypes))
    np.testing.assert_allclose(paper.codebooks, updated.swapaxes(0, 1), atol=2e-5)
    np.testing.assert_array_equal(paper.codes, each_sub_vector(lambda s, c: np.argmax(c @ s), raw, updated))
    np.testing.assert_array_equal(release.codes, each_sub_vector(lambda s, c: np.argmax(unit(c) @ s), raw, z))
