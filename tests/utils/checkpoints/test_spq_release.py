"""SPQ's released checkpoints: read without PyTorch, each layer as PyTorch computes it."""
import shutil
import sys

import numpy as np
import pytest
from conftest import DATA, ROOT, arrays

from gpq import Demo, encode
from gpq.config import GPQ, SPQ, Classifier
from gpq.model import spq
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import store
from gpq.utils.errors import UserError
from gpq.utils.retrieval.encoder import Encoder

RELEASED = DATA / "spq_release.pth"  # torch.save by PyTorch 2.13, made by benchmarks/torch_spq_checkpoint.py
BLOCKS = [f"layer{stage}/{number}" for stage in range(1, 5) for number in range(2)]


@pytest.fixture(scope="module")
def seen():
    """What PyTorch made of a picture in float64, {stage: array}."""
    return arrays(DATA / "spq_release_stages.npz")


def test_every_tensor_has_its_variable_and_no_other():
    with tf.Graph().as_default():
        spq.SPQ(SPQ()).retrieval(tf.placeholder(tf.uint8, [None, 32, 32, 3]))
        wanted = {v.op.name: v.shape.as_list() for v in tf.global_variables()}
    assert store.reader(RELEASED).get_variable_to_shape_map() == wanted
    assert sum(np.prod(shape) for shape in wanted.values()) == 11_499_200 + 9600  # with the moving averages


def test_every_layer_gives_what_pytorch_gives(seen, session):
    made = spq.SPQ(SPQ()).retrieval(tf.constant(seen["picture"][None]))
    store.restore(session, RELEASED, store.weights(), SPQ())

    def last_relu(scope):
        return [op.outputs[0] for op in session.graph.get_operations()
                if op.type == "Relu" and op.name.rpartition("/")[0] == f"resnet18{scope}"][-1]

    stages = {"stem": "", **{block: f"/{block}" for block in BLOCKS}, "fc_out": "/fc_out"}
    for stage, found in session.run({stage: last_relu(scope) for stage, scope in stages.items()}).items():
        found = found[0, ..., ::16].transpose(2, 0, 1) if found.ndim == 4 else found[0]
        np.testing.assert_allclose(found, seen[stage], atol=2e-5, rtol=2e-4, err_msg=stage)
    features, codes = session.run([made.features, made.codes])
    np.testing.assert_allclose(features[0], seen["x"], atol=2e-5)
    np.testing.assert_array_equal(codes[0], seen["codes"])


def test_the_scripts_take_it(seen, few_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("pictures.npy", seen["picture"][None])
    common = [f"--model_load_path={RELEASED}", f"--data_dir={few_dir}", f"--model_save_path={tmp_path}"]
    for script, arguments in ((encode, ["--images=pictures.npy", "--out=codes.npz"]), (Demo, ["--query=3"])):
        monkeypatch.setattr(sys, "argv", [script.__name__, "--method=spq", *common, *arguments])
        script.main()
    made = arrays("codes.npz")
    np.testing.assert_allclose(made["features"][0], seen["x"], atol=2e-5)
    np.testing.assert_array_equal(made["codes"][0], seen["codes"])
    said = capsys.readouterr().out
    assert 0.05 < float(said.split("spq_release.pth mAP: ")[1][:6]) < 0.5 and "codes of 32 bits" in said
    assert (tmp_path / "retrieval_result_3.png").exists()


@pytest.mark.parametrize("settings, mend", [
    ({"N_books": 4}, "set N_books=8"), ({"N_words": 256}, "set N_words=16"), ({"init": "sep2021"}, "set init=dec2021"),
    ({"backbone": "cnn_f"}, "set backbone=resnet18")])
def test_other_settings_are_named(settings, mend, session):
    with pytest.raises(UserError, match=mend):
        store.restore(session, RELEASED, [], SPQ(**settings))


def test_another_methods_checkpoint_and_other_files_are_refused(session, tmp_path):
    shipped, foreign = ROOT / "models" / "48bits_example.ckpt", tmp_path / "foreign.pth"
    shutil.copyfile(DATA / "torch_zip.pt", foreign)
    for path, config, why in (
            (RELEASED, GPQ(), "is not a checkpoint of GPQ"), (shipped, SPQ(), "is not a checkpoint of SPQ"),
            (RELEASED, Classifier(), "is a checkpoint of SPQ and no classifier; set --method=spq"),
            (foreign, SPQ(), "is not a checkpoint of SPQ"), (tmp_path / "nowhere.pth", SPQ(), "there is no file")):
        with pytest.raises(UserError, match=why):
            store.restore(session, path, [], config)


def test_the_encoders_own_convolutions_give_the_same(seen, session):
    encoder = Encoder(SPQ(), session, RELEASED)
    features, codes = encoder(np.repeat(seen["picture"][None], 3, 0))
    np.testing.assert_allclose(features, np.tile(seen["x"], (3, 1)), atol=1e-4)
    np.testing.assert_array_equal(codes[2], seen["codes"])
