"""What `encode.py --export` writes gives the features and codes of the Session that it came from."""
import sys

import numpy as np
import pytest
from conftest import ROOT

from gpq import encode
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import runs
from gpq.utils.data import cifar10
from gpq.utils.errors import UserError
from gpq.utils.retrieval import encoder
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.settings import from_command_line

GIVEN = ["--n_book=3", f"--model_load_path={ROOT / 'models' / '12bits_example.ckpt'}"]


@pytest.fixture(scope="module")
def seen():
    """60 pictures, and their features and codes by the Encoder as it is fastest here."""
    pictures = cifar10.load(ROOT / "cifar10" / "sample").images[:60]
    checkpoint, config = runs.chosen(from_command_line(None, GIVEN))
    with tf.Graph().as_default(), tf.Session() as session:
        features, codes = Encoder(config, session, checkpoint)(pictures)
    return pictures, features, codes


def export(name, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["encode.py", *GIVEN, f"--export={name}"])
    encode.main()


def check(found, seen):
    _, features, codes = seen
    np.testing.assert_allclose(found[0], features, atol=1e-5 * np.abs(features).max())
    np.testing.assert_array_equal(found[1], codes)
    assert found[0].dtype == np.float32 and found[1].dtype == np.uint8 and len(np.unique(codes, axis=0)) > 5


def test_a_saved_model(seen, tmp_path, monkeypatch):
    export(tmp_path / "encoder", monkeypatch)
    with tf.Graph().as_default(), tf.Session() as session:
        signature = tf.saved_model.load(session, ["serve"], str(tmp_path / "encoder")).signature_def["serving_default"]
        outputs = [signature.outputs[name].name for name in ("features", "codes")]
        check(session.run(outputs, {signature.inputs["images"].name: seen[0]}), seen)
    with pytest.raises(UserError, match="encoder is there already"):
        export(tmp_path / "encoder", monkeypatch)


def test_onnx(seen, tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    export(tmp_path / "encoder.onnx", monkeypatch)
    running = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    check(running.run(["features", "codes"], {"images": seen[0]}), seen)
    assert [file.name for file in tmp_path.iterdir()] == ["encoder.onnx"]


def test_what_onnx_lacks_is_said(tmp_path):
    """GIST's Fourier transforms, which tf2onnx would leave in a file that nothing can run."""
    pytest.importorskip("tf2onnx")
    with tf.Graph().as_default(), tf.Session() as session:
        given = tf.placeholder(tf.float32, [None, 4, 4], "given")
        found = tf.abs(tf.signal.fft2d(tf.cast(given, tf.complex64)), "found")
        with pytest.raises(UserError, match="ONNX has no .*FFT2D, .*write a SavedModel"):
            encoder._to_onnx(session, tmp_path / "e.onnx", {"images": given}, {"features": found})
    assert not list(tmp_path.iterdir())


def test_export_takes_nothing_that_it_would_not_heed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["encode.py", "--export=encoder", "--images=pictures"])
    with pytest.raises(UserError, match="leave out images"):
        encode.main()
