"""What a cell is called, costs and keeps, and the tables made of cells."""
import contextlib
import json
from types import SimpleNamespace

import pytest

from config import Config
from model.tf1 import tf
from utils.errors import UserError
from utils.paper import cells, tables
from utils.training.logs import write_scalars


@pytest.mark.parametrize("settings, name", [
    ({}, "48bits-seed0"),
    ({"n_book": 3, "seed": 2, "data_dir": "anywhere"}, "12bits-seed2"),
    ({"n_DB": 1000}, "48bits-seed0-n_DB_1000"),
    ({"follow": "release", "lam_1": 0.1}, "48bits-seed0"),
    ({"follow": "paper", "lam_1": 0.0, "n_book": 6}, "24bits-seed0-follow_paper-lam_1_0"),
    ({"ImagNet_pretrained_path": "./models/F.mat"}, "48bits-seed0-ImagNet_pretrained_path_F"),
    ({"ImagNet_pretrained_path": ""}, "48bits-seed0-ImagNet_pretrained_path_none"),
    ({"known_classes": (1, 2, 9), "total_epochs": 20}, "48bits-seed0-known_classes_129-total_epochs_20"),
])
def test_a_name_tells_what_is_unusual(settings, name):
    assert cells.name(settings) == name


def test_cost_of_the_releases_schedule():
    assert cells.pflop(3_000_000, Config()) == pytest.approx(5.148)
    assert cells.pflop(3_000_000, Config(lam_u=1)) == pytest.approx(7.722)


def training(config):
    return {"images": 1000, "step": 10, "seconds": 2.5, "device": "NVIDIA H100", "commit": "abc",
            "settings": config.model_dump(mode="json")}


def test_a_cell_comes_back_only_for_the_same_settings(tmp_path):
    path, folder = tmp_path / "results" / "a.json", tmp_path / "models" / "cells" / "a"
    config = Config(n_book=3, model_save_path=str(folder))
    assert cells.load(path, config) is None
    cells.save(path, config, training(config), {"mAP": 0.25})
    kept = cells.load(path, config)
    assert kept["evaluation"] == {"mAP": 0.25} and kept["PFLOP"] == pytest.approx(1.716e-3, abs=1e-4)
    assert kept["commit"] == "abc" and kept["hardware"] == "NVIDIA H100"  # those of the training
    assert cells.load(path, Config(n_book=3, data_dir="elsewhere", save_term=1)) == kept
    for other in ({"n_book": 6}, {"n_book": 3, "total_epochs": 7}, {"n_book": 3, "n_DB": 9}):
        with pytest.raises(UserError, match=f"a.json was made with .*; remove {path} to make it again, or set"):
            cells.load(path, Config(**other, model_save_path=str(folder)))
    path.write_text("{")
    with pytest.raises(UserError, match="a.json is damaged; remove it to make it again"):
        cells.load(path, config)


def test_what_a_cell_of_other_settings_was_made_from_must_go_too(tmp_path):
    path, folder, run = tmp_path / "a.json", tmp_path / "models" / "cells" / "a", tmp_path / "models/accelerated/a"
    config = Config(model_save_path=str(folder))
    cells.save(path, config, training(config), {})
    other = config.model_copy(update={"alpha": 1.0})
    folder.mkdir(parents=True)
    beside = folder / "48bits_example.ckpt.json"
    beside.write_text(json.dumps(training(config)))
    assert cells.load(beside, config) == training(config)
    for file, places in ((path, f"{path} and {folder} to"), (beside, f"{folder} to")):
        with pytest.raises(UserError, match=f"{file} was made with alpha=20.0 and .* 1.0; remove {places} make"):
            cells.load(file, other)
    run.mkdir(parents=True)
    with pytest.raises(UserError, match=f"remove {folder} and {run} to make it again, or set alpha as it was"):
        cells.load(beside, other)


def test_a_cell_keeps_the_curves_of_a_training_that_was_killed_and_resumed(tmp_path):
    config = Config(model_save_path=str(tmp_path))
    for number, (first, last, loss) in enumerate([(1, 80, 4.0), (61, 120, 2.0)]):
        with contextlib.closing(tf.summary.FileWriter(str(tmp_path / "logs"), filename_suffix=f".{number}")) as writer:
            for step in range(first, last + 1):
                write_scalars(writer, step, total=loss)
    killed = next((tmp_path / "logs").glob("*.0"))
    killed.write_bytes(killed.read_bytes()[:-7])
    cells.save(tmp_path / "a.json", config, training(config), {})
    steps, values = json.loads((tmp_path / "a.json").read_text())["curves"]["total"]
    assert steps == [1.5 + 2 * k for k in range(60)]
    assert values == [4.0] * 30 + [2.0] * 30


def kept(name, mean_ap):
    found = {"mAP": mean_ap, "mAP_stable": 0.2, "unquantised_mAP": 0.9, "distinct_codes": 77}
    cell = {"evaluation": found, "training": {"step": 10, "images": 1000, "seconds": 2.5}, "PFLOP": 0.01,
            "hardware": "a machine", "commit": "abc"}
    return cells.Kept(name, Config(), cell)


def test_a_table_has_means_deviations_and_empty_places(tmp_path):
    grid = {("GPQ", "12 bits"): [kept("a", 0.5), kept("b", 0.7)], ("GPQ", "48 bits"): [],
            ("GPQ-T", "12 bits"): [kept("c", 0.3)], ("GPQ-T", "48 bits"): []}
    left = {("GPQ-T", "12 bits"): "9 h", ("GPQ-T", "48 bits"): "7 h"}
    paper = {"12 bits": 0.858, "48 bits": 0.883}
    tables.write(tmp_path / "t-0.1.md", "Title", "python x.py", grid, left, paper, ["more"])
    lines = (tmp_path / "t-0.1.md").read_text().splitlines()
    assert lines[0] == "# Title" and "    python x.py" in lines and "more" in lines
    assert "| GPQ | 0.6000 ± 0.1414 (2) |  |" in lines
    assert "| GPQ-T | 0.3000 (left: 9 h) | (left: 7 h) |" in lines and "| the paper | 0.858 | 0.883 |" in lines
    assert "| b | 0.7000 | 0.2000 | 0.9000 | 77 | 10 | 1000 | 0.01 | 2.5 | a machine | abc |" in lines
    behind = json.loads((tmp_path / "t-0.1.json").read_text())
    assert behind[0] == {"row": "GPQ", "column": "12 bits", "cells": ["a", "b"], "mAP": [0.5, 0.7]}


def test_the_spread_of_no_one_and_several_cells():
    assert tables.spread([]) is None
    assert tables.spread([SimpleNamespace(mean_ap=0.5)]) == (0.5, 0.0)
    assert tables.spread([SimpleNamespace(mean_ap=v) for v in (0.1, 0.3)]) == pytest.approx((0.2, 0.1414), abs=1e-4)
