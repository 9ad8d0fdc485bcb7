"""Binary codes in nibbles against bits compared one by one."""
import numpy as np
import pytest

from gpq.model.baselines import hamming
from gpq.utils.data.relevance import SharedLabels
from gpq.utils.retrieval import metrics, search
from gpq.utils.retrieval.database import Database


def coded(compute, bits):
    return compute(lambda x: tuple(hamming.retrieval(x)), bits)


@pytest.mark.parametrize("n_bits", [4, 12, 48])
def test_the_distance_is_the_number_of_different_bits(compute, n_bits):
    bits = np.random.default_rng(n_bits).integers(0, 2, (60, n_bits)).astype(bool)
    features, codes, codebooks = coded(compute, bits)
    assert codes.dtype == np.uint8 and codes.shape == (60, n_bits // 4) and codes.max() < 16
    gallery = Database(codes, codebooks, None, {}, distance="squared").gallery
    (_, distances), = search.blocks(features, gallery)
    np.testing.assert_array_equal(distances[:, gallery.inverse], (bits[:, np.newaxis] != bits).sum(2))


def test_the_first_bit_is_the_highest_of_its_nibble(compute):
    _, codes, _ = coded(compute, np.array([[True, False, False, False, False, False, True, True]]))
    assert codes.tolist() == [[8, 3]]


def test_random_codes_are_at_chance(compute):
    """The expected mAP of a random ranking of ten even classes is a little above 0.100."""
    generator = np.random.default_rng(0)
    features, codes, codebooks = coded(compute, generator.integers(0, 2, (5200, 12)).astype(bool))
    labels = np.arange(5200)[:, np.newaxis] % 10 == np.arange(10)
    database = Database(codes[200:], codebooks, None, {}, distance="squared")
    found = metrics.mean_average_precision(database, features[:200], SharedLabels(labels[:200], labels[200:]), 5000)
    assert found == pytest.approx(0.1, abs=0.003)
