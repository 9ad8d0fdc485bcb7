"""reproduce.py, the whole path of every table and figure on a few real images."""
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from gpq import reproduce
from gpq.utils.errors import UserError

# What the runs of one experiment share with another's leaves one training for nearly all of them.
ONE = ["--bits", "12", "--method", "gpq", "--follow=release", "--metric_loss=n_pair", "--lam_1=0.1", "--lam_2=0.1",
       "--protocol=1", "--len_code=2", "--backbone=modified_vgg"]


def run(monkeypatch, data_dir, *arguments, batch_size=10):
    tiny = ["--smoke", f"--data_dir={data_dir}", f"--batch_size={batch_size}"]
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *arguments, *tiny])
    reproduce.main()


def kept(what):
    """(the JSON of the runs of a smoke test of an experiment, one a line, and its table)."""
    (lines,) = Path("results", "smoke").glob(f"{what}-*.jsonl")
    return [json.loads(line) for line in lines.read_text().splitlines()], lines.with_suffix(".md").read_text()


@pytest.fixture(scope="module")
def place(data_dir, tmp_path_factory):
    """A working folder where table2 has been made of one run."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        run(monkeypatch, data_dir, "table2", *ONE)
    return folder


def test_a_table_comes_with_its_runs_and_curves(place, monkeypatch):
    monkeypatch.chdir(place)
    (one,), table = kept("table2")
    found = one["evaluation"]
    assert one["training"]["step"] == 5 and found["gallery"] == 180 and found["queries"] == 10
    assert 0.1 < found["mAP"] < 1 and 0 < found["unquantised_mAP"] < 1 and len(found["class_mAP"]) == 10
    assert found["ranks"][0] == 1 and found["ranks"][-1] <= 180 and len(found["ranks"]) == len(found["precision"])
    assert table.startswith("# Smoke test on the sample: CIFAR-10, protocol 1")
    assert "| GPQ, printed |  | 0.858 |" in table
    assert f"| release form, from scratch |  | {found['mAP']:.4f} |" in table
    assert [len(axis) for axis in one["curves"]["total"]] == [5, 5]
    for ending in (".png", "_precision.png", "_loss.png"):
        (picture,) = Path("results", "smoke").glob(f"table2-????????{ending}")
        with Image.open(picture) as image:
            assert image.width > 300


@pytest.mark.parametrize("what", ["figure1", "figure3", "figure4", "figure5"])
def test_another_figure_uses_the_finished_run(place, data_dir, monkeypatch, what, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setattr(reproduce.train, "train", lambda *_: pytest.fail("a finished run was trained again"))
    run(monkeypatch, data_dir, what, *ONE)
    (one,), table = kept(what)
    assert f"{one['evaluation']['mAP']:.4f}" in table and f"{one['evaluation']['mAP']:.4f}" in capsys.readouterr().out
    (picture,) = Path("results", "smoke").glob(f"{what}-*.png")
    with Image.open(picture) as image:
        assert image.width > 300
    if what == "figure5":
        assert "silhouette" in table and 0 < one["separation"][1] <= 1


def test_a_triplet_loss_on_unseen_classes(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, data_dir, "table3", "--metric_loss=triplet", "--known_classes=[0,9]", "--method", "gpq",
        "--follow=release", "--decay=staircase")
    (one,), table = kept("table3")
    settings, found = one["settings"], one["evaluation"]
    assert settings["metric_loss"] == "triplet" and settings["n_CLASSES"] == 2 and one["training"]["step"] > 1
    assert len(found["class_mAP"]) == 8 and "airplane" not in found["class_mAP"] and 0.1 < found["mAP"] < 1
    assert f"| (0, 9) known, from scratch |  | {found['mAP']:.4f} |" in table
    for row in ("(0, 1, 2, 3, 4, 5, 6) known", "mean over the three choices"):
        assert f"| {row}, from scratch |  |  |" in table


def test_cnn_f(tmp_path, few_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, few_dir, "figure3", "--backbone=cnn_f", batch_size=5)
    (one,), table = kept("figure3")
    assert one["settings"]["backbone"] == "cnn_f" and one["training"]["step"] == 1
    assert f"| GPQ-F |  | {one['evaluation']['mAP']:.4f} |" in table and 0 < one["evaluation"]["mAP"] <= 1


def test_a_classifier_alone_is_one_training_in_two_columns(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, data_dir, "table2", "--method", "classifier", "--decay=staircase", "--learning_rate=0.0002",
        "--precision=float32")
    (one,), table = kept("table2")
    found = one["evaluation"]
    assert one["training"]["images"] == 50 and found["distinct_codes"] <= 10
    for start in ("from scratch", "pretrained F"):  # in a smoke test all start from random weights
        assert f"| classifier alone, {start} |  | {found['mAP']:.4f} | {found['unquantised_mAP']:.4f} |\n" in table


def test_the_sample_does_not_reproduce_the_paper(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "figure5", f"--data_dir={data_dir}"])
    with pytest.raises(UserError, match="needs all of CIFAR-10.*utils.data fetch cifar10"):
        reproduce.main()
