"""PQN, SUBIC, DQN and DTQ from train.py to a ranked list, on vectors and on pictures."""
import json
import sys
from types import SimpleNamespace

import made_up
import numpy as np
import pytest
from conftest import variables

from gpq import Demo, encode, train
from gpq.model.baselines.dqn import DQN
from gpq.model.fitting import product
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import store
from gpq.utils.errors import UserError
from gpq.utils.retrieval import evaluation
from gpq.utils.retrieval.database import Database
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.settings import from_command_line, refuse_idle
from gpq.utils.training.fitting import Fitting
from gpq.utils.training.task import Task


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return made_up.file(tmp_path_factory.mktemp("vectors") / "v.npz")


def settings(method, *arguments, own=train.Options):
    return from_command_line(own, [f"--method={method}", "--n_bits=12", *arguments])


def trained(method, *arguments):
    config = settings(method, "--batch_size=50", "--learning_rate=1e-2", *arguments)
    refuse_idle(config)
    assert train.train(Task(config))
    return config


@pytest.fixture(scope="module")
def folder(file, tmp_path_factory):
    """A function of a method that gives the folder of its training on vectors, which is done once."""
    done = {}

    def of(method):
        if method not in done:
            done[method] = tmp_path_factory.mktemp(method)
            trained(method, f"--embeddings={file}", f"--model_save_path={done[method]}", "--total_epochs=5")
        return done[method]
    return of


@pytest.mark.parametrize("method", ["pqn", "subic", "dqn", "dtq"])
def test_codes_of_vectors(file, folder, method):
    found = evaluation.evaluate(settings(method, f"--embeddings={file}"), str(folder(method) / f"{method}_12bits.ckpt"))
    assert found["mAP"] > 0.85 and found["unquantised_mAP"] > 0.85 and 3 <= found["distinct_codes"] <= 2 ** 12
    about = json.loads((folder(method) / f"{method}_12bits.ckpt.json").read_text())
    assert about["settings"]["n_bits"] == 12 and about["step"] > 5


def test_codebooks_end_as_k_means_of_the_last_features(file, folder):
    config = settings("dtq", "--batch_size=50", f"--embeddings={file}", f"--model_save_path={folder('dtq')}")
    task = Task(config)
    with tf.Graph().as_default(), tf.Session() as session:
        Encoder(config, session, config.final_checkpoint, like=task.images)
        x = Fitting(task, config, session).features()
    assert len(x) == len(task.roles[0])
    np.testing.assert_allclose(variables(config.final_checkpoint)["dtq/codebooks"], product.codebooks_of(x, 3, 0),
                               atol=1e-4)


def test_codebooks_are_due_every_two_epochs_and_at_the_end():
    x, given = np.random.default_rng(0).normal(size=(40, 36)), SimpleNamespace(counts=[43], n_steps=15)
    given.features = lambda: x
    method = DQN(settings("dqn", "--batch_size=10"))
    found = {step: method.fit(given, step) for step in range(16)}
    assert [step for step, arrays in found.items() if arrays] == [8, 15]
    np.testing.assert_array_equal(found[8]["dqn/codebooks"], product.codebooks_of(x, 3, 0))


def test_demo_and_encode_take_the_checkpoint(file, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [f"--embeddings={file}", f"--model_save_path={folder('subic')}"]
    Demo.evaluate(settings("subic", *given, own=Demo.Options))
    assert "subic_12bits.ckpt mAP: " in capsys.readouterr().out
    np.save("own.npy", made_up.vectors()[0][:20])
    monkeypatch.setattr(sys, "argv", ["encode.py", "--method=subic", "--n_bits=12", *given, "--images=own.npy",
                                      "--out=codes.npz"])
    encode.main()
    database = Database.load("codes.npz")
    assert database.codes.shape == (20, 3) and database.distance == "inner" and not database.added


def test_a_run_that_is_resumed_ends_like_an_uncut_one(file, tmp_path):
    """Codebooks that were fitted in between too."""
    given = [f"--embeddings={file}", "--save_term=1", "--total_epochs=4", f"--model_save_path={tmp_path}"]
    uncut = variables(trained("dqn", *given).final_checkpoint)
    for name in ("3.ckpt", "4.ckpt", "dqn_12bits.ckpt"):
        store.delete(tmp_path / name)
    resumed = variables(trained("dqn", *given, "--resume").final_checkpoint)
    assert uncut["dqn/codebooks"].any() and uncut.keys() == resumed.keys()
    for name, array in uncut.items():
        np.testing.assert_array_equal(array, resumed[name], name)


def test_codes_of_pictures(few_dir, tmp_path):
    config = trained("dtq", f"--data_dir={few_dir}", "--ImagNet_pretrained_path=", f"--model_save_path={tmp_path}",
                     "--batch_size=5", "--total_epochs=1")
    found = evaluation.evaluate(config, str(config.final_checkpoint))
    assert 0 < found["mAP"] < 1 and found["gallery"] == 54
    names = variables(config.final_checkpoint).keys()
    assert "dtq/codebooks" in names and "Fixed_VGG/dense/kernel" in names


def test_what_cannot_be(file, folder):
    given = [f"--embeddings={file}", f"--model_load_path={folder('subic')}/subic_12bits.ckpt"]
    with pytest.raises(UserError, match="trained with method=subic and the settings say pqn"):
        Demo.evaluate(settings("pqn", *given, own=Demo.Options))
    with pytest.raises(UserError, match="trained with n_bits=12 and the settings say 24; set n_bits=12"):
        Demo.evaluate(settings("subic", *given, "--n_bits=24", own=Demo.Options))
    with pytest.raises(UserError, match="n_bits is '10': .* multiple of 4"):
        settings("dqn", "--n_bits=10")
