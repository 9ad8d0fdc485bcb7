"""What is drawn of which cells."""
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from gpq.config import GPQ
from gpq.utils import figures
from gpq.utils.paper import drawing, report
from gpq.utils.paper.drawing import (
    average,
    draw_embedding,
    draw_surface,
    draw_voronoi,
    first_of_rows,
)


def shown(folder, name, checkpoint, **evaluation):
    """A run in a grid, with or without its checkpoint."""
    config = GPQ(model_save_path=str(folder / name))
    if checkpoint:
        (folder / name).mkdir()
        for part in (".index", ".data-00000-of-00001"):
            Path(f"{config.final_checkpoint}{part}").touch()
        Path(f"{config.final_checkpoint}.json").write_text(json.dumps({
            "step": 5, "seconds": 1.0, "initial": "", "losses": {}, "judged": None, "data": "CIFAR-10",
            "settings": config.model_dump(mode="json")}))
    run = SimpleNamespace(id=name, separation=None, evaluation=SimpleNamespace(mAP=0.5))
    return report.Shown(run, config)


def test_a_drawing_is_of_one_code_length(tmp_path):
    a, b, c = shown(tmp_path, "a", True), shown(tmp_path, "b", True), shown(tmp_path, "c", False)
    grid = {("T", "12"): [], ("T", "48"): [a], ("H", "12"): [b], ("H", "48"): [a], ("G", "12"): [c], ("G", "48"): []}
    assert first_of_rows(grid) == {"H": (b, str(b.config.final_checkpoint)), "G": (c, None)}


def test_what_needs_a_checkpoint_stays_as_it_was_drawn_without_it(tmp_path):
    one = shown(tmp_path, "a", False)
    one.run.separation = (0.25, 0.75)
    for draw in (draw_embedding, draw_voronoi):
        lines = draw(tmp_path / "a.png", {("GPQ-T", "48 bits"): [one]})
        assert not (tmp_path / "a.png").exists() and lines[-1:] == ["| GPQ-T (a) | 0.2500 | 0.7500 |"] * bool(lines)


def test_courses_of_unequal_length_have_a_mean():
    short, long = ([0, 10], [1.0, 3.0]), ([0, 5, 10, 15], [1.0, 1.0, 5.0, 9.0])
    mean = average({("a", "b"): [short, long], ("c", "d"): []})
    assert list(mean) == ["a, b"]
    np.testing.assert_array_equal(mean["a, b"], ([0, 10], [1, 4]))


def test_a_surface_has_a_panel_a_length_and_gaps_where_no_cell_is(tmp_path, monkeypatch):
    grid = {(f"{bits} bits, classification {one:g}", f"entropy {two:g}"): []
            for bits in (12, 48) for one in (0, 0.001, 1) for two in (0.1, 1)}
    grid["48 bits, classification 0.001", "entropy 1"] = [shown(tmp_path, "a", False)]
    drawn = []
    monkeypatch.setattr(figures, "surface", lambda *arguments: drawn.extend(arguments))
    assert draw_surface("a.png", grid) == []
    _, first, second, values, titles = drawn
    assert (first, second, titles) == ([0, 0.001, 1], [0.1, 1], ["12 bits", "48 bits"])
    assert values.shape == (2, 3, 2) and values[1, 1, 1] == 0.5 and np.isnan(values).sum() == 11


def test_of_many_lengths_the_last_that_is_finished_is_drawn(monkeypatch):
    monkeypatch.setattr(drawing, "draw_table", lambda path, grid: grid)
    done = [SimpleNamespace(measure="mAP")]
    grid = {("a", "8 bits"): done, ("a", "16 bits"): done, ("b", "16 bits"): [], ("a", "32 bits"): []}
    assert drawing.draw_longest(None, grid) == {("a", "16 bits"): done, ("b", "16 bits"): []}


def test_map_over_code_lengths(monkeypatch):
    """The mean over the trainings; a ranking by features has no code and no place there."""
    drawn = []
    monkeypatch.setattr(drawing, "draw_table", lambda path, grid: grid)
    monkeypatch.setattr(drawing.figures, "curves", lambda path, series, *labels: drawn.append((path.name, series)))

    def runs(bits, *found, measure="mAP"):
        return [SimpleNamespace(measure=measure, mean_ap=each, config=SimpleNamespace(n_bits=bits)) for each in found]

    grid = {("a", "12 bits"): runs(12, 0.2, 0.4), ("a", "48 bits"): runs(48, 0.5), ("a", "24 bits"): [],
            ("b", "by class"): runs(4, 0.7), ("b", "by features"): runs(4, 0.9, measure="unquantised_mAP")}
    assert drawing.draw_lengths(Path("t.png"), grid).keys() == {("a", "48 bits"), ("b", "by class")}
    (name, series), = drawn
    assert name == "t_lengths.png" and series["a"][0] == (12, 48) and series["b"] == ((4,), (0.7,))
    np.testing.assert_allclose(series["a"][1], [0.3, 0.5])
