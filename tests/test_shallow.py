"""The shallow methods from train.py to a ranked list, on vectors and on pictures."""
import json
import os
import sys

import made_up
import numpy as np
import pytest
from conftest import variables

from gpq import Demo, encode, reproduce, train
from gpq.config import METHODS
from gpq.utils.errors import UserError
from gpq.utils.retrieval import evaluation, faiss
from gpq.utils.retrieval.database import Database
from gpq.utils.settings import from_command_line, refuse_idle
from gpq.utils.training.task import Task

SHALLOW = {"pq": [], "opq": [], "lopq": [], "itq": [], "sh": [], "sdh": ["--n_anchors=100", "--sigma=0.7"]}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return made_up.file(tmp_path_factory.mktemp("vectors") / "v.npz")


def settings(method, *arguments, own=train.Options):
    return from_command_line(own, [f"--method={method}", *SHALLOW[method], *arguments])


def fitted(method, *arguments):
    config = settings(method, *arguments)
    refuse_idle(config)
    assert train.train(Task(config))
    return config


@pytest.fixture(scope="module")
def itq(file, tmp_path_factory):
    """The folder of an ITQ of 12 bits of vectors."""
    folder = tmp_path_factory.mktemp("itq")
    fitted("itq", "--n_bits=12", f"--embeddings={file}", f"--model_save_path={folder}")
    return folder


def test_they_are_the_methods_without_steps():
    from gpq.utils.methods import METHODS as rows
    assert SHALLOW.keys() == {name for name, row in rows.items() if row.losses is None} <= METHODS.keys()


@pytest.mark.parametrize("method", SHALLOW)
def test_codes_of_vectors(file, tmp_path, method):
    config = fitted(method, "--n_bits=12", f"--embeddings={file}", f"--model_save_path={tmp_path}")
    found = evaluation.evaluate(config, str(tmp_path / f"{method}_12bits.ckpt"))
    assert found["mAP"] > (0.5 if method == "sh" else 0.75) and 3 <= found["distinct_codes"] <= 2 ** 12
    about = json.loads((tmp_path / f"{method}_12bits.ckpt.json").read_text())
    assert about["step"] == 0 and about["settings"]["n_bits"] == 12 and about["data"]["name"] == "embeddings"
    assert all(np.isfinite(array).all() and array.any() for array in variables(config.final_checkpoint).values())


def test_codes_of_pictures_by_their_gist(data_dir, tmp_path, monkeypatch):
    config = fitted("itq", "--n_bits=8", f"--data_dir={data_dir}", f"--model_save_path={tmp_path}")
    monkeypatch.chdir(tmp_path)
    Demo.evaluate(settings("itq", "--n_bits=8", f"--data_dir={data_dir}", f"--model_save_path={tmp_path}",
                           own=Demo.Options))
    assert (tmp_path / "retrieval_result_0.png").exists()
    assert evaluation.evaluate(config, str(config.final_checkpoint))["mAP"] > 0.11
    monkeypatch.setattr(sys, "argv", ["encode.py", "--backbone=gist", "--features_only", f"--data_dir={data_dir}",
                                      "--out=gist.npy"])
    encode.main()
    assert np.load("gist.npy").shape == (240, 512)


