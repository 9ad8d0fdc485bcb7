"""Flip, crop and distortion: what comes out, how often, and that a seed decides it."""
from types import SimpleNamespace

import numpy as np
import pytest
from xla import under_xla

from gpq.model.augmentation import augment, stateless_seed, strong_augment, view
from gpq.model.tf1 import tf

MEAN, DEVIATION = (125.642, 123.738, 114.46), (63.01, 62.157, 66.94)  # the release's
MANY = 3000


def random_images(n, size=32):
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def outcomes(image):
    """All that may come of uint8 [H, W, 3]: float64 [2, 9, 9, H, W, 3], by flip, first row, first column."""
    height, width, _ = image.shape
    flips = [(image - np.array(MEAN)) / DEVIATION]
    flips.append(flips[0][:, ::-1])
    padded = [np.pad(each, [(4, 4), (4, 4), (0, 0)]) for each in flips]
    return np.array([[[each[row:row + height, column:column + width] for column in range(9)]
                      for row in range(9)] for each in padded])


@pytest.fixture(scope="module")
def augmented():
    """augmented(images, *seeds): float32 [seeds, B, H, W, 3], one call of one graph for each seed."""
    def run(images, *seeds):
        with tf.Graph().as_default(), tf.Session() as session:
            seed = tf.placeholder(tf.int32, [2])
            out = augment(tf.constant(images), seed)
            return np.array([session.run(out, {seed: each}) for each in seeds])
    return run


@pytest.fixture(scope="module")
def drawn(augmented):
    """Flip, first row, first column of MANY copies of one small image, int64 [3, MANY]."""
    image = random_images(1, size=6)
    found = augmented(np.repeat(image, MANY, axis=0), [7, 8])[0].reshape(MANY, 1, -1)
    possible = outcomes(image[0]).reshape(1, 2 * 81, -1)
    far = np.concatenate([np.abs(part - possible).max(axis=2) for part in np.array_split(found, 10)])
    assert far.min(axis=1).max() < 1e-5
    return np.unravel_index(far.argmin(axis=1), (2, 9, 9))


def test_every_image_becomes_one_of_its_own_outcomes(augmented):
    images = random_images(12)
    for image, found in zip(images, augmented(images, [0, 0])[0], strict=True):
        far = np.abs(outcomes(image) - found).max(axis=(3, 4, 5))
        assert (far < 1e-5).sum() == 1


def test_a_seed_decides_it_all(augmented):
    first, again, other, another = augmented(random_images(20), [3, 4], [3, 4], [3, 8], [5, 4])
    np.testing.assert_array_equal(first, again)
    same = [np.all(first == elsewhere, axis=(1, 2, 3)).sum() for elsewhere in (other, another)]
    assert max(same) <= 2  # of 20; two images agree by chance once in 162


def test_half_are_flipped(drawn):
    flipped = drawn[0].sum()
    assert abs(flipped - MANY / 2) < 4 * np.sqrt(MANY / 4)


def test_every_flip_and_offset_occurs(drawn):
    counts = np.zeros((2, 9, 9))
    np.add.at(counts, drawn, 1)
    assert counts.min() > 0
    chi_squared = ((counts - MANY / 162) ** 2 / (MANY / 162)).sum()
    assert chi_squared < 161 + 4 * np.sqrt(2 * 161)


def test_the_two_batches_of_a_step_differ(augmented):
    """Step t seeds its batches with 4 t and 4 t + 2, and each flip with one more."""
    images = random_images(200)
    batches = augmented(images, *([0, seed] for seed in (0, 2, 4, 6)))
    for k, one in enumerate(batches):
        for other in batches[k + 1:]:
            assert np.all(one == other, axis=(1, 2, 3)).mean() < 0.05


def distorted_numbers(image, found):
    """(contrast, contrast x saturation, brightness), the hole bool [H, W], of one image float32 [H, W, 3] and what was
    made of it, by least squares; the fit must be exact."""
    hole = (found == 0).all(axis=2)
    mean, grey = image.mean(), image.mean(axis=2, keepdims=True)
    terms = np.stack([np.broadcast_to(grey - mean, image.shape), image - grey, np.ones_like(image)], axis=-1)
    numbers = np.linalg.lstsq(terms[~hole].reshape(-1, 3), (found - mean)[~hole].ravel(), rcond=None)[0]
    np.testing.assert_allclose((terms @ numbers + mean)[~hole], found[~hole], atol=2e-5)
    return numbers, hole


