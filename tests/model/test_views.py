"""SPQ's views against plain computations, image by image and pixel by pixel, and how often and how far they vary."""
import colorsys
from types import SimpleNamespace

import numpy as np
import pytest
from xla import under_xla

from gpq.model import views
from gpq.model.tf1 import tf

MANY = 4000


def random_images(n=3, size=6):
    images = np.random.default_rng(0).random((n, size, size, 3), np.float32)
    images[0, 0, :4] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0.2, 1]]  # no hue, no chroma, a tie
    return images


def numbers(n, low, high):
    return np.random.default_rng(1).uniform(low, high, n).astype(np.float32)


def draws(seed=0):
    """A drawing function as `views.view` has."""
    generator = np.random.default_rng(seed)
    return lambda what, *shape, low=0.0, high=1.0: tf.constant(generator.uniform(low, high, shape), tf.float32)


@pytest.fixture(scope="module")
def cut():
    """Corners and sizes, float32 [MANY, 2] each."""
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(views.crops(MANY, [32, 32], draws()))


def test_a_crop_never_spans_the_image(cut):
    corner, size = cut
    assert size.min() >= 1 and size.max() == 31 and (corner >= 0).all() and (corner + size <= 32).all()
    assert (size == size.round()).all() and (corner == corner.round()).all()
    edges = (corner + size == 32).mean(), (corner == 0).mean()
    assert edges[0] == pytest.approx(edges[1], abs=0.03)  # both ends are as near


def test_crops_are_of_the_areas_and_shapes_that_are_asked_for(cut):
    height, width = cut[1].T
    area = height * width / 1024
    assert 0.06 < area.min() and area.mean() == pytest.approx(0.464, abs=0.015)  # of those that fit
    assert 0.6 < (width / height).min() and (width / height).max() < 1.6
    assert np.log(width / height).mean() == pytest.approx(0, abs=0.015)


def test_where_no_candidate_fits_three_quarters_are_taken(compute):
    def whole(what, *shape, low=0.0, high=1.0):
        return tf.fill(shape, low if what == "corner" else high)  # area 1 at 4 : 3

    corner, size = compute(lambda: views.crops(2, [32, 32], whole))
    np.testing.assert_array_equal(corner, 0)
    np.testing.assert_array_equal(size, [[24, 32]] * 2)


def test_a_crop_is_enlarged_corner_to_corner(compute):
    images = random_images(3, 8)
    corner, size = np.float32([[0, 1], [3, 2], [4, 7]]), np.float32([[7, 5], [2, 6], [3, 1]])
    found = compute(views.resample, images, corner, size)
    for image, (top, left), (height, width), seen in zip(images, corner, size, found, strict=True):
        for i, j in np.ndindex(8, 8):
            y, x = top + i * (height - 1) / 7, left + j * (width - 1) / 7
            up, to_left = int(y), int(x)
            down, to_right = min(up + 1, 7), min(to_left + 1, 7)
            one, other = (image[row, to_left] + (x - to_left) * (image[row, to_right] - image[row, to_left])
                          for row in (up, down))
            np.testing.assert_allclose(seen[i, j], one + (y - up) * (other - one), atol=2e-6)


def plain(name, pixel, by):
    """One pixel's colour changed, by the definitions of HSV in Python's own library."""
    if name == "brighten":
        return np.clip(pixel + by - 1, 0, 1)
    if name == "contrast":
        return np.clip(pixel * by, 0, 1)
    hue, saturation, value = colorsys.rgb_to_hsv(*map(float, pixel))
    if name == "saturate":
        return colorsys.hsv_to_rgb(hue, min(saturation * by, 1), value)
    return colorsys.hsv_to_rgb((hue + by) % 1, saturation, value)


CHANGES = {"brighten": numbers(3, 0.6, 1.4), "contrast": numbers(3, 0.6, 1.4), "saturate": np.float32([0.6, 1.4, 3]),
           "adjust_hue": np.float32([-0.1, 0.07, 0.6])}


