"""What is drawn of which cells."""
import json
from pathlib import Path

import numpy as np

from config import GPQ
from utils import figures
from utils.paper import cells
from utils.paper.drawing import average, draw_embedding, draw_surface, draw_voronoi, with_checkpoints


def kept(folder, name, checkpoint):
    """A cell, with or without its checkpoint."""
    config = GPQ(model_save_path=str(folder / name))
    if checkpoint:
        (folder / name).mkdir()
        for part in (".index", ".data-00000-of-00001"):
            Path(f"{config.final_checkpoint}{part}").touch()
        Path(f"{config.final_checkpoint}.json").write_text(json.dumps({
            "step": 5, "seconds": 1.0, "initial": "", "losses": {}, "judged": None, "data": "CIFAR-10",
            "settings": config.model_dump(mode="json")}))
    return cells.Kept(name, config, {"evaluation": {"mAP": 0.5}})


def test_a_drawing_is_of_one_code_length(tmp_path):
    a, b, c = kept(tmp_path, "a", True), kept(tmp_path, "b", True), kept(tmp_path, "c", False)
    grid = {("T", "12"): [], ("T", "48"): [a], ("H", "12"): [b], ("H", "48"): [a], ("G", "12"): [c], ("G", "48"): []}
    here, missing = with_checkpoints(grid)
    assert here == {"H": (b, str(b.config.final_checkpoint))}
    assert missing == [f"* Not drawn: G, whose checkpoint {tmp_path / 'c' / '48bits.ckpt'} is not here."]


def test_a_cell_without_its_checkpoint_is_not_drawn(tmp_path):
    for draw in (draw_embedding, draw_voronoi):
        lines = draw(tmp_path / "a.png", {("GPQ-T", "48 bits"): [kept(tmp_path, "a", False)]})
        assert lines == [f"* Not drawn: GPQ-T, whose checkpoint {tmp_path / 'a' / '48bits.ckpt'} is not here."]
        assert not (tmp_path / "a.png").exists()


def test_courses_of_unequal_length_have_a_mean():
    short, long = ([0, 10], [1.0, 3.0]), ([0, 5, 10, 15], [1.0, 1.0, 5.0, 9.0])
    mean = average({("a", "b"): [short, long], ("c", "d"): []})
    assert list(mean) == ["a, b"]
    np.testing.assert_array_equal(mean["a, b"], ([0, 10], [1, 4]))


def test_a_surface_has_a_panel_a_length_and_gaps_where_no_cell_is(tmp_path, monkeypatch):
    grid = {(f"{bits} bits, classification {one:g}", f"entropy {two:g}"): []
            for bits in (12, 48) for one in (0, 0.001, 1) for two in (0.1, 1)}
    grid["48 bits, classification 0.001", "entropy 1"] = [kept(tmp_path, "a", False)]
    drawn = []
    monkeypatch.setattr(figures, "surface", lambda *arguments: drawn.extend(arguments))
    assert draw_surface("a.png", grid) == []
    _, first, second, values, titles = drawn
    assert (first, second, titles) == ([0, 0.001, 1], [0.1, 1], ["12 bits", "48 bits"])
    assert values.shape == (2, 3, 2) and values[1, 1, 1] == 0.5 and np.isnan(values).sum() == 11
