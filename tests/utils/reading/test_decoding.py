"""Pictures are decoded in one place: any mode and size, damaged ones, those that somebody sends."""
import io
import os
import struct
import zlib

import numpy as np
import pytest
from damage import mutations, sentence
from PIL import Image

from gpq.utils.errors import UserError
from gpq.utils.reading import pictures

OPENCVS = [[183, 115, 141, 40, 124, 134, 165, 174, 148, 61, 139, 145, 96, 84, 129],
           [111, 108, 132, 132, 46, 53, 130, 41, 165, 75, 86, 173, 154, 127, 91],
           [181, 56, 184, 85, 124, 98, 230, 70, 71, 195, 37, 37, 143, 111, 210],
           [148, 112, 158, 139, 142, 100, 156, 114, 34, 148, 124, 88, 95, 111, 170],
           [128, 95, 90, 99, 182, 117, 38, 49, 94, 95, 104, 186, 125, 61, 169]]
RAMP = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))


def saved(picture, kind="PNG", **more):
    """An open file of a Pillow picture."""
    file = io.BytesIO()
    picture.save(file, kind, **more)
    file.seek(0)
    return file


def png(pixels):
    return saved(Image.fromarray(pixels))


def test_a_picture_of_the_right_size_is_read_as_it_is(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    np.testing.assert_array_equal(pictures.read(tmp_path / "a.png", 32), image)


def test_grey_and_16_bit_pictures_keep_their_brightness(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name in ("grey.png", "deep.png"):
        np.testing.assert_array_equal(pictures.read(tmp_path / name, 32), np.stack([grey] * 3, axis=-1))


def test_a_dark_16_bit_picture_stays_dark(tmp_path):
    Image.fromarray(np.full((32, 32), 200, np.uint16)).save(tmp_path / "dark.png")
    assert pictures.read(tmp_path / "dark.png", 32).max() <= 1


def test_transparent_pictures_lie_on_white(tmp_path):
    Image.new("RGBA", (40, 40), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    Image.new("RGBA", (40, 40), (0, 0, 0, 128)).save(tmp_path / "half.png")
    palette = Image.new("P", (40, 40), 3)
    palette.save(tmp_path / "palette.gif", transparency=3)
    assert (pictures.read(tmp_path / "clear.png", 32) == 255).all()
    assert abs(int(pictures.read(tmp_path / "half.png", 32).mean()) - 127) <= 1
    assert (pictures.read(tmp_path / "palette.gif", 32) == 255).all()


def test_any_shape_becomes_its_middle_square(tmp_path):
    wide = np.zeros((64, 200, 3), np.uint8)
    wide[:, 68:132] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert pictures.read(tmp_path / "wide.png", 32).min() > 230
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "dot.png")
    assert (pictures.read(tmp_path / "dot.png", 32) == (1, 2, 3)).all()


def test_a_photograph_is_turned_upright(tmp_path):
    image = Image.new("RGB", (32, 32), "black")
    image.paste("white", (0, 0, 32, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    read = pictures.read(tmp_path / "turned.jpg", 32)
    assert read[-4:].mean() > 240 and read[:4].mean() < 15


@pytest.mark.parametrize("height, width", [(9, 23), (50, 12), (16, 16)])
def test_bilinear_between_the_four_pixels_about_a_place(height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    found = pictures.squashed(png(pixels), 16)
    for y in range(16):
        for x in range(16):
            v, u = (y + 0.5) * height / 16 - 0.5, (x + 0.5) * width / 16 - 0.5
            expected = 0
            for row, a in ((int(np.floor(v)), 1 - v % 1), (int(np.floor(v)) + 1, v % 1)):
                for column, b in ((int(np.floor(u)), 1 - u % 1), (int(np.floor(u)) + 1, u % 1)):
                    expected = expected + a * b * pixels[np.clip(row, 0, height - 1),
                                                         np.clip(column, 0, width - 1)].astype(float)
            assert np.abs(found[y, x] - expected).max() <= 1


def test_a_square_by_opencvs_resize():
    """Its values are those of `cv2.resize(pixels, (5, 5))` of opencv-python-headless 5.0.0."""
    pixels = np.random.default_rng(7).integers(0, 256, (7, 9, 3), np.uint8)
    np.testing.assert_array_equal(pictures.squashed(png(pixels), 5).reshape(5, 15), OPENCVS)


@pytest.mark.parametrize("numbers", [RAMP, RAMP * 65535, 2 * RAMP - 1, (RAMP * 255).astype(np.int32),
                                     (RAMP.astype(float) * (2 ** 31 - 1)).astype(np.int32)])
def test_floats_and_long_integers_go_from_black_to_white(numbers):
    found = pictures.cropped(saved(Image.fromarray(numbers), "TIFF"), 32)
    np.testing.assert_allclose(found, np.rint(RAMP * 255)[..., np.newaxis].repeat(3, 2), atol=1)


def test_what_is_not_finite_is_black_and_one_value_is_no_picture(tmp_path):
    numbers = RAMP.copy()
    numbers[0, 5:8] = np.nan, np.inf, -np.inf
    found = pictures.cropped(saved(Image.fromarray(numbers), "TIFF"), 32)
    assert not found[0, 5:8].any() and found[1:].max() == 255
    for value in 0.5, np.nan:
        Image.fromarray(np.full((32, 32), value, np.float32)).save(tmp_path / "a.tif")
        with pytest.raises(UserError, match="a.tif is damaged or no picture .all its pixels are"):
            pictures.read(tmp_path / "a.tif", 32)


def _exif(*entry):
    """EXIF of an orientation, 6, and another entry: tag, kind, count, its four bytes."""
    return (b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
            + struct.pack("<HHI", *entry[:3]) + entry[3] + struct.pack("<I", 0))


@pytest.mark.parametrize("entry", [(0x100, 8, 1, struct.pack("<hh", -1, 0)), (0x13b, 11, 1, struct.pack("<f", 1.5)),
                                   (0x11a, 1, 1, b"\1\0\0\0"), (0xfe, 1, 1, b"\xff" * 4),
                                   (0x8769, 4, 1, b"\xff" * 4)])
def test_a_turned_photograph_with_an_odd_entry_is_turned(entry):
    image = Image.new("RGB", (32, 32), "black")
    image.paste("white", (0, 0, 32, 8))  # the top, which is the right side once turned
    found = pictures.cropped(saved(image, "JPEG", exif=_exif(*entry), quality=95), 32)
    assert found[:, -4:].mean() > 240 and found[:, :4].mean() < 15


@pytest.mark.filterwarnings("ignore")
def test_damaged_pictures_are_read_or_named(tmp_path):
    """Of every format, in a file and sent by somebody: whatever a decoder raises is one sentence."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010e] = 6, "hello"
    exif.get_ifd(0x8825)[1] = "N"
    kinds = [("JPEG", {"exif": exif}), ("PNG", {"exif": exif}), ("GIF", {}), ("WEBP", {}), ("BMP", {}),
             ("TIFF", {"compression": "tiff_lzw"}), ("DDS", {}), ("PPM", {}), ("TGA", {}), ("ICO", {})]
    read = refused = 0
    for kind, more in kinds:
        for content in mutations(saved(picture, kind, **more).getvalue(), 40):
            (tmp_path / "a").write_bytes(content)
            for call in (lambda: pictures.read(tmp_path / "a", 32, pictures.squashed),
                         lambda content=content: pictures.uploaded(io.BytesIO(content), "a", 32)):
                try:
                    assert call().shape == (32, 32, 3)
                    read += 1
                except UserError as error:
                    assert str(error).count("\n") == 0 and "a" in str(error)
                    refused += 1
    assert read > 100 and refused > 100


def test_a_damaged_avif_or_dds_is_a_sentence(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8))
    dds = bytearray(saved(picture, "DDS").getvalue())
    dds[80:84] = bytes(4)
    (tmp_path / "x.dds").write_bytes(dds)
    assert "x.dds is damaged or no picture" in sentence(lambda: pictures.read(tmp_path / "x.dds", 32))
    if ".avif" in Image.registered_extensions():
        avif = saved(picture, "AVIF").getvalue()
        start = avif.index(b"mdat") + 4
        (tmp_path / "x.avif").write_bytes(avif[:start] + bytes(len(avif) - start))
        assert "x.avif is damaged or no picture" in sentence(lambda: pictures.read(tmp_path / "x.avif", 32))


def test_pipes_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").mkdir()
    for name in "a.jpg", "b.jpg":
        assert "is a folder, a pipe or a device, and no picture" in sentence(
            lambda name=name: pictures.read(tmp_path / name, 32))


@pytest.mark.parametrize("kind, width, height", [("PNG", 4100, 4100), ("PNG", 2, 2 ** 31 - 1), ("PNG", 14000, 14000),
                                                 ("JPEG", 7100, 7100)])
def test_an_upload_of_too_many_pixels_is_refused_undecoded(monkeypatch, kind, width, height):
    content = bytearray(saved(Image.new("L", (8, 8)), kind).getvalue())
    if kind == "PNG":
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    else:
        start = content.index(b"\xff\xc0") + 5
        content[start:start + 4] = struct.pack(">HH", height, width)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    with pytest.raises(UserError, match="mine has too many pixels; give a baseline JPEG of at most 50 million, or"):
        pictures.uploaded(io.BytesIO(content), "mine", 32)


@pytest.mark.parametrize("kind, mode", [("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"),
                                        ("PNG", "I;16"), ("TIFF", "F")])
def test_a_large_upload_is_the_same_picture(kind, mode):
    """It is decoded at reduced size, or reduced before anything else is made of it."""
    small = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    large = Image.fromarray(small).resize((2600, 1700), Image.Resampling.NEAREST)
    large = {"I;16": lambda: Image.fromarray(np.asarray(large.convert("L")).astype(np.uint16) * 257)}.get(
        mode, lambda: large.convert(mode))()
    file = saved(large, kind, **({"compress_level": 1} if kind == "PNG" else {}))
    whole, sent = pictures.cropped(file, 64).astype(int), pictures.uploaded(file, "a", 64).astype(int)
    assert np.abs(whole - sent).mean() < 2