def changed(name, images):
    return np.array([[[plain(name, pixel, by) for pixel in row] for row in image]
                     for image, by in zip(images, CHANGES[name], strict=True)])


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_colours(compute, name):
    images = random_images()
    found = compute(lambda x, by: getattr(views, name)(x, views.per_image(by)), images, CHANGES[name])
    np.testing.assert_allclose(found, changed(name, images), atol=2e-6)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_colours_change_in_the_order_drawn(compute, order):
    expected = images = random_images()
    for place in order:
        expected = changed(list(CHANGES)[place], expected)
    found = compute(lambda x, factors, order: views.jitter(x, tf.unstack(factors), order), images,
                    np.stack(list(CHANGES.values())), np.int32(order))
    np.testing.assert_allclose(found, expected, atol=5e-6)


def test_grey_is_luma(compute):
    images = random_images()
    expected = 0.299 * images[..., 0] + 0.587 * images[..., 1] + 0.114 * images[..., 2]
    np.testing.assert_allclose(compute(views.grey, images), expected[..., np.newaxis].repeat(3, axis=3), atol=1e-6)


def test_the_releases_blur_is_three_taps_across(compute):
    images = random_images()
    mirrored = np.pad(images, [(0, 0), (0, 0), (1, 1), (0, 0)], "reflect")
    expected = 0.31917 * (mirrored[:, :, :-2] + mirrored[:, :, 2:]) + 0.36166 * mirrored[:, :, 1:-1]
    np.testing.assert_allclose(compute(lambda x: views.blur(x, *views.SIGMA), images), expected, atol=1e-5)


@pytest.mark.parametrize("reach", [1, 3])
def test_a_blur_of_each_image_by_its_own_deviation(compute, reach):
    images, deviations = random_images(), np.float32([0.1, 0.8, 2])
    found = compute(lambda x, by: views.blur(x, by, by, reach), images, deviations)
    for image, deviation, seen in zip(images, deviations, found, strict=True):
        taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
        kernel = np.outer(taps, taps) / taps.sum() ** 2
        mirrored = np.pad(image, [(reach, reach), (reach, reach), (0, 0)], "reflect")
        for i, j in np.ndindex(seen.shape[:2]):
            window = mirrored[i:i + 2 * reach + 1, j:j + 2 * reach + 1]
            np.testing.assert_allclose(seen[i, j], np.einsum("ij,ijc->c", kernel, window), atol=1e-5)


def test_a_blur_leaves_constant_images(compute):
    images = np.full((2, 6, 6, 3), 0.3, np.float32)
    np.testing.assert_allclose(compute(lambda x: views.blur(x, *views.SIGMA), images), images, atol=1e-6)


def view(images, name="first view", step=3, seed=0, blur="kornia0510"):
    return views.view(images, name, SimpleNamespace(seed=seed, blur=blur), step)


@pytest.fixture(scope="module")
def seen():
    """Views of 500 images that are red on the left and blue on the right, darker below: float32 [500, 32, 32, 3]."""
    image = np.zeros((32, 32, 3))
    image[:, :16, 0], image[:, 16:, 2] = 140, 140
    image *= np.linspace(1, 0.8, 32)[:, np.newaxis, np.newaxis]
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(view(tf.constant(np.repeat(np.uint8(image)[np.newaxis], 500, axis=0)), step=5))


