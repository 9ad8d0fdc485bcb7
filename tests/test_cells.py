"""What a cell is called, costs and keeps, and the tables made of cells."""
import contextlib
import json
from types import SimpleNamespace

import pytest

from config import Config
from model.tf1 import tf
from utils import cells, runs, tables
from utils.errors import UserError


@pytest.mark.parametrize("settings, name", [
    ({}, "48bits-seed0"),
    ({"n_book": 3, "seed": 2, "data_dir": "anywhere", "n_DB": 5}, "12bits-seed2"),
    ({"follow": "release", "lam_1": 0.1}, "48bits-seed0"),
    ({"follow": "paper", "lam_1": 0.0, "n_book": 6}, "24bits-seed0-follow_paper-lam_1_0"),
    ({"ImagNet_pretrained_path": "./models/F.mat"}, "48bits-seed0-ImagNet_pretrained_path_F"),
    ({"ImagNet_pretrained_path": ""}, "48bits-seed0-ImagNet_pretrained_path_none"),
    ({"known_classes": (1, 2, 9), "total_epochs": 20}, "48bits-seed0-known_classes_129-total_epochs_20"),
])
def test_a_name_tells_what_is_unusual(settings, name):
    assert cells.name(settings) == name


def test_cost_of_the_releases_schedule():
    assert cells.pflop(3_000_000, "modified_vgg") == pytest.approx(5.148)


def training(config, **about):
    return {"images": 1000, "step": 10, "seconds": 2.5, "settings": config.model_dump(mode="json"), **about}


def test_a_cell_comes_back_only_for_the_same_settings(tmp_path):
    path, config = tmp_path / "cells" / "a.json", Config(n_book=3, model_save_path=str(tmp_path))
    assert cells.load(path, config) is None
    cells.save(path, config, training(config), {"mAP": 0.25})
    kept = cells.load(path, config)
    assert kept["evaluation"] == {"mAP": 0.25} and kept["PFLOP"] == pytest.approx(1.716e-3, abs=1e-4)
    assert kept["commit"] and kept["hardware"].endswith("cores")
    assert cells.load(path, Config(n_book=3, data_dir="elsewhere", save_term=1)) == kept
    for other in ({"n_book": 6}, {"n_book": 3, "total_epochs": 7}):
        with pytest.raises(UserError, match="a.json was made with .* remove it to make it again"):
            cells.load(path, Config(**other))
    path.write_text("{")
    with pytest.raises(UserError, match="a.json is damaged; remove it to make it again"):
        cells.load(path, config)


def test_a_cell_keeps_the_curves_of_a_training_that_was_killed_and_resumed(tmp_path):
    config = Config(model_save_path=str(tmp_path))
    for number, (first, last, loss) in enumerate([(1, 80, 4.0), (61, 120, 2.0)]):
        with contextlib.closing(tf.summary.FileWriter(str(tmp_path / "logs"), filename_suffix=f".{number}")) as writer:
            for step in range(first, last + 1):
                runs.write_scalars(writer, step, total=loss)
    killed = next((tmp_path / "logs").glob("*.0"))
    killed.write_bytes(killed.read_bytes()[:-7])
    cells.save(tmp_path / "a.json", config, training(config), {})
    steps, values = json.loads((tmp_path / "a.json").read_text())["curves"]["total"]
    assert steps == [1.5 + 2 * k for k in range(60)]
    assert values == [4.0] * 30 + [2.0] * 30


def test_where_jax_trained_is_told(tmp_path):
    config = Config(model_save_path=str(tmp_path))
    cells.save(tmp_path / "a.json", config, training(config, device="NVIDIA H100"), {})
    assert json.loads((tmp_path / "a.json").read_text())["hardware"] == "NVIDIA H100"


def kept(name, mean_ap):
    found = {"mAP": mean_ap, "mAP_stable": 0.2, "unquantised_mAP": 0.9, "distinct_codes": 77}
    cell = {"evaluation": found, "training": {"step": 10, "images": 1000, "seconds": 2.5}, "PFLOP": 0.01,
            "hardware": "a machine", "commit": "abc"}
    return cells.Kept(name, Config(), cell)


def test_a_table_has_means_deviations_and_empty_places(tmp_path):
    grid = {("GPQ", "12 bits"): [kept("a", 0.5), kept("b", 0.7)], ("GPQ", "48 bits"): [],
            ("GPQ-T", "12 bits"): [kept("c", 0.3)], ("GPQ-T", "48 bits"): []}
    tables.write(tmp_path / "t", "Title", "python x.py", grid, {"12 bits": 0.858, "48 bits": 0.883}, ["more"])
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert lines[0] == "# Title" and "    python x.py" in lines and "more" in lines
    assert "| GPQ | 0.6000 ± 0.1414 (2) |  |" in lines
    assert "| GPQ-T | 0.3000 |  |" in lines and "| the paper | 0.858 | 0.883 |" in lines
    assert "| b | 0.7000 | 0.2000 | 0.9000 | 77 | 10 | 1000 | 0.01 | 2.5 | a machine | abc |" in lines
    behind = json.loads((tmp_path / "t.json").read_text())
    assert behind[0] == {"row": "GPQ", "column": "12 bits", "cells": ["a", "b"], "mAP": [0.5, 0.7]}


def test_the_spread_of_no_one_and_several_cells():
    assert tables.spread([]) is None
    assert tables.spread([SimpleNamespace(mean_ap=0.5)]) == (0.5, 0.0)
    assert tables.spread([SimpleNamespace(mean_ap=v) for v in (0.1, 0.3)]) == pytest.approx((0.2, 0.1414), abs=1e-4)
