"""The deep hashing baselines from train.py to a ranked list, on vectors and on pictures."""
import json
import sys

import made_up
import numpy as np
import pytest
from conftest import variables

from gpq import Demo, encode, reproduce, train
from gpq.config import METHODS
from gpq.model.baselines import cnnh, ninh
from gpq.model.tf1 import tf
from gpq.utils.errors import UserError
from gpq.utils.paper.experiments.gpq import VECTORS_OF_KNOWN
from gpq.utils.retrieval import evaluation
from gpq.utils.settings import from_command_line, refuse_idle
from gpq.utils.training import task as tasks

HASHING = ("ssdh", "bgdh", "cnnh", "ninh")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return made_up.file(tmp_path_factory.mktemp("vectors") / "v.npz")


def settings(method, *arguments, own=train.Options):
    small = ["--n_bits=12", "--batch_size=10", "--learning_rate=1e-3"]
    return from_command_line(own, [f"--method={method}", *small, *arguments])


def trained(method, *arguments):
    config = settings(method, *arguments)
    refuse_idle(config)
    assert train.train(tasks.Task(config))
    return config


@pytest.mark.parametrize("method", HASHING)
def test_codes_of_vectors(file, tmp_path, method, capsys, monkeypatch):
    monkeypatch.setattr(train, "LOG_TERM", 1)
    config = trained(method, f"--embeddings={file}", f"--model_save_path={tmp_path}", "--total_epochs=16",
                     "--learning_rate=4e-3", "--hidden=[]")
    lines = [line for line in capsys.readouterr().out.splitlines() if "(Batch) loss: " in line]
    losses = [float(line.split("loss: ")[1].split(",")[0]) for line in lines]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:3])
    found = evaluation.evaluate(config, str(tmp_path / f"{method}_12bits.ckpt"))
    assert found["mAP"] > 0.85 and 3 <= found["distinct_codes"] <= 2 ** 12
    names = variables(config.final_checkpoint).keys()
    assert all(name.startswith(f"{method}/") for name in names) and "cnnh/codes" not in names


def test_codes_of_pictures(few_dir, tmp_path):
    """F of the paper, labelled and unlabelled images in one batch."""
    config = trained("ssdh", f"--data_dir={few_dir}", f"--model_save_path={tmp_path}", "--batch_size=5",
                     "--total_epochs=1")
    assert variables(tmp_path / "1.ckpt")["Fixed_VGG/batch0/moving_mean"].any()
    assert evaluation.evaluate(config, str(config.final_checkpoint))["mAP"] > 0.1


def test_demo_and_encode_take_the_checkpoint(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [f"--embeddings={file}", f"--model_save_path={tmp_path}"]
    trained("cnnh", *given, "--total_epochs=2")
    Demo.evaluate(settings("cnnh", *given, own=Demo.Options))
    assert "cnnh_12bits.ckpt mAP: " in capsys.readouterr().out
    features, _ = made_up.vectors()
    np.save("own.npy", features[:50])
    np.save("one.npy", features[7:8])
    monkeypatch.setattr(sys, "argv", ["encode.py", "--method=cnnh", "--n_bits=12", *given, "--images=own.npy",
                                      "--out=codes.npz"])
    encode.main()
    Demo.search_own(from_command_line(Demo.Options, ["--database=codes.npz", "--image=one.npy"]))  # the file knows
    assert any(line.startswith("0.0000 ") for line in capsys.readouterr().out.splitlines())
    with pytest.raises(UserError, match="trained with method=cnnh and the settings say ninh"):
        Demo.evaluate(settings("ninh", *given, f"--model_load_path={tmp_path}/cnnh_12bits.ckpt", own=Demo.Options))


def test_cnnh_keeps_its_first_stage_where_it_is_resumed(file, tmp_path, monkeypatch):
    """It dies in epoch 3 and goes on from epoch 2, with the codes that it had, to where an uncut training ends."""
    def run(folder, *others):
        return trained("cnnh", f"--embeddings={file}", f"--model_save_path={folder}", "--total_epochs=3",
                       "--save_term=1", *others)

    def killed(task, step, draw=tasks.draw):
        if step == 2 * task.epoch_steps + 1:
            raise RuntimeError("killed")
        return draw(task, step)

    run(tmp_path / "uncut")
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="killed"):
        patched.setattr(tasks, "draw", killed)
        run(tmp_path / "cut")
    run(tmp_path / "cut", "--resume")
    uncut, resumed = variables(tmp_path / "uncut" / "3.ckpt"), variables(tmp_path / "cut" / "3.ckpt")
    assert set(np.unique(uncut["cnnh/codes"])) == {-1, 1}
    for name in uncut:
        np.testing.assert_array_equal(uncut[name], resumed[name], name)
    assert json.loads((tmp_path / "cut" / "cnnh_12bits.ckpt.json").read_text())["losses"]["right"] > 0.5


def test_cnnh_learns_the_codes_that_it_is_given(compute):
    """Against numpy: the cross-entropy of each bit, and how many are right."""
    scores, codes = np.float32([[2, -1], [0.5, 3]]), np.float32([[1, 1], [-1, 1]])
    total, right = compute(cnnh.regression, scores, codes).values()
    assert total == pytest.approx(np.log1p(np.exp(-codes * scores)).mean(), rel=1e-5) and right == 0.5


def test_a_bit_of_ninh_hangs_on_its_own_slice(compute):
    """Divide and encode: what 50 features tell reaches one bit and no other."""
    def graph(x):
        found = ninh.NINH(METHODS["ninh"](n_bits=4)).scores(x)
        dense = next(v for v in tf.trainable_variables() if v.op.name == "ninh/features/kernel")
        return tf.gradients(found[:, 2], dense)[0]

    slope = np.abs(compute(graph, np.ones([2, 6], np.float32))).max(0).reshape(4, ninh.SLICE)
    assert slope[2].any() and not slope[[0, 1, 3]].any()


def test_bits_are_a_multiple_of_four():
    with pytest.raises(UserError, match="n_bits is '10': .* multiple of 4"):
        settings("ssdh", "--n_bits=10")


@pytest.mark.parametrize("method", ["ssdh", "cnnh", "ninh"])
def test_table_3_trains_it_on_vectors_of_known_classes_alone(method, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (known, path), *_ = VECTORS_OF_KNOWN.items()
    features, labels = made_up.vectors(classes=10)
    seen, place = np.isin(labels, known), np.arange(len(labels))
    made_up.file(tmp_path / path, features=features, labels=labels, query=place[~seen & (place < 100)],
                 labelled=place[seen & (place < 200)], **dict.fromkeys(("unlabelled", "gallery"), place[place >= 200]))
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "table3", "--bits", "12", "--seeds", "1", f"--method={method}",
                                      f"--embeddings={path}", "--total_epochs=1", "--batch_size=10"])
    reproduce.main()
    (kept,) = (tmp_path / "results").glob("table3-*.jsonl")
    one = json.loads(kept.read_text())
    assert one["settings"]["n_CLASSES"] == 7 and set(one["evaluation"]["class_mAP"]) <= {"7", "8", "9"}
    (line,) = [line for line in kept.with_suffix(".md").read_text().splitlines()
               if line.startswith(f"| {method.upper()}, EfficientNet-Lite2's vectors | vectors ")]
    assert f" | {one['evaluation']['mAP']:.4f} |" in line
