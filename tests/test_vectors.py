"""Vectors in place of pictures, from train.py to a ranked list."""
import json
import re
import sys
import tracemalloc
from pathlib import Path

import made_up
import numpy as np
import pytest
from conftest import options, run_training, variables
from PIL import Image

from gpq import Demo, encode, reproduce, train
from gpq.utils.errors import UserError
from gpq.utils.retrieval import evaluation
from gpq.utils.retrieval.database import Database
from gpq.utils.settings import from_command_line, refuse_idle
from gpq.utils.training import pseudo_labels
from gpq.utils.training.task import Task


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return made_up.file(tmp_path_factory.mktemp("vectors") / "v.npz")


@pytest.fixture(scope="module")
def trained(file, tmp_path_factory):
    """The folder of a GPQ of two hidden layers, of 4 epochs."""
    folder = tmp_path_factory.mktemp("trained")
    run_training(*settings(file, folder), "--total_epochs=4")
    return folder


def settings(file, folder, hidden="[9,8]"):
    return [f"--embeddings={file}", f"--model_save_path={folder}", "--learning_rate=1e-2", f"--hidden={hidden}",
            "--decay=staircase"]


@pytest.mark.parametrize("hidden, arguments", [
    ("9", ["--follow=release"]), ("[]", ["--follow=paper"]),
    ("[]", ["--metric_loss=triplet"]), ("[16,8]", ["--follow=paper", "--dropout=0.1"]),
    ("[]", ["--method=classifier"])])
def test_every_method_learns_codes_of_vectors(file, tmp_path, hidden, arguments):
    small = ["--n_book=3", "--len_code=4"] if "--method=classifier" not in arguments else []
    given = [*small, *settings(file, tmp_path, hidden), "--batch_size=30", "--total_epochs=10", "--eval_term=10",
             "--n_validation=30", *arguments]
    config = from_command_line(train.Options, given)
    refuse_idle(config)
    assert train.train(Task(config))
    found = evaluation.evaluate(config, str(config.final_checkpoint))
    about = json.loads((tmp_path / "10.ckpt.json").read_text())
    assert found["mAP"] > 0.7 and about["judged"] > 0.7 and about["settings"]["n_CLASSES"] == 3
    assert about["initial"] == "random weights" and about["data"]["name"] == "embeddings"


def test_a_resumed_run_ends_like_an_uncut_one(file, trained, tmp_path):
    run_training(*settings(file, tmp_path), "--total_epochs=2")
    (tmp_path / "12bits.ckpt.json").unlink()
    (tmp_path / "12bits.ckpt.index").unlink()
    run_training(*settings(file, tmp_path), "--total_epochs=4", "--resume")
    uncut, resumed = variables(trained / "4.ckpt"), variables(tmp_path / "4.ckpt")
    assert uncut.keys() == resumed.keys() and all((uncut[name] == resumed[name]).all() for name in uncut)


def test_no_flag_is_repeated_that_the_checkpoint_knows(file, tmp_path, monkeypatch, capsys):
    """Neither the hidden layers nor the classes, by any command, from a checkpoint with and without a name."""
    monkeypatch.chdir(tmp_path)
    run_training(*settings(file, tmp_path / "m", "[64]"), "--total_epochs=2")
    np.save("own.npy", made_up.vectors()[0][:20])
    for named in "--model_save_path=m", "--model_load_path=m/12bits.ckpt":
        Demo.evaluate(from_command_line(Demo.Options, [f"--embeddings={file}", "--n_book=3", named]))
        assert "hidden=[64], len_code=4, n_CLASSES=3, as it was trained\nm/12bits.ckpt mAP: " in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["", "--model_load_path=m/12bits.ckpt", "--images=own.npy", "--out=codes.npz"])
    encode.main()  # nor that it is of vectors
    with pytest.raises(UserError, match=r"trained with hidden=\[64\] and the settings say \[32\]; set hidden=\[64\]"):
        Demo.evaluate(from_command_line(Demo.Options, [f"--embeddings={file}", "--hidden=[32]", named]))


