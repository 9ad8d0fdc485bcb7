"""SPQ trained end to end on a few images: frozen batch normalisation, resuming, its settings and starts."""
import json
import shutil

import numpy as np
import pytest
from conftest import ROOT, variables

from gpq import train
from gpq.config import SPQ
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import pretrained
from gpq.utils.data import cifar10, sets
from gpq.utils.errors import UserError
from gpq.utils.methods import METHODS
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.settings import from_command_line, refuse_idle
from gpq.utils.training.task import Task

SMALL = ["--method=spq", "--protocol=1", "--batch_size=4", "--N_books=2", "--L_word=4", "--eval_term=1",
         "--n_validation=10", "--save_term=1"]


@pytest.fixture
def few(monkeypatch):
    """20 labelled images, of which 10 are held back; and the 20 of the gallery, of which training sees only 2."""
    data = cifar10.load(ROOT / "cifar10" / "sample")
    data = data._replace(labelled=data.labelled[::25], gallery=data.gallery[::270], unlabelled=data.gallery[::2700])
    monkeypatch.setattr(sets, "load", lambda config, tags=False: data)
    return data


def run(folder, *arguments):
    config = from_command_line(train.Options, [*SMALL, f"--model_save_path={folder}", *arguments])
    train.train(Task(config))
    return config


def test_a_killed_run_goes_on_frozen_and_ends_with_equal_weights(few, tmp_path):
    """It is frozen after the first epoch's measurement, so that moving averages stay as they were; what a run leaves
    that is killed afterwards is its first checkpoint."""
    config = run(tmp_path / "uncut", "--total_epochs=2")
    first, second = (variables(tmp_path / "uncut" / f"{epoch}.ckpt") for epoch in (1, 2))
    assert first["spq/frozen"] and first["global_step"] == 3
    for name in first:
        if name.startswith("resnet18/") and "/Adam" not in name:
            assert (np.abs(first[name] - second[name]).max() == 0) == ("/moving_" in name), name
    assert first["resnet18/bn1/moving_mean"].any()

    (tmp_path / "killed").mkdir()
    for file in (tmp_path / "uncut").glob("1.ckpt*"):
        shutil.copy(file, tmp_path / "killed")
    run(tmp_path / "killed", "--total_epochs=2", "--resume")
    resumed = variables(tmp_path / "killed" / "2.ckpt")
    assert resumed.keys() == second.keys()
    for name, value in second.items():
        np.testing.assert_allclose(resumed[name], value, rtol=0, atol=1e-5, err_msg=name)

    assert json.loads((tmp_path / "uncut" / "8bits.ckpt.json").read_text())["measure"] == "held_back_mAP"
    pretrained.save_pretrained(config.final_checkpoint, tmp_path / "F.mat")  # SPQ-S starts from such a file
    with tf.Graph().as_default(), tf.Session() as session:
        Encoder(config, session)
        session.run(tf.global_variables_initializer())
        assert pretrained.load_pretrained(session, tmp_path / "F.mat") == 62
        started = session.run({v.op.name: v for v in tf.trainable_variables()})
    for name, value in started.items():
        near = np.abs(value - second[name]).max() < 1e-3
        assert near == name.startswith("resnet18/"), name


def test_what_training_sees(few):
    config = from_command_line(None, SMALL)
    task = Task(config)
    seen = np.concatenate([task.indices(step)[0] for step in range(task.epoch_steps)])
    assert task.epoch_steps == 3 and len(set(seen)) == 12
    assert not set(seen) & set(few.query) and not set(seen) - set(few.labelled) - set(few.unlabelled)


@pytest.mark.parametrize("argument, says", [
    ("--eval_epoch=50", "eval_epoch is called eval_term here; write --eval_term=value"),
    ("--input_size=64", "input_size is called image_size here"),
    ("--output_dir=x", "output_dir is called model_save_path here"),
    ("--image_size=31", "image_size is '31'"), ("--batch_size=1", "batch_size is '1'"), ("--N_words=12", "N_words is"),
    ("--n_bits=32", "n_bits follows from other settings"), ("--n_book=4", "n_book is a setting of gpq"),
    ("--augmentation=strong", "augmentation has no effect while method is spq"),
    ("--Top_N=500", "Top_N is called n_DB here; write --n_DB=value")])
def test_settings_that_are_refused(argument, says):
    with pytest.raises(UserError) as error:
        refuse_idle(from_command_line(None, ["--method=spq", argument]))
    assert str(error.value).startswith(says) and "\n" not in str(error.value)


def test_the_releases_settings():
    config = from_command_line(None, ["--method=spq", "--N_books=4", "--N_words=256", "--L_word=8", "--n_DB=50",
                                      "--soft_quantization_scale=4", "--contrastive_temperature=0.2"])
    assert isinstance(config, SPQ) and config.n_bits == 32 and config.n_DB == 50 and config.N_words == 256
    assert (SPQ().n_bits, SPQ(variant="spq_q").n_bits, SPQ().total_epochs, SPQ().batch_size) == (32, 4, 206, 256)


@pytest.mark.parametrize("shapes, says", [
    ({"Z": [16, 144]}, "no table spq/C"), ({"spq/C": [8, 128]}, "set N_words=8"),
    ({"spq/C": [16, 64]}, "set N_books=4"), ({"spq/C": [16, 128]}, "set init=sep2021"),
    ({"spq/C": [16, 128], "Fixed_VGG/conv2d/kernel": [1]}, "set backbone=modified_vgg")])
def test_a_checkpoint_of_something_else_is_refused(shapes, says):
    with pytest.raises(UserError, match=says):
        METHODS["spq"](SPQ()).check("x.ckpt", shapes)
