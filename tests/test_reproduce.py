"""reproduce.py, the whole path of every table and figure on a few real images."""
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

import reproduce
from utils.errors import UserError

# What the cells of one experiment share with another's leaves one training for nearly all of them.
ONE = ["--bits", "12", "--follow=release", "--ImagNet_pretrained_path=", "--metric_loss=n_pair", "--lam_1=0.1",
       "--lam_2=0.1", "--protocol=1", "--len_code=2", "--backbone=modified_vgg"]
NAME = "12bits-seed0-ImagNet_pretrained_path_none-batch_size_10-len_code_2-n_validation_100-total_epochs_1"
TABLE2 = "table2-batch_size_10-len_code_2"


def run(monkeypatch, data_dir, *arguments, batch_size=10):
    tiny = ["--smoke", f"--data_dir={data_dir}", f"--batch_size={batch_size}"]
    monkeypatch.setattr(sys, "argv", ["reproduce.py", *arguments, *tiny])
    reproduce.main()


@pytest.fixture(scope="module")
def place(data_dir, tmp_path_factory):
    """A working folder where table2 has been made of one cell."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        run(monkeypatch, data_dir, "table2", *ONE)
    return folder


def test_a_table_comes_with_its_cells_and_curves(place):
    smoke = place / "results" / "smoke"
    cell = json.loads((smoke / "cells" / f"{NAME}.json").read_text())
    found = cell["evaluation"]
    assert cell["training"]["step"] == 5 and found["gallery"] == 180 and found["queries"] == 10
    assert 0.1 < found["mAP"] < 1 and 0 < found["unquantised_mAP"] < 1 and len(found["class_mAP"]) == 10
    assert found["ranks"][0] == 1 and found["ranks"][-1] <= 180 and len(found["ranks"]) == len(found["precision"])
    table = (smoke / f"{TABLE2}.md").read_text()
    assert f"| {NAME} | {found['mAP']:.4f} |" in table and "| the paper | 0.858 |" in table
    assert [len(axis) for axis in cell["curves"]["total"]] == [5, 5]
    for picture in (f"{TABLE2}.png", f"{TABLE2}_precision.png", f"{TABLE2}_loss.png"):
        with Image.open(smoke / picture) as image:
            assert image.width > 300


@pytest.mark.parametrize("what", ["figure1", "figure3", "figure4", "figure5"])
def test_another_figure_uses_the_finished_cell(place, data_dir, monkeypatch, what):
    monkeypatch.chdir(place)
    monkeypatch.setattr(reproduce.train, "train", lambda *_: pytest.fail("a finished cell was trained again"))
    run(monkeypatch, data_dir, what, *ONE)
    (table,) = (place / "results" / "smoke").glob(f"{what}-*.md")
    assert f"| {NAME} |" in table.read_text()
    with Image.open(table.with_suffix(".png")) as image:
        assert image.width > 300
    if what == "figure5":
        assert "silhouette" in table.read_text()


def test_a_triplet_loss_on_unseen_classes(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, data_dir, "table3", "--metric_loss=triplet", "--known_classes=[0,9]",
        "--ImagNet_pretrained_path=")
    (file,) = Path("results/smoke/cells").iterdir()
    cell = json.loads(file.read_text())
    settings, found = cell["training"]["settings"], cell["evaluation"]
    assert settings["metric_loss"] == "triplet" and settings["n_CLASSES"] == 2 and cell["training"]["step"] > 1
    assert len(found["class_mAP"]) == 8 and "airplane" not in found["class_mAP"] and 0.1 < found["mAP"] < 1
    table = Path("results/smoke/table3-batch_size_10-metric_loss_triplet.md").read_text()
    assert f"| (0, 9) known, from scratch | {found['mAP']:.4f} |" in table
    for row in ("(0, 1, 2, 3, 4, 5, 6) known", "mean over the three choices"):
        assert f"| {row}, from scratch | (left: " in table


def test_cnn_f(tmp_path, few_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, few_dir, "figure3", "--backbone=cnn_f", batch_size=5)
    (file,) = Path("results/smoke/cells").iterdir()
    cell = json.loads(file.read_text())
    assert cell["training"]["settings"]["backbone"] == "cnn_f" and cell["training"]["step"] == 1
    table = Path("results/smoke/figure3-batch_size_5.md").read_text()
    assert f"| GPQ-F | {cell['evaluation']['mAP']:.4f} |" in table and 0 < cell["evaluation"]["mAP"] <= 1


def test_a_classifier_alone_is_one_training_in_two_columns(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, data_dir, "table2", "--method=classifier", "--ImagNet_pretrained_path=")
    (file,) = Path("results/smoke/cells").iterdir()
    assert file.name.startswith("classifier-seed0-ImagNet_pretrained_path_none-batch_size_10-")
    cell = json.loads(file.read_text())
    found = cell["evaluation"]
    assert cell["training"]["images"] == 50 and found["distinct_codes"] <= 10
    table = Path("results/smoke/table2-batch_size_10.md").read_text()
    assert f"| classifier alone, from scratch | {found['mAP']:.4f} | {found['unquantised_mAP']:.4f} |\n" in table


def test_the_sample_does_not_reproduce_the_paper(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "figure5", f"--data_dir={data_dir}"])
    with pytest.raises(UserError, match="needs all of CIFAR-10.*utils.data fetch cifar10"):
        reproduce.main()
