"""Every table that is kept is what its runs make, whatever config.py says."""
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from pydantic import create_model

from gpq import config, reproduce
from gpq.utils import figures
from gpq.utils.base_settings import Training
from gpq.utils.paper import report
from gpq.utils.paper.experiments import EXPERIMENTS

TABLES = sorted(path.stem for path in (ROOT / "results").glob("*.jsonl"))


@pytest.mark.parametrize("name", TABLES)
def test_a_kept_table_is_drawn_again_as_it_is_whatever_config_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for method, kind in config.METHODS.items():  # edited, with a setting more
        new = {"batch_size": (int, 7), "later": (Training[int], 3)}
        monkeypatch.setitem(config.METHODS, method, create_model(kind.__name__, __base__=kind, **new))
    monkeypatch.setattr(figures, "_save", lambda *_: None)
    (tmp_path / "results").symlink_to(ROOT / "results")
    written = {}
    monkeypatch.setattr(report.files, "whole", lambda path, **_: pytest.fail(f"{path} is written"))
    monkeypatch.setattr(report, "save", lambda path, text: written.update({path: text}))
    monkeypatch.setattr(sys, "argv", ["reproduce.py", name, "--draw"])
    reproduce.main()
    assert written == {Path("results", f"{name}.md"): (ROOT / "results" / f"{name}.md").read_text()}


def test_what_papers_print_stands_in_a_table():
    shown = {(paper, table) for experiment in EXPERIMENTS.values() for paper, table, *_ in experiment.published}
    for line in report.published():
        assert (line["paper"], line["table"]) in shown or (line["paper"], "") in shown
        assert 0 < float(line["value"]) < 1 and line["how_sure"]
