"""Which cells make the tables of weak supervision, what they wait for and what they draw."""
from pathlib import Path
from types import SimpleNamespace

import made_up
import numpy as np
import pytest
from test_reproduce import run
from test_reproduce_loop import asked, stub  # noqa: F401  a fixture

import config
import reproduce
from utils.paper import cells, drawing, weakly
from utils.paper.experiments import EXPERIMENTS


def rows(listed):
    found = {}
    for cell in listed:
        found.setdefault(cell.row, []).append(cell)
    return found


def made(cell):
    return reproduce.configure(cell, {}, Path("models/cells"))[1]


@pytest.mark.parametrize("what", ["wsdhq", "compare"])
def test_a_code_has_the_bits_of_its_column(what):
    for cell in EXPERIMENTS[what].cells(EXPERIMENTS[what].bits, 1, {}):
        assert f"{made(cell).n_bits} bits" == cell.column


def test_a_control_differs_from_wsdhq_in_one_setting():
    """So that its row shows what that setting does."""
    found = rows(weakly.wsdhq([16], 1, {}))
    for truth, controls in weakly.CONTROLS.items():
        plain = made(found[f"{truth}: WSDHQ, AQD"][0])
        for row, changes in controls.items():
            (control,) = found[f"{truth}: WSDHQ, {row}"]
            differ = cells.differences(plain.model_dump(mode="json"), made(control))
            assert {name: now for name, _, now in differ} == changes


def test_what_is_measured_of_one_training_stands_in_several_rows():
    found = rows(weakly.wsdhq([8, 32], 2, {}))
    aqd, sqd, features = ([cell.settings for cell in found[f"themes: WSDHQ, {how}"]] for how in weakly.MEASURES)
    assert aqd == sqd == features and len(aqd) == 4
    assert {cell.measure for how in weakly.MEASURES for cell in found[f"themes: WSDHQ, {how}"]} == {
        "mAP", "symmetric_mAP", "unquantised_mAP"}


def test_all_of_a_protocol_learn_from_one_file_and_are_judged_alike():
    found = rows(weakly.compare([32], 1, {}))
    for protocol, (path, ranks) in weakly.PROTOCOLS.items():
        configs = [made(cell) for row, listed in found.items() for cell in listed if row.startswith(protocol)]
        assert {each.method for each in configs} == {"gpq", "spq", "wsdhq"}
        assert {(each.embeddings, each.n_DB, each.without_hits) for each in configs} == {(path, ranks, "zero")}


def test_cells_have_names_of_their_own_that_a_disk_takes():
    """And steps count: a training of another number is another cell."""
    names = {}
    for what in ("wsdhq", "compare"):
        for name, each in reproduce.plan(asked(what), {}).configs.items():
            names.setdefault(name, []).append(each)
            assert len(f"{name}.json") < 255
    assert all(len(each) == 1 for each in names.values())
    two = [cells.configured(config.WSDHQ, {"iterations": steps, "embeddings": "v.npz"}) for steps in (700, 900)]
    assert cells.name(two[0]) != cells.name(two[1]) and "--iterations=700" in cells.command(two[0])


def test_a_cell_waits_for_tags_photographs_and_the_lists_of_its_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listed = rows(weakly.wsdhq([32], 1, {}))
    photographs = [each for row, each in listed.items() if "photographs" in row]
    assert [made(each).freeze for (each,) in photographs] == [False, True]
    assert {cells.awaited(made(each)) for (each,) in photographs} == {
        "corel5k/images.tar, which has Corel5k's photographs"}
    (control,) = listed[f"themes: WSDHQ, {weakly.ORTHOGONAL}"]
    (flickr,) = [each[0] for row, each in listed.items() if row.startswith("Flickr25K")]
    assert cells.awaited(made(control)).startswith("corel5k.npz, which is made by")
    np.savez("corel5k.npz")
    assert cells.awaited(made(control)) == ("corel5k_orthogonal.npz, which python -m utils.data.tags makes, as "
                                            "docs/wsdhq.md says")
    np.savez("corel5k_orthogonal.npz")
    assert cells.awaited(made(control)) is None
    assert cells.awaited(made(flickr)) == "data/flickr25k, the files of WSDHQ's released program"
    (tmp_path / "data" / "flickr25k").mkdir(parents=True)
    assert cells.awaited(made(flickr)) == "alexnet.npy, which its authors made"


def test_a_step_of_a_method_with_tags_costs_one_batch():
    one = config.WSDHQ(iterations=10, batch_size=100, backbone="alexnet")
    assert cells.cost([one])[0] == pytest.approx(cells.pflop(1000, one)) and cells.cost([one])[0] > 0


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

    def kept(bits, *found, measure="mAP"):
        return [SimpleNamespace(measure=measure, mean_ap=each, config=SimpleNamespace(n_bits=bits)) for each in found]

    grid = {("a", "12 bits"): kept(12, 0.2, 0.4), ("a", "48 bits"): kept(48, 0.5), ("a", "24 bits"): [],
            ("b", "by class"): kept(4, 0.7), ("b", "by features"): kept(4, 0.9, measure="unquantised_mAP")}
    assert drawing.draw_lengths(Path("t.png"), grid).keys() == {("a", "48 bits"), ("b", "by class")}
    (name, series), = drawn
    assert name == "t_lengths.png" and series["a"][0] == (12, 48) and series["b"] == ((4,), (0.7,))
    np.testing.assert_allclose(series["a"][1], [0.3, 0.5])


@pytest.mark.parametrize("what", ["wsdhq", "compare"])
def test_what_a_data_set_implies_is_nobodys_edit(what):
    """CIFAR-10's own tags have 50 numbers, which is no setting of all cells, and Corel5k's 300."""
    todo = reproduce.plan(asked(what), {})
    assert todo.table.name == f"{what}.md" and todo.drawn_by == f"python reproduce.py {what} --draw"
    assert {each.dimension for each in todo.configs.values() if each.method == "wsdhq"} == {
        50 if what == "compare" else 300}


def test_a_table_shows_what_is_there_beside_what_was_published(stub, data_dir, monkeypatch, capsys):  # noqa: F811
    monkeypatch.setattr(reproduce.evaluation, "evaluate",
                        lambda *given: {**stub.evaluate(*given), "symmetric_mAP": 0.75})
    features, labels = made_up.vectors()
    np.savez("corel5k.npz", features=features, labels=labels,
             **np.load(made_up.tags("tags.npz", labels, dimension=300)))
    run(monkeypatch, data_dir, "wsdhq", "--method=wsdhq", "--margin_rule=adaptive", "--tags=")
    assert [(each.method, each.embeddings, each.dimension) for each in stub.configs] == [("wsdhq", "corel5k.npz", 300)]
    assert "data/flickr25k, the files of WSDHQ's released program" in capsys.readouterr().out
    table = Path("results/smoke/wsdhq-batch_size_10.md").read_text()
    for row in ("themes: WSDHQ, AQD | 0.2500", "themes: WSDHQ, SQD | 0.7500",
                "themes: WSDHQ, features not quantised | 0.5000",
                "themes: WDHT | (left: 1 min on two cores)",
                "Flickr25K: WSDHQ, AQD, its authors' rerun | 0.766"):
        assert f"| {row} |" in table
