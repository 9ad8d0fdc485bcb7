"""What was made before keeps its name and its meaning, whatever config.py says today."""
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import create_model

import config
import reproduce
from utils.paper import cells

RESULTS = Path(__file__).parents[3] / "results"
SHORT = {"batch_size": 100, "decay_steps": 20, "learning_rate": 0.001, "total_epochs": 20}
EDITS = [{}, {"batch_size": 100, "total_epochs": 20}, {"follow": "paper", "lam_1": 0.5, "n_DB": 10, "n_book": 3},
         {"alpha": 3.0, "decay": "cosine", "known_classes": (1, 2), "n_CLASSES": 7}]


def edit(monkeypatch, **defaults):
    """Edit defaults in every class of config.py that has them."""
    for method, kind in list(config.METHODS.items()):
        fields = {name: (kind.model_fields[name].annotation, value) for name, value in defaults.items()
                  if name in kind.model_fields}
        monkeypatch.setitem(config.METHODS, method, create_model(kind.__name__, __base__=kind, **fields))
    now = config.METHODS["gpq"]()
    assert all(getattr(now, name) == value for name, value in defaults.items())


def plan(what, **named):
    arguments = SimpleNamespace(what=what, smoke=False, bits=None, seeds=None, method=None)
    return reproduce.plan(arguments, named)


def kept():
    """[(path, JSON)] of the kept cells."""
    found = [(path, json.loads(path.read_text())) for path in RESULTS.glob("*/*seed*.json")]
    assert len(found) >= 20
    return found


@pytest.mark.parametrize("defaults", EDITS)
def test_a_kept_cells_name_and_command_follow_from_its_own_json(monkeypatch, defaults):
    before = {path: cells.command(cells.trained_with(cell["training"])) for path, cell in kept()}
    edit(monkeypatch, **defaults)
    for path, cell in kept():
        made = cells.trained_with(cell["training"])
        assert cells.name(made) == path.stem and cells.command(made) == before[path]


def loaded(undo):
    """{table: names of the kept cells in it that have no schedule of their own, which the command line overrules}."""
    found = {}
    for what, named in (("table2", {}), ("table2", SHORT)):
        todo = plan(what, **{**undo, **named})
        names = dict.fromkeys(name for cell, name in todo.places if not cell.schedule)
        found[todo.table] = [name for name in names
                             if cells.load(RESULTS.parent / todo.kept / f"{name}.json", todo.configs[name])]
    return found


@pytest.mark.parametrize("defaults", EDITS)
def test_kept_cells_fill_their_tables_whatever_config_says(monkeypatch, defaults):
    """The settings as they were first published, on the command line, undo the edit."""
    undo = {name: value for name, value in cells.configured(config.GPQ, {}) if name in defaults.keys() - cells.OWN}
    before = loaded({})
    assert sum(map(len, before.values())) >= 20
    edit(monkeypatch, **defaults)
    assert loaded(undo) == before


@pytest.mark.parametrize("what", ["table2", "table3", "figure4"])
@pytest.mark.parametrize("name, value", [("batch_size", 100), ("follow", "paper"), ("alpha", 3.0), ("n_DB", 10),
                                         ("eval_term", 7), ("decay", "cosine")])
def test_an_edit_counts_like_the_same_setting_on_the_command_line(monkeypatch, what, name, value):
    said = plan(what, **{name: value})
    edit(monkeypatch, **{name: value})
    edited = plan(what)
    assert (edited.table, edited.drawn_by, edited.places) == (said.table, said.drawn_by, said.places)
    assert edited.wanted == said.wanted
    assert {key: dict(one) for key, one in edited.configs.items()} == {
        key: dict(one) for key, one in said.configs.items()}


def test_where_files_lie_is_left_to_config(monkeypatch):
    before = plan("table2")
    edit(monkeypatch, data_dir="/data", save_term=7, ImagNet_pretrained_path="./models/mine.mat", seed=3, n_book=6)
    after = plan("table2")
    assert (after.table, after.places, after.wanted) == (before.table, before.places, before.wanted)
    assert {(made.data_dir, made.save_term) for made in after.configs.values()} == {("/data", 7)}
    assert {made.n_bits for made in after.configs.values()} == {4, 12, 24, 32, 48}
    assert {made.seed for made in after.configs.values()} == {0, 1, 2}