def test_demo_and_encode_take_the_checkpoint(file, itq, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["--n_bits=12", f"--embeddings={file}", f"--model_save_path={itq}"]
    Demo.evaluate(settings("itq", *given, own=Demo.Options))
    assert "itq_12bits.ckpt mAP: 0." in capsys.readouterr().out
    features, _ = made_up.vectors()
    np.save("own.npy", features[:50])
    np.save("one.npy", features[7:8])
    monkeypatch.setattr(sys, "argv", ["encode.py", "--method=itq", *given, "--images=own.npy", "--out=codes.npz"])
    encode.main()
    database = Database.load("codes.npz")
    assert database.codes.shape == (50, 3) and database.distance == "squared"
    Demo.search_own(from_command_line(Demo.Options, ["--database=codes.npz", "--image=one.npy"]))  # the file knows
    assert capsys.readouterr().out.splitlines()[-2 - 14].startswith("0.0000 ")


def test_demo_scores_codes_that_came_back_from_faiss(file, itq, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asking = settings("itq", "--n_bits=12", f"--embeddings={file}", f"--model_save_path={itq}", own=Demo.Options)
    Demo.evaluate(asking)
    before, kept = capsys.readouterr().out, str(itq / "itq_12bits.ckpt.database.npz")
    for arguments in ([kept, "codes.faiss"], ["codes.faiss", "back.npz", f"--like={kept}"]):
        monkeypatch.setattr(sys, "argv", ["faiss", *arguments])
        faiss.main()
    os.replace("back.npz", kept)
    capsys.readouterr()
    Demo.evaluate(asking)
    after = capsys.readouterr().out
    assert "Retrieval database from" in after
    assert after.split("mAP: ")[1][:6] == before.split("mAP: ")[1][:6]


@pytest.mark.parametrize("method", [name for name in SHALLOW if name != "sdh"])
def test_vectors_without_labels_are_fitted_whole(tmp_path, method):
    """As where all of them are the labelled ones: labels are not looked at."""
    features, _ = made_up.vectors()
    every = np.arange(len(features))
    bare = made_up.file(tmp_path / "bare.npz", labels=None)
    known = made_up.file(tmp_path / "known.npz", features=np.concatenate([features, features[:1]]),
                         labels=np.append(every % 2, 0), query=np.array([len(every)]),
                         **dict.fromkeys(("gallery", "labelled", "unlabelled"), every))
    found = [variables(fitted(method, "--n_bits=12", f"--embeddings={path}", f"--model_save_path={tmp_path / name}")
                       .final_checkpoint) for name, path in (("a", bare), ("b", known))]
    assert found[0].keys() == found[1].keys()
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name])


def test_what_cannot_be(file, itq, data_dir, tmp_path):
    given = [f"--embeddings={file}", f"--model_save_path={itq}"]
    with pytest.raises(UserError, match="itq_12bits.ckpt is a finished training's; set another model_save_path"):
        fitted("itq", "--n_bits=12", *given)
    with pytest.raises(UserError, match="trained with n_bits=12 and the settings say 8; set n_bits=12"):
        Demo.evaluate(settings("itq", "--n_bits=8", *given, f"--model_load_path={itq}/itq_12bits.ckpt",
                               own=Demo.Options))
    with pytest.raises(UserError, match="trained with method=itq and the settings say sh"):
        Demo.evaluate(settings("sh", "--n_bits=12", *given, f"--model_load_path={itq}/itq_12bits.ckpt",
                               own=Demo.Options))
    with pytest.raises(UserError, match="n_bits is '10': .* multiple of 4"):
        settings("itq", "--n_bits=10")
    with pytest.raises(UserError, match="n_bits is '4': .* 4 of them name the cell"):
        settings("lopq", "--n_bits=4")
    with pytest.raises(UserError, match="total_epochs has no effect while method is itq"):
        refuse_idle(settings("itq", "--total_epochs=3"))
    with pytest.raises(UserError, match="backbone is modified_vgg, but pq trains no network; set backbone to gist"):
        fitted("pq", "--backbone=modified_vgg", f"--data_dir={data_dir}", f"--model_save_path={tmp_path}")
    bare = made_up.file(tmp_path / "bare.npz", labels=None)
    with pytest.raises(UserError, match="there are no labelled images to learn from"):
        fitted("sdh", f"--embeddings={bare}", f"--model_save_path={tmp_path}")
    with pytest.raises(UserError, match="bare.npz has no labels, so nothing says what is alike"):
        Demo.evaluate(settings("itq", f"--embeddings={bare}", own=Demo.Options))
    with pytest.raises(UserError, match="n_bits is 20, but ITQ has no more bits than a vector has numbers"):
        fitted("itq", "--n_bits=20", f"--embeddings={file}", f"--model_save_path={tmp_path}")


def test_a_run_of_a_table(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "table2", "--bits", "12", "--seeds", "1", "--method=opq",
                                      f"--embeddings={file}"])
    reproduce.main()
    (kept,) = (tmp_path / "results").glob("table2-*.jsonl")
    one = json.loads(kept.read_text())
    mean, sha256 = one["evaluation"]["mAP"], one["training"]["data"]["sha256"]
    assert mean > 0.7 and f"| OPQ | vectors {sha256[:8]} | {mean:.4f} |" in kept.with_suffix(".md").read_text()