def test_half_are_flipped_and_a_fifth_are_grey(seen):
    grey = np.abs(seen - seen.mean(axis=3, keepdims=True)).max(axis=(1, 2, 3)) < 1e-6
    assert grey.mean() == pytest.approx(0.2, abs=0.05)
    redness = (seen[..., 0] - seen[..., 2]).mean(axis=1)[~grey]
    falls = redness[:, 0] - redness[:, -1]  # 0 where a crop is of one half alone
    assert (falls[np.abs(falls) > 1e-3] > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert seen.min() >= -1e-6 and seen.max() <= 1 + 1e-6


def test_a_view_depends_on_name_step_and_seed_and_is_the_same_under_xla(compute):
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    first, again = compute(view, images), compute(view, images)
    np.testing.assert_array_equal(first, again)
    for more in ({"name": "second view"}, {"step": 4}, {"seed": 1}):
        other = compute(lambda x, more=more: view(x, **more), images)
        assert (np.abs(other - first).max(axis=(1, 2, 3)) > 0.1).all()
    np.testing.assert_allclose(under_xla(view, images), first, atol=1e-4)


def lengthened(image, axis):
    """`image` at 32 pixels along `axis`, its ends where they were, by straight lines between pixels."""
    n = image.shape[axis]
    return np.apply_along_axis(lambda line: np.interp(np.linspace(0, n - 1, 32), np.arange(n), line), axis, image)


def plain_view(image, draw, order, blur):
    """A view of one image, float64 [32, 32, 3] from 0 to 1, step by step, of the numbers `draw` that are its own."""
    for area, ratio in zip(0.08 + 0.92 * draw["area"], (4 / 3) ** (2 * draw["ratio"] - 1), strict=True):
        height, width = (round((1024 * area * by) ** 0.5) for by in (1 / ratio, ratio))
        if 0 < height < 32 and 0 < width < 32:
            break
    top, left = (int(where * (33 - size)) for where, size in zip(draw["corner"], (height, width), strict=True))
    image = lengthened(lengthened(image[top:top + height, left:left + width], 0), 1)
    if draw["whether to flip"] < 0.5:
        image = image[:, ::-1]
    if draw["whether to jitter"] < 0.8:
        factors = [*(0.6 + 0.8 * draw["factors"]), 0.2 * draw["turn"] - 0.1]
        for place in order:
            image = np.array([[plain(list(CHANGES)[place], pixel, factors[place]) for pixel in row] for row in image])
    if draw["whether to grey"] < 0.2:
        image = (image @ [0.299, 0.587, 0.114])[..., np.newaxis].repeat(3, axis=2)
    if draw["whether to blur"] < 0.5:
        for axis in (0, 1):
            deviation = (0.1, 2)[axis] if blur == "kornia0510" else 0.1 + 1.9 * draw["sigma"]
            taps = np.exp(-0.5 * np.array([1, 0, 1]) / deviation ** 2)
            mirrored = np.pad(image, [(1, 1) if each == axis else (0, 0) for each in range(3)], "reflect")
            image = sum(tap * mirrored.take(range(by, by + 32), axis) for by, tap in enumerate(taps / taps.sum()))
    return image


@pytest.mark.parametrize("blur", ["kornia0510", "simclr"])
def test_a_view_step_by_step(compute, monkeypatch, blur):
    """What is drawn for an image, and what comes of it in which order, from the same even numbers."""
    drawn, generator = {}, np.random.default_rng(2)

    def integers(shape, what, least, most, kind):
        drawn[what.removesuffix(" of first view")] = generator.integers(least, most, shape)
        return tf.constant(drawn[what.removesuffix(" of first view")], kind)

    monkeypatch.setattr(views, "stateless_seed", lambda what, seed, step: what)
    monkeypatch.setattr(tf.random, "stateless_uniform", integers)
    images = generator.integers(0, 256, (12, 32, 32, 3), np.uint8)
    found = compute(lambda x: view(x, blur=blur), images)
    each = {what: numbers / 2 ** 24 for what, numbers in drawn.items()}
    order, each["factors"] = np.argsort(each.pop("order")), each["factors"].T
    for i, seen in enumerate(found):
        expected = plain_view(images[i] / 255, {what: numbers[i] for what, numbers in each.items()}, order, blur)
        np.testing.assert_allclose(seen, expected, atol=1e-4, err_msg=str(i))
