"""GIST against vectors of another program, and what it must not depend on.

reference_gist.npz holds a picture, uint8 [96, 96, 3], and what LEAR's compute_gist 1.1 prints of it by default, four
digits of 960 numbers (test data of whitphx/lear-gist-python, MIT licence).
"""
import numpy as np
import pytest
from conftest import DATA, arrays

from gpq.config import GPQ
from gpq.model.backbone import Backbone
from gpq.model.networks import gist

F = Backbone(GPQ(backbone="gist"))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


def of(compute, images):
    return compute(lambda x: F.features(x)[0], images.astype(np.float32))


def test_lear_s_vectors_to_their_last_digit(compute):
    found = arrays(DATA / "reference_gist.npz")
    picture = found["picture"].transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    made = compute(lambda x: gist.band_energies(gist.even_out(x), tuple(found["orientations"]), extension=0), picture)
    np.testing.assert_allclose(made[0], found["gist"], rtol=0, atol=5.1e-5)


def by_numpy(image):
    """LMgist.m's steps for one image, uint8 [32, 32, 3], band by band and block by block: float64 [512]."""
    def frequencies(side):
        return np.meshgrid(*2 * [np.fft.ifftshift(np.arange(side) - side // 2)])

    def filtered(x, transfer):
        return np.fft.ifft2(np.fft.fft2(x) * transfer)

    x = image.mean(2) - image.mean(2).min()
    x = np.pad(np.log(255 * x / x.max() + 1), 5, mode="symmetric")
    across, down = frequencies(42)
    low_pass = np.exp(-np.log(2) * (across ** 2 + down ** 2) / 4 ** 2)
    x = x - filtered(x, low_pass).real
    x = (x / (0.2 + np.sqrt(np.abs(filtered(x ** 2, low_pass)))))[5:-5, 5:-5]
    x, (across, down), found = np.pad(x, 32, mode="symmetric"), frequencies(96), []
    for scale in range(4):
        for number in range(8):
            turned = np.arctan2(down, across) + np.pi * number / 8
            turned -= 2 * np.pi * (turned > np.pi)
            away = np.hypot(across, down) / 96 / (0.3 / 1.85 ** scale) - 1
            band = np.exp(-3.5 * away ** 2 - 2 * np.pi * turned ** 2)
            energy = np.abs(filtered(x, band))[32:-32, 32:-32]
            found += [energy[8 * row:8 * row + 8, 8 * column:8 * column + 8].mean()
                      for column in range(4) for row in range(4)]
    return np.array(found)


def test_lmgist_s_stretch_and_extension(compute, pictures):
    np.testing.assert_allclose(of(compute, pictures), [by_numpy(picture) for picture in pictures], atol=2e-6)


def test_brightness_and_contrast_of_the_whole_do_not_count(compute, pictures):
    made = of(compute, pictures)
    assert made.shape == (3, 512) and made.std() > 0.01
    np.testing.assert_allclose(of(compute, pictures * 0.5 + 20), made, rtol=1e-3)
    flat = of(compute, np.full([1, 32, 32, 3], 7))
    assert np.abs(flat).max() < 1e-3


def test_a_mirrored_picture_has_mirrored_blocks(compute, pictures):
    """The columns come in the other order, and a band meets the one of the mirrored direction."""
    blocks = of(compute, pictures).reshape(3, 4, 8, 4, 4)
    mirrored = of(compute, pictures[:, :, ::-1]).reshape(3, 4, 8, 4, 4)[:, :, :, ::-1]
    np.testing.assert_allclose(mirrored[:, :, 0], blocks[:, :, 0], rtol=0.05, atol=0.01)
    for number in range(1, 8):
        here, there = mirrored[:, :, number], blocks[:, :, 8 - number]
        assert np.corrcoef(here.ravel(), there.ravel())[0, 1] > 0.99


def test_a_dense_layer_on_top(compute, pictures):
    made = compute(lambda x: Backbone(GPQ(backbone="gist"), 5).train(x, "")[0], pictures.astype(np.float32))
    assert made.shape == (3, 5)