def test_demo_prints_the_map_and_draws_vectors_and_their_pictures(file, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Demo.evaluate(options(Demo.Options, *settings(file, trained)))
    said = capsys.readouterr().out
    config = options(None, *settings(file, trained))
    printed = float(re.search(r"12bits.ckpt mAP: (\d\.\d+)", said)[1])
    assert printed == pytest.approx(evaluation.evaluate(config, f"{trained}/12bits.ckpt")["mAP"], abs=1e-4)
    plain = np.asarray(Image.open("retrieval_result_0.png").convert("RGB"))
    names = np.array(["red.png"] * 300)
    Image.new("RGB", (32, 32), (250, 10, 10)).save("red.png")
    made_up.file(tmp_path / "v.npz", names=names)
    Demo.evaluate(options(Demo.Options, *settings(tmp_path / "v.npz", trained)))
    shown = np.asarray(Image.open("retrieval_result_0.png").convert("RGB"))
    assert [(picture == (250, 10, 10)).all(2).any() for picture in (plain, shown)] == [False, True]


def test_own_vectors_are_encoded_a_batch_at_a_time_and_searched(file, trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    features, labels = made_up.vectors(5000)
    np.save("many.npy", features)
    np.save("one.npy", features[70:71])
    arguments = [*settings(file, trained), "--n_book=3", "--len_code=4"]
    monkeypatch.setattr(sys, "argv", ["encode.py", *arguments, "--images=many.npy", "--out=codes.npz"])
    encode.main()
    assert "codes.npz: 5000 vectors, 12-bit codes" in capsys.readouterr().out
    Demo.search_own(options(Demo.Options, "--database=codes.npz", "--image=one.npy"))
    nearest = [int(line.split()[1]) for line in capsys.readouterr().out.splitlines()[:-1]]
    assert len(nearest) == 15 and (labels[nearest] == labels[70]).all()
    before = Path(file).read_bytes()
    monkeypatch.setattr(sys, "argv", ["encode.py", *arguments, "--images=many.npy", f"--out={file}"])
    with pytest.raises(UserError, match="v.npz"):
        encode.main()
    assert Path(file).read_bytes() == before
    codes = Database.load("codes.npz").codes
    np.save("part.npy", features[4000:])
    monkeypatch.setattr(sys, "argv", ["encode.py", *arguments, "--images=part.npy", "--out=part.npz"])
    encode.main()
    np.testing.assert_array_equal(codes[4000:], Database.load("part.npz").codes)
    with pytest.raises(UserError, match="many.npy holds 5000 vectors; give one to search for"):
        Demo.search_own(options(Demo.Options, *settings(file, trained), "--database=codes.npz", "--image=many.npy"))


def test_encoding_does_not_load_the_vectors(file, trained, tmp_path, monkeypatch):
    array = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.float32, (2 ** 20, 16))
    array[:] = 1
    del array
    arguments = [*settings(file, trained), "--n_book=3", "--len_code=4"]
    monkeypatch.setattr(sys, "argv", ["encode.py", *arguments, f"--images={tmp_path}/large.npy",
                                      f"--out={tmp_path}/codes.npz"])
    tracemalloc.start()
    encode.main()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 ** 26  # of which the codes' search takes most


def test_a_mistake_ends_in_one_sentence(file, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, features in {"narrow": np.ones([4, 5], np.float32), "nan": np.full([4, 16], np.nan, np.float32),
                           "pictures": np.zeros([4, 32, 32, 3], np.uint8)}.items():
        np.save(name, features)

    def encoding(images, *others):
        monkeypatch.setattr(sys, "argv", ["encode.py", *settings(file, trained, *others), "--n_book=3", "--len_code=4",
                                          f"--model_load_path={trained}/12bits.ckpt", f"--images={images}",
                                          "--out=codes.npz"])
        encode.main()

    for images, says in (("narrow.npy", "trained on vectors of 16 numbers, and these have 5"),
                         ("nan.npy", "vector 0 in nan.npy holds a number that is not finite"),
                         ("pictures.npy", "is uint8 .4, 32, 32, 3.; it must be float16"),
                         ("none.npy", "there is no file none.npy")):
        with pytest.raises(UserError, match=says):
            encoding(images)
    with pytest.raises(UserError, match=r"trained with hidden=\[9, 8\] and the settings say \[9\]; set hidden=\[9"):
        encoding("narrow.npy", "9")
    other = made_up.file(tmp_path / "other.npz", features=made_up.vectors(seed=5)[0])
    with pytest.raises(UserError, match="embeddings .v.npz.* and embeddings now holds embeddings .other.npz"):
        Demo.evaluate(options(Demo.Options, *settings(other, trained)))
    with pytest.raises(UserError, match=r"the network takes \[16\] numbers, and was given \[5\]; give it what it was"):
        np.save("narrow.npy", np.ones([1, 5], np.float32))
        Demo.evaluate(options(Demo.Options, *settings(file, trained), "--image=narrow.npy"))
    with pytest.raises(UserError, match="n_CLASSES is 2, but the labelled images are of 3 classes"):
        run_training(*settings(file, tmp_path), "--n_CLASSES=2")
    with pytest.raises(UserError, match="ImagNet_pretrained_path is F.mat, but a network on vectors has no"):
        run_training(*settings(file, tmp_path / "m"), "--ImagNet_pretrained_path=F.mat")


@pytest.mark.parametrize("arguments, says", [
    (["--embeddings=v", "--augmentation=strong"], "augmentation has no effect while embeddings is v; set embeddings to "
                                                  "nothing, or leave augmentation out"),
    (["--embeddings=v", "--data_dir=x"], "data_dir has no effect while embeddings is v"),
    (["--embeddings=v", "--protocol=2"], "protocol has no effect while embeddings is v"),
    (["--hidden=9"], "hidden has no effect while backbone is modified_vgg; set backbone to embeddings"),
    (["--dropout=0.5"], "dropout has no effect")])
def test_a_setting_that_does_nothing_is_refused(arguments, says):
    with pytest.raises(UserError, match=says):
        refuse_idle(from_command_line(None, arguments))


def test_pseudo_labels_of_vectors_without_a_label(tmp_path, monkeypatch):
    features, labels = made_up.vectors()
    unknown = labels.copy()
    unknown[100:] = -1
    path = made_up.file(tmp_path / "v.npz", labels=unknown)
    np.save(tmp_path / "f.npy", features)
    monkeypatch.setattr(sys, "argv", ["", f"--embeddings={path}", f"--features={tmp_path}/f.npy",
                                      f"--out={tmp_path}/p.npz"])
    pseudo_labels.main()
    task = Task(options(None, *settings(path, tmp_path), f"--pseudo_labels={tmp_path}/p.npz"))
    there = task.labels.any(1)
    assert there[100:].all() and np.mean(task.labels[there].argmax(1) == labels[there]) > 0.95


def test_a_run_of_a_table(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "table2", "--bits", "12", "--seeds", "1", "--method=gpq",
                                      f"--embeddings={file}", "--batch_size=20", "--total_epochs=2"])
    reproduce.main()
    (kept,) = (tmp_path / "results").glob("table2-*.jsonl")
    one = json.loads(kept.read_text())
    assert one["settings"]["follow"] == "paper" and one["evaluation"]["mAP"] > 0.3
    assert f" | {one['evaluation']['mAP']:.4f} |" in kept.with_suffix(".md").read_text()
