"""The scripts as commands: another method, and mistakes that end in one sentence."""
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from gpq import Demo, encode, train
from gpq.utils import errors
from gpq.utils.errors import UserError
from gpq.utils.retrieval import evaluation
from gpq.utils.settings import from_command_line


def test_a_classifier_is_trained_and_searched_by(data_dir, tmp_path, monkeypatch, capsys):
    """Its code is a class: as many distinct codes as there are classes at most, and images of one are ranked first."""
    monkeypatch.chdir(tmp_path)
    common = ["--method=classifier", f"--data_dir={data_dir}", f"--model_save_path={tmp_path}", "--batch_size=10",
              "--ImagNet_pretrained_path="]
    for script, arguments in ((train, ["--total_epochs=1", "--eval_term=1", "--n_validation=10"]), (Demo, [])):
        monkeypatch.setattr(sys, "argv", [script.__name__, *common, *arguments])
        script.main()
    said = capsys.readouterr().out
    assert "held_back_accuracy: " in said and "codes of 4 bits" in said
    found = evaluation.evaluate(from_command_line(None, common), tmp_path / "classifier.ckpt")
    assert found["distinct_codes"] <= 10
    assert float(said.split("classifier.ckpt mAP: ")[1][:6]) == pytest.approx(found["mAP"], abs=1e-4)
    with pytest.raises(UserError, match="classifier.ckpt was trained with method=classifier and the settings say gpq"):
        Demo.evaluate(from_command_line(Demo.Options, ["--method=gpq", f"--data_dir={data_dir}",
                                                       f"--model_load_path={tmp_path}/classifier.ckpt"]))


def sentences(stderr):
    return [line for line in stderr.splitlines() if not line.startswith("No full CIFAR-10")]


@pytest.mark.parametrize("script, arguments", [
    (train, ["--batch_size=501"]),
    (train, ["--bn_word=0"]),
    (Demo, ["--image=nowhere.png"]),
    (encode, ["--images=nowhere", "--out=x.npz"]),
    (encode, ["--out=x.npz"]),
])
def test_a_mistake_ends_in_sentences(script, arguments, tmp_path, monkeypatch, capsys):
    data_dir = ROOT / "cifar10" / "sample"
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [script.__name__, *arguments, f"--data_dir={data_dir}",
                                      *([f"--model_save_path={tmp_path}"] if script is not encode else [])])
    with pytest.raises(SystemExit) as stopped:
        errors.run(script.main)
    (said,) = sentences(capsys.readouterr().err)
    assert stopped.value.code == 2 and len(said) > 40


def test_a_mistake_of_a_script_ends_with_one_line_and_leaves_tensorflow_silent(tmp_path):
    """In a folder of a user's own, where nothing is written."""
    done = subprocess.run([sys.executable, ROOT / "Demo.py", "--model_load_path=nowhere.ckpt",
                           f"--model_save_path={tmp_path}", f"--data_dir={ROOT / 'cifar10' / 'sample'}"],
                          cwd=tmp_path, capture_output=True, text=True,
                          env={name: value for name, value in os.environ.items() if not name.startswith("TF_")})
    assert done.returncode == 2
    (said,) = sentences(done.stderr)
    assert "nowhere.ckpt" in said and list(tmp_path.iterdir()) == []
