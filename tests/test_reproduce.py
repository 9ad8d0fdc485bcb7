"""reproduce.py, the whole path of every table and figure on a few real images."""
import json
import sys

import pytest
from PIL import Image

import reproduce
from utils.errors import UserError

# What the cells of one experiment share with another's leaves one training for nearly all of them.
ONE = ["--bits", "12", "--follow=release", "--ImagNet_pretrained_path=", "--metric_loss=n_pair", "--lam_1=0.1",
       "--lam_2=0.1", "--protocol=1", "--len_code=2", "--backbone=modified_vgg"]
NAME = "12bits-seed0-ImagNet_pretrained_path_none-batch_size_10-len_code_2-total_epochs_1"


def run(monkeypatch, data_dir, *arguments):
    tiny = ["--smoke", f"--data_dir={data_dir}", "--batch_size=10"]
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
    assert cell["training"]["step"] == 5 and found["gallery"] == 540 and found["queries"] == 10
    assert 0.1 < found["mAP"] < 1 and 0 < found["unquantised_mAP"] < 1 and len(found["class_mAP"]) == 10
    assert found["ranks"][0] == 1 and found["ranks"][-1] <= 540 and len(found["ranks"]) == len(found["precision"])
    table = (smoke / "table2.md").read_text()
    assert f"| {NAME} | {found['mAP']:.4f} |" in table and "| the paper | 0.858 |" in table
    assert [len(axis) for axis in cell["curves"]["total"]] == [5, 5]
    for picture in ("table2.png", "table2_precision.png", "table2_loss.png"):
        with Image.open(smoke / picture) as image:
            assert image.width > 300


@pytest.mark.parametrize("what", ["figure1", "figure3", "figure4", "figure5"])
def test_another_figure_uses_the_finished_cell(place, data_dir, monkeypatch, what):
    monkeypatch.chdir(place)
    monkeypatch.setattr(reproduce.train, "train", lambda *_: pytest.fail("a finished cell was trained again"))
    run(monkeypatch, data_dir, what, *ONE)
    smoke = place / "results" / "smoke"
    assert NAME in (smoke / f"{what}.md").read_text()
    with Image.open(smoke / f"{what}.png") as image:
        assert image.width > 300
    if what == "figure5":
        assert "silhouette" in (smoke / "figure5.md").read_text()


def test_protocol_2_asks_for_three_choices_of_classes():
    cells = reproduce.table3([12, 48], seeds=2)
    assert len(cells) == 4 * 2 * 2
    choices = {cell.settings["known_classes"] for cell in cells}
    assert len(choices) == 3 and all(len(set(choice)) == 7 for choice in choices)
    assert {cell.settings["n_CLASSES"] for cell in cells} == {7}


def test_a_cell_waits_for_weights_that_are_not_there(place, data_dir, monkeypatch, capsys):
    monkeypatch.chdir(place)
    run(monkeypatch, data_dir, "table2", "--bits", "12", "--follow=release",
        "--ImagNet_pretrained_path=./models/CIFAR100_pretrained.mat")
    assert "waits for ./models/CIFAR100_pretrained.mat, which pretrain.py makes" in capsys.readouterr().out
    assert "| release form, F from CIFAR-100 |  |" in (place / "results" / "smoke" / "table2.md").read_text()


def test_exported_cells_are_imported_when_trained(place, data_dir, monkeypatch, capsys):
    pytest.importorskip("jax")
    monkeypatch.chdir(place)
    exported = []
    monkeypatch.setattr(reproduce.accelerate, "export", lambda task, name, folder, config: exported.append(name))
    run(monkeypatch, data_dir, "table2", *ONE, "--accelerate", "--seeds", "2")
    assert exported == [NAME.replace("seed0", "seed1")] and "| 2 |" not in capsys.readouterr().out


def test_the_sample_does_not_reproduce_the_paper(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "figure5", f"--data_dir={data_dir}"])
    with pytest.raises(UserError, match="needs all of CIFAR-10.*utils.cifar10 fetch"):
        reproduce.main()


def test_settings_that_no_cell_has(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="figure3 has no cell with these settings"):
        run(monkeypatch, data_dir, "figure3", "--lam_1=0.5", "--lam_2=0.5", "--metric_loss=triplet",
            "--backbone=cnn_f", "--ImagNet_pretrained_path=x")


def test_alone_it_lists_what_there_is(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce.py"])
    reproduce.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == list(reproduce.EXPERIMENTS)
    table2 = lines[2].split(" | ")
    assert table2[2:5] == ["48", "0", "247"]
