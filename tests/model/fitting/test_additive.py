"""Additive quantization: codes, codebooks and rounds, by definition and by the figures of WSDHQ's release."""
import time
from types import SimpleNamespace

import numpy as np
import pytest

from gpq.config import WSDHQ
from gpq.model.fitting import additive
from gpq.utils.errors import UserError

N, D, M, K = 40, 6, 3, 8


@pytest.fixture
def made():
    generator = np.random.default_rng(0)
    w = generator.normal(size=(9, D))
    return SimpleNamespace(x=generator.normal(size=(N, D)).astype(np.float32), w=w, gram=(w.T @ w).astype(np.float32),
                           codebooks=generator.normal(size=(M, K, D)).astype(np.float32),
                           codes=generator.integers(0, K, (N, M)).astype(np.int32))


def encoded_slowly(made, sweeps, generator):
    """By the tags W and in float64, vector by vector in blocks of 15."""
    x, codebooks = made.x.astype(np.float64), made.codebooks.astype(np.float64)
    codes = np.full((N, M), -1)
    for first in range(0, N, 15):
        for _ in range(sweeps):
            for m in generator.permutation(M):
                for row in range(first, min(first + 15, N)):
                    others = sum(codebooks[n, codes[row, n]] for n in range(M) if n != m and codes[row, n] >= 0)
                    left = x[row] - others - codebooks[m]
                    codes[row, m] = np.argmin(((left @ made.w.T) ** 2).sum(1))
    return codes


def test_codes_are_those_of_the_search_word_by_word(made, monkeypatch):
    """Acceptance check 4, in float64."""
    monkeypatch.setattr(additive, "BLOCK", 15)
    codes = additive.encode(made.x, made.codebooks, made.gram, 3, np.random.default_rng(5))
    np.testing.assert_array_equal(codes, encoded_slowly(made, 3, np.random.default_rng(5)))


def test_more_sweeps_never_do_harm_and_the_first_is_not_the_last(made):
    def lost(sweeps):
        codes = additive.encode(made.x, made.codebooks, made.gram, sweeps, np.random.default_rng(5))
        missing = made.x - made.codebooks[np.arange(M), codes].sum(1)
        return np.einsum("nd,de,ne->n", missing, made.gram, missing)

    once, thrice = lost(1), lost(3)
    assert (thrice <= once * (1 + 1e-5)).all() and thrice.sum() < 0.99 * once.sum()


def test_the_update_is_the_ridge_solution(made):
    codes = made.codes.copy()
    codes[5] = -1  # never coded
    named = np.zeros((N, M * K))
    for row, code in enumerate(codes):
        named[row, [K * m + k for m, k in enumerate(code) if k >= 0]] = 1
    expected = np.linalg.solve(named.T @ named + 1e-3 * np.eye(M * K), named.T @ made.x.astype(np.float64))
    used = named.any(0)
    found = additive.update(made.x, codes, made.codebooks).reshape(M * K, D)
    assert not used.all()
    np.testing.assert_allclose(found, np.where(used[:, np.newaxis], expected, made.codebooks.reshape(M * K, D)),
                               rtol=1e-4, atol=1e-5)


def test_the_update_gives_back_exact_codebooks_and_keeps_dead_words(made):
    """Acceptance check 6, of one codebook, since of several only the sums are fixed."""
    words, codes = made.codebooks[:1], np.arange(N)[:, np.newaxis] % (K - 1)
    found = additive.update(words[0][codes[:, 0]], codes, np.full_like(words, 7))
    counts = np.bincount(codes[:, 0])[:, np.newaxis]
    np.testing.assert_allclose(found[0, :-1], words[0, :-1] * counts / (counts + 1e-3), rtol=1e-5)
    assert np.abs(found[0, :-1] - words[0, :-1]).max() < 1e-3 and (found[0, -1] == 7).all()
    several = additive.update(made.codebooks[np.arange(M), made.codes].sum(1), made.codes, made.codebooks)
    sums = [books[np.arange(M), made.codes].sum(1) for books in (several, made.codebooks)]
    np.testing.assert_allclose(*sums, atol=5e-3)


def test_a_codebook_starts_in_dimensions_of_its_own():
    generator = np.random.default_rng(2)
    centres = generator.normal(size=(4, 7)) * 10
    x = (centres[generator.integers(0, 4, 300)] + 0.01 * generator.normal(size=(300, 7))).astype(np.float32)
    codebooks = additive.start(x, 3, 4, 0)
    for book, words in enumerate(codebooks):
        own = slice(2 * book, 2 * book + 2)
        assert not np.delete(words, own, axis=1).any()
        nearest = np.linalg.norm(words[:, own] - centres[:, np.newaxis, own], axis=2).min(1)
        assert nearest.max() < 0.1
    few = additive.start(x[:3], 3, 8, 0)
    assert few.shape == (3, 8, 7) and np.isfinite(few).all()


@pytest.mark.parametrize("count, n_steps, expected", [
    (18573, 800, [147, 293, 439, 585, 731]), (10000, 1500, [1 + 80 * k for k in range(1, 19)])])
def test_rounds_follow_the_steps_that_the_release_s_logs_show(count, n_steps, expected):
    """Acceptance check 8."""
    period = 2 * -(-count // WSDHQ().batch_size)
    assert [step for step in range(1, n_steps + 1) if additive.due(step, period)] == expected


@pytest.mark.parametrize("count, low, high", [(18573, 66, 73), (10000, 0, 0), (300, 0, 0), (500, 0, 0)])
def test_what_the_first_round_leaves_without_a_code(count, low, high):
    """Acceptance check 8: the logs say 71 or 72 of 18,573."""
    rows = additive.shuffled(count, np.random.default_rng(0))
    assert low <= count - len(np.unique(rows)) <= high
    assert len(rows) == count or len(rows) % additive.BLOCK == 0


def test_a_training_without_a_round_is_refused():
    config, given = WSDHQ(batch_size=10, iterations=8), SimpleNamespace(counts=[31], n_steps=8)
    with pytest.raises(UserError, match="iterations is 8, but codebooks are first fitted after step 9; set iterations"):
        additive.fit(given, config, 0)


def test_a_codebook_without_a_dimension_of_its_own_is_refused():
    config, given = WSDHQ(n_book=4, dimension=3, batch_size=10), SimpleNamespace(counts=[31], n_steps=99)
    with pytest.raises(UserError, match="dimension is 3, too few for 4 codebooks; set n_book to 3 or less"):
        additive.fit(given, config, 0)


def test_all_images_of_flickr_are_coded_within_seconds():
    """23,000 of 300 numbers by 4 codebooks of 256 words take 0.3 s of a processor; one word after another, minutes."""
    generator = np.random.default_rng(0)
    x, codebooks = (generator.standard_normal(shape, np.float32) for shape in ((23000, 300), (4, 256, 300)))
    began = time.process_time()
    assert additive.encode(x, codebooks, np.eye(300, dtype=np.float32), 3, generator).shape == (23000, 4)
    assert time.process_time() - began < 10