@pytest.fixture(scope="module")
def distortions():
    """(contrasts, saturations, brightnesses), each float64 [500], and the holes bool [500, 32, 32]."""
    images = np.random.default_rng(0).standard_normal((500, 32, 32, 3), np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(strong_augment(tf.constant(images), tf.constant([3, 7])))
    numbers, holes = zip(*map(distorted_numbers, images, found), strict=True)
    contrast, both, brightness = np.array(numbers).T
    return (contrast, both / contrast, brightness), np.array(holes)


def test_distortion_is_even_over_its_range_and_of_independent_parts(distortions):
    for numbers, centre in zip(distortions[0], (1, 1, 0), strict=True):
        assert np.abs(numbers - centre).max() < 0.5 + 1e-3
        assert np.histogram(numbers, 5, (centre - 0.5, centre + 0.5))[0].min() > 60  # of 100 expected
    assert np.abs(np.corrcoef(distortions[0]) - np.eye(3)).max() < 0.2


def test_the_hole_is_a_square_that_may_reach_over_the_edge(distortions):
    holes, sides = distortions[1], []
    for axis in (1, 2):
        lines = holes.any(axis=3 - axis)
        sides.append(lines.sum(axis=1))
        first, last = lines.argmax(axis=1), 31 - lines[:, ::-1].argmax(axis=1)
        assert (last - first + 1 == sides[-1]).all()
        assert set(sides[-1]) == set(range(8, 17)) and (sides[-1] == 16).mean() == pytest.approx(17 / 32, abs=0.1)
        cut = sides[-1] < 16
        assert ((first[cut] == 0) | (last[cut] == 31)).all()
    assert (holes.sum(axis=(1, 2)) == sides[0] * sides[1]).all()


def test_distortion_depends_on_the_seed_and_is_the_same_under_xla(compute):
    images = np.random.default_rng(1).standard_normal((20, 32, 32, 3), np.float32)
    first, again, other = (compute(strong_augment, images, np.array(seed, np.int32))
                           for seed in ([3, 1], [3, 1], [3, 3]))
    np.testing.assert_array_equal(first, again)
    assert (np.abs(first - other).max(axis=(1, 2, 3)) > 0.1).all()
    np.testing.assert_allclose(under_xla(strong_augment, images, np.array([3, 1], np.int32)), first, atol=1e-5)


NOISE_LEVELS = (0, 1, 2, 3, 249, 250, 2 ** 27, 2 ** 28 - 1)


def streams(names, seed):
    """int32 [names, steps, 2]."""
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.placeholder(tf.int32, [])
        found = tf.stack([stateless_seed(name, seed, step) for name in names])
        return np.stack([session.run(found, {step: one}) for one in NOISE_LEVELS], axis=1)


@pytest.mark.parametrize("seed", [0, 7, 2 ** 31 - 1])
def test_published_streams_keep_their_numbers(seed):
    names = [f"{what} {role}" for what in ("augment", "distort") for role in ("labelled", "unlabelled")]
    expected = [[[seed, start + 4 * step + k] for step in NOISE_LEVELS] for start in (0, 2 ** 30) for k in (0, 2)]
    np.testing.assert_array_equal(streams(names, seed), expected)


@pytest.mark.parametrize("seed", [0, 7])
def test_no_two_names_or_steps_share_a_seed(seed):
    """Nor what [0, 1] added makes of one, from which a second number of the same name is drawn."""
    names = [f"{what} {role}" for what in ("augment", "distort")
             for role in ("labelled", "unlabelled", "query", *map(str, range(200)))]
    first = streams(names, seed).reshape(-1, 2)
    both = np.concatenate([first, first + np.int32([0, 1])])
    assert len(np.unique(both, axis=0)) == len(both) == 2 * len(names) * len(NOISE_LEVELS)


def test_another_seed_makes_another_stream():
    assert (streams(["augment query"], 3)[..., 0] != streams(["augment query"], 4)[..., 0]).all()


def test_a_view_is_standardised_as_its_network_asks(compute):
    images = random_images(4)

    def graph(images):
        config = SimpleNamespace(seed=3)
        return (view(images, "query", config, 5, lambda x: tf.cast(x, tf.float32) / 255),
                view(images, "query", config, 5))

    (own, own_distorted), (usual, usual_distorted) = compute(graph, images)
    inside = own != 0  # neither padding nor a black pixel
    undone = (usual * np.array(DEVIATION) + np.array(MEAN)) / 255
    np.testing.assert_allclose(own[inside], undone[inside], atol=1e-5)
    assert own.min() == 0 and own.max() <= 1 and (own_distorted != own).any() and (usual_distorted != usual).any()
