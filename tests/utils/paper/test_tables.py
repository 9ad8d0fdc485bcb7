"""The tables made of cells."""
import json
from types import SimpleNamespace

import pytest

from config import GPQ, Classifier
from utils.paper import cells, tables
from utils.paper.experiments import Experiment
from utils.paper.rows import Published

PAPER = (Published("the paper", {"12 bits": 0.858, "48 bits": 0.883}, "Jang and Cho, table 2"),
         Published("SPQ", {"48 bits": 0.9}, "another"))
EXPERIMENT = Experiment("Title", None, None, published=PAPER, note="A note.")


def kept(name, mean_ap, config=None, data="CIFAR-10", measure="mAP"):
    config = config or cells.configured(GPQ, {})
    found = {"mAP": mean_ap, "mAP_stable": 0.2, "unquantised_mAP": 0.9, "distinct_codes": 77}
    training = {"step": 10, "images": 1000, "seconds": 2.5, "data": data, "initial": config.ImagNet_pretrained_path,
                "settings": config.model_dump(mode="json")}
    cell = {"evaluation": found, "training": training, "PFLOP": 0.01, "hardware": "a machine", "commit": "abc"}
    return cells.Kept(name, config, cell, measure)


def lines(path, grid, left=None):
    tables.write(path, EXPERIMENT, "python x.py --draw", grid, left or {}, ["more"])
    return path.read_text().splitlines()


def test_a_table_has_means_deviations_and_empty_places(tmp_path):
    grid = {("GPQ", "12 bits"): [kept("a", 0.5), kept("b", 0.7)], ("GPQ", "48 bits"): [],
            ("GPQ-T", "12 bits"): [kept("c", 0.3)], ("GPQ-T", "48 bits"): []}
    left = {("GPQ-T", "12 bits"): "9 h", ("GPQ-T", "48 bits"): "7 h"}
    found = lines(tmp_path / "t-0.1.md", grid, left)
    assert found[0] == "# Title" and "more" in found and "A note." in found
    assert "Drawn by `python x.py --draw` from the cells listed below." in found
    assert "| GPQ | 0.6000 ± 0.1414 (2) |  |" in found
    assert "| GPQ-T | 0.3000 (left: 9 h) | (left: 7 h) |" in found
    assert "| the paper | 0.858 | 0.883 |" in found and "| SPQ |  | 0.900 |" in found
    assert "The paper: Jang and Cho, table 2." in found and "SPQ: another." in found
    assert ("| b | 0.7000 | 0.2000 | 0.9000 | 77 | 10 | 1000 | 0.01 | 2.5 | a machine | abc | CIFAR-10 | "
            "`python train.py` |") in found
    behind = json.loads((tmp_path / "t-0.1.json").read_text())
    assert behind[0] == {"row": "GPQ", "column": "12 bits", "cells": ["a", "b"], "mAP": [0.5, 0.7]}


def test_what_was_published_of_other_columns_stands_alone_and_rows_of_one_source_together(tmp_path):
    rows = (*PAPER, Published("SH", {"elsewhere": 0.39}, "another"), Published("ours", {"elsewhere": None}, "a file"))
    tables.write(tmp_path / "a.md", EXPERIMENT._replace(published=rows), "x", {("GPQ", "12 bits"): []}, {}, [])
    found = (tmp_path / "a.md").read_text()
    assert "|  | elsewhere |\n| --- | --- |\n| SH | 0.390 |\n| ours |  |\n" in found
    assert "\nSPQ; SH: another.\n" in found and "\nOurs: a file.\n" in found


def test_every_cell_says_its_own_data_and_command(tmp_path):
    another = {"name": "CIFAR-10", "part": "all", "sha256": 64 * "0", "origin": "batches that went through JPEG"}
    one, other = (cells.configured(GPQ, given) for given in (
        {"n_book": 3, "follow": "paper"}, {"known_classes": (0, 9), "learning_rate": 1e-5}))
    grid = {("GPQ", "12 bits"): [kept("a", 0.5, one, "CIFAR-10, the sample"), kept("b", 0.5, other, another)]}
    first, second = [line.split(" | ")[-2:] for line in lines(tmp_path / "a.md", grid)
                     if line.startswith(("| a |", "| b |"))]
    assert first == ["CIFAR-10, the sample", "`python train.py --follow=paper --n_book=3` |"]
    assert "batches that went through JPEG" in second[0] and second[1].endswith("--learning_rate=1e-05` |")


def test_rows_of_other_columns_stand_in_a_table_of_their_own(tmp_path):
    one = kept("a", 0.4, cells.configured(Classifier, {}))
    grid = {("GPQ", "12 bits"): [], ("alone", "by class"): [one],
            ("alone", "by softmax"): [one._replace(measure="unquantised_mAP")]}
    found = lines(tmp_path / "a.md", grid)
    first, second = found.index("|  | 12 bits |"), found.index("|  | by class | by softmax |")
    assert found[first + 2:second] == ["| GPQ |  |", "| the paper | 0.858 |", ""]
    assert found[second + 2:second + 4] == ["| alone | 0.4000 | 0.9000 |", ""]
    assert sum(line.startswith("| a |") for line in found) == 1
    assert "`python train.py --method=classifier`" in found[-1]


def test_the_spread_of_no_one_and_several_cells():
    assert tables.spread([]) is None
    assert tables.spread([SimpleNamespace(mean_ap=0.5)]) == (0.5, 0.0)
    assert tables.spread([SimpleNamespace(mean_ap=v) for v in (0.1, 0.3)]) == pytest.approx((0.2, 0.1414), abs=1e-4)
