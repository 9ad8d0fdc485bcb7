"""The reader of .mat files beside SciPy's, by what SciPy writes and by hand, and damaged ones."""
import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from gpq.utils.errors import UserError
from gpq.utils.reading import matlab

GENERATOR = np.random.default_rng(0)
CONTENT = {"four": GENERATOR.standard_normal((3, 3, 2, 4), np.float32), "vector": np.arange(5.), "flags": np.eye(3) > 0,
           "bytes": GENERATOR.integers(0, 255, (7, 2), np.uint8), "long": np.int64([[-2 ** 40]]),
           "few": np.uint8([[1, 2]]), "sparse": scipy.sparse.random(9, 6, 0.3, "csc", random_state=0)}
OTHERS = {"text": "words", "struct": {"a": 1.0}, "cell": np.array([1, "two"], object), "complex": np.ones((2, 2)) * 1j}
SHAPES = {name: array.shape for name, array in CONTENT.items()}


def written(content, **options):
    file = io.BytesIO()
    scipy.io.savemat(file, content, **options)
    return file.getvalue()


def read(path, content, shapes=SHAPES):
    path.write_bytes(content)
    return matlab.read(path, shapes, "test")


@pytest.mark.parametrize("packed", [False, True])
def test_what_scipy_writes_is_read(packed, tmp_path):
    found = read(tmp_path / "x.mat", written(OTHERS | CONTENT, do_compression=packed))
    assert found.keys() == CONTENT.keys()
    for name, array in CONTENT.items():
        got = found[name].toarray() if name == "sparse" else found[name]
        np.testing.assert_array_equal(got, array.toarray() if name == "sparse" else array)
        assert got.dtype == (array.dtype if name != "flags" else np.uint8) and got.shape == array.shape


def test_big_endian_and_numbers_kept_as_smaller_ones(tmp_path):
    """MATLAB keeps whole doubles as bytes."""
    def part(kind, content):
        return struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)

    body = (part(6, struct.pack(">II", 6, 0)) + part(5, struct.pack(">2i", 2, 3)) + struct.pack(">HH4s", 1, 1, b"x")
            + part(2, bytes([0, 1, 2, 3, 4, 250])))
    packed = zlib.compress(part(14, body))
    for whole in (part(14, body), struct.pack(">II", 15, len(packed)) + packed):
        found = read(tmp_path / "x.mat", bytes(124) + b"\x01\x00MI" + whole, {"x": (2, 3)})["x"]
        np.testing.assert_array_equal(found, [[0., 2, 4], [1, 3, 250]])
        assert found.dtype == np.float64


@pytest.mark.parametrize("name", OTHERS)
def test_other_than_real_numbers_are_refused(name, tmp_path):
    shape = np.shape(OTHERS[name]) or (1,)
    with pytest.raises(UserError, match=f"it does not hold {name} as"):
        read(tmp_path / "x.mat", written(OTHERS), {name: (5,) if name == "text" else shape})


def test_version_7_3_and_others_are_refused(tmp_path):
    for content in (b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF", b"\x89HDF\r\n\x1a\n" + bytes(1000),
                    written({"x": 1.0}, format="4")):
        with pytest.raises(UserError, match="no .mat of version 5 to 7; save it by save -v7"):
            read(tmp_path / "x.mat", content)


def test_what_would_unpack_to_more_than_it_says_is_refused(tmp_path):
    sound = written({"x": np.zeros((1000, 1000))}, do_compression=True)
    assert read(tmp_path / "x.mat", sound, {"x": (1000, 1000)})["x"].shape == (1000, 1000)
    with pytest.raises(UserError, match="it does not hold x as .10, 10"):
        read(tmp_path / "x.mat", sound, {"x": (10, 10)})
    body = zlib.decompress(sound[136:])
    forged = zlib.compress(body.replace(struct.pack("<ii", 1000, 1000), struct.pack("<ii", 10, 10)))
    with pytest.raises(UserError, match="do not fit together"):
        read(tmp_path / "x.mat", sound[:128] + struct.pack("<II", 15, len(forged)) + forged, {"x": (10, 10)})


@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_refused_or_read(packed, tmp_path):
    """300 seeded damages: nothing but UserError may come of them."""
    sound, generator = written(OTHERS | CONTENT, do_compression=packed), np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        spoilt = bytearray(sound)
        for place in generator.integers(124, len(sound), generator.integers(1, 4)):
            spoilt[place] = generator.choice([spoilt[place] ^ 1 << generator.integers(8), 0, 255, 14, 15])
        if generator.random() < 0.1:
            del spoilt[generator.integers(len(spoilt)):]
        try:
            read(tmp_path / "x.mat", spoilt)
        except UserError as error:
            refused += "\n" not in str(error)
    assert refused > 30
