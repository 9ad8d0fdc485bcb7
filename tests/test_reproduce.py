"""reproduce.py, the whole path of every table and figure on a few real images."""
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import reproduce
from config import Config
from utils.errors import UserError
from utils.paper.drawing import average, with_checkpoints
from utils.paper.experiments import EXPERIMENTS, figure3, figure4, table3

# What the cells of one experiment share with another's leaves one training for nearly all of them.
ONE = ["--bits", "12", "--follow=release", "--ImagNet_pretrained_path=", "--metric_loss=n_pair", "--lam_1=0.1",
       "--lam_2=0.1", "--protocol=1", "--len_code=2", "--backbone=modified_vgg"]
NAME = "12bits-seed0-ImagNet_pretrained_path_none-batch_size_10-len_code_2-n_validation_100-total_epochs_1"


TABLE2 = "table2-batch_size_10-len_code_2"


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


class Stub:
    """Training and evaluation that take no time; `fate(config)` is how a training ends, `configs` what was trained."""

    def __init__(self):
        self.configs, self.fate = [], lambda config: True

    def train(self, config, task):
        self.configs.append(config)
        folder = Path(config.model_save_path)
        folder.mkdir(parents=True, exist_ok=True)
        about = {"step": 5, "images": 100, "seconds": 1.5, "device": "a machine", "commit": "abc", "initial": "",
                 "losses": {}, "judged": None, "data": "", "settings": config.model_dump(mode="json")}
        (folder / "1.ckpt.json").write_text(json.dumps(about))
        finished = self.fate(config)
        if finished:
            Path(f"{config.checkpoint}.json").write_text(json.dumps(about))
        return finished

    def evaluate(self, config, held_back):
        return {"mAP": 0.75 if held_back else 0.25, "mAP_stable": 0.25, "unquantised_mAP": 0.5, "distinct_codes": 7,
                "class_mAP": {"cat": 0.25}, "ranks": [1, 2], "precision": [1, 0.5], "recall": [0.1, 0.2]}


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """A `Stub` in the place of training and evaluation, and an empty working folder."""
    made = Stub()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reproduce.train, "train", made.train)
    monkeypatch.setattr(reproduce.evaluation, "evaluate", made.evaluate)
    return made


def test_a_table_comes_with_its_cells_and_curves(place):
    smoke = place / "results" / "smoke"
    cell = json.loads((smoke / "cells" / f"{NAME}.json").read_text())
    found = cell["evaluation"]
    assert cell["training"]["step"] == 5 and found["gallery"] == 540 and found["queries"] == 10
    assert 0.1 < found["mAP"] < 1 and 0 < found["unquantised_mAP"] < 1 and len(found["class_mAP"]) == 10
    assert found["ranks"][0] == 1 and found["ranks"][-1] <= 540 and len(found["ranks"]) == len(found["precision"])
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


def test_cnn_f(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, data_dir, "figure3", "--backbone=cnn_f")
    (file,) = Path("results/smoke/cells").iterdir()
    cell = json.loads(file.read_text())
    assert cell["training"]["settings"]["backbone"] == "cnn_f" and cell["training"]["step"] == 5
    table = Path("results/smoke/figure3-batch_size_10.md").read_text()
    assert f"| GPQ-F | {cell['evaluation']['mAP']:.4f} |" in table and 0.1 < cell["evaluation"]["mAP"] < 1


@pytest.mark.parametrize("given", [{}, {"known_classes": (1, 2)}])
def test_protocol_2_takes_the_mean_over_three_choices_of_classes(given):
    listed = table3([12, 48], 2, given)
    rows = {}
    for cell in listed:
        rows.setdefault(cell.row, []).append(cell.settings)
    *choices, mean, first = rows.values()
    assert [own[0]["known_classes"] for own in choices[3:]] == list(given.values())
    assert mean == sum(choices[:3], []) and len(mean) == 3 * 2 * 2
    assert {settings["n_CLASSES"] for settings in mean} == {7}
    assert len({settings["known_classes"] for settings in mean}) == 3
    assert {settings["known_classes"] for settings in first} == {choices[0][0]["known_classes"]}


def test_figure_4_weighs_the_same_in_both_forms():
    """What the release calls lam_1 is the paper's lambda_2."""
    for form, classification, entropy in (("release", "lam_2", "lam_1"), ("paper", "lam_1", "lam_2")):
        (cell,) = [cell for cell in figure4([12], 1, {"follow": form})
                   if (cell.row, cell.column) == ("12 bits, classification 0.001", "entropy 1")]
        assert (cell.settings[classification], cell.settings[entropy]) == (0.001, 1)


def test_choices_are_made_on_held_back_images(stub, data_dir, monkeypatch):
    run(monkeypatch, data_dir, "choices", "--bits", "12", "--ImagNet_pretrained_path=", "--n_validation=10")
    (config,) = stub.configs
    assert config.eval_term and config.n_validation == 10
    table = Path("results/smoke/choices-batch_size_10-n_validation_10.md").read_text()
    assert "\n| from scratch | 0.7500 |\n" in table
    assert [path.parent.name for path in Path("results/smoke").glob("*/*.json")] == ["held_back"]


def test_a_failure_ends_one_cell_and_a_table_keeps_what_there_is(stub, data_dir, monkeypatch, capsys):
    def diverges(config):
        if config.lam_1 == 0:
            raise UserError("the loss is not finite")
        return True

    table = Path("results/smoke/figure3-batch_size_10.md")
    stub.fate = diverges
    with pytest.raises(UserError, match="1 of 4 cells failed"):
        run(monkeypatch, data_dir, "figure3", "--bits", "12")
    assert "lam_1_0-lam_2_0-n_validation_100-total_epochs_1: the loss is not finite\n" in capsys.readouterr().err
    rows = [line for line in table.read_text().splitlines() if line.startswith("| GPQ")]
    assert rows[:2] == ["| GPQ | 0.2500 |", "| GPQ-F | 0.2500 |"] and rows[3] == "| GPQ-T | 0.2500 |"
    assert rows[2].startswith("| GPQ-H | (left: ")
    assert {path.name for path in Path("models/smoke/cells").glob("*/*")} == {"1.ckpt.json", "12bits_example.ckpt.json"}
    assert len(list(Path("models/smoke/cells").glob("*/1.ckpt.json"))) == 1  # of the cell that is not finished

    run(monkeypatch, data_dir, "figure3", "--bits", "12", "--metric_loss=triplet")
    assert [line for line in table.read_text().splitlines() if line.startswith("| GPQ")] == rows
    stub.fate = lambda config: False
    for file in (table, table.with_suffix(".png")):
        file.unlink()
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, data_dir, "figure3")
    assert table.with_suffix(".png").exists()  # a run that is stopped leaves the whole table, not a part
    assert [line for line in table.read_text().splitlines() if line.startswith("| GPQ")] == rows
    assert [config.resume for config in stub.configs] == [False] * 4 + [True]  # the last goes on with GPQ-H


def test_what_is_asked_for_limits_the_trainings_and_not_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    todo = reproduce.plan(SimpleNamespace(what="table2", smoke=False, bits=[12], seeds=1), {"follow": "paper"})
    scratch = "12bits-seed0-ImagNet_pretrained_path_none-follow_paper"
    assert todo.wanted == [scratch, "12bits-seed0-ImagNet_pretrained_path_CIFAR100_pretrained-follow_paper"]
    assert len(todo.configs) == 48 and len(todo.places) == 16
    kept = {scratch: reproduce.cells.Kept(scratch, todo.configs[scratch], {
        "training": {"step": 5, "images": 100, "seconds": 1.5}, "evaluation": Stub().evaluate(None, held_back=False),
        "curves": {"total": [[1, 5], [4, 3]]}, "PFLOP": 0.01, "hardware": "a machine", "commit": "abc"})}
    reproduce.report(todo, kept)
    table = Path("results/table2.md").read_text().splitlines()
    assert "| paper form, from scratch, 12 bits | 0.2500 |" in table
    (row,) = [line for line in table if line.startswith("| paper form, from scratch |")]
    assert row.split(" | ")[1:3] == ["0.2500 (left: 10.3 PFLOP, 11 h on two cores)",
                                     "(left: 15.4 PFLOP, 16 h on two cores)"]

    todo = reproduce.plan(SimpleNamespace(what="figure5", smoke=False, bits=[12], seeds=2), {})
    assert len(todo.wanted) == 3 * 2 and len(todo.configs) == 3 * 2 * 2


def test_settings_of_all_cells_make_a_table_of_their_own(stub, data_dir, monkeypatch):
    run(monkeypatch, data_dir, "figure3", "--lam_1=0", "--learning_rate=0.001", "--total_epochs=2", "--seeds", "2")
    assert [(config.lam_2, config.seed) for config in stub.configs] == [(0, 0), (0, 1)]
    files = {path.name for path in Path("results/smoke").glob("*.*")}
    table = "figure3-batch_size_10-learning_rate_0.001-total_epochs_2"
    assert files == {f"{table}.md", f"{table}.json", f"{table}.png"}


def test_a_checkpoint_of_other_settings_is_not_evaluated(stub, data_dir, monkeypatch, capsys):
    arguments = "figure3", "--metric_loss=triplet"
    run(monkeypatch, data_dir, *arguments)
    (cell,), (beside,) = Path("results/smoke/cells").iterdir(), Path("models/smoke/cells").glob("*/*.json")
    cell.unlink()
    beside.write_text(beside.read_text().replace('"alpha": 20.0', '"alpha": 10.0'))
    with pytest.raises(UserError, match="1 of 4 cells failed"):
        run(monkeypatch, data_dir, *arguments)
    assert f"made with alpha=10.0 and the settings say 20.0; remove {beside.parent} to" in capsys.readouterr().err
    assert len(stub.configs) == 1 and not cell.exists()
    cell.write_text("{")
    with pytest.raises(UserError, match="1 of 4 cells failed"):
        run(monkeypatch, data_dir, *arguments)
    assert f"{cell} is damaged; remove it to make it again" in capsys.readouterr().err


def test_a_cell_without_its_checkpoint_is_not_drawn(stub, data_dir, monkeypatch):
    for what, row in (("figure1", "len_code 2"), ("figure5", "GPQ-T")):
        run(monkeypatch, data_dir, what)
        table = Path(f"results/smoke/{what}-batch_size_10.md")
        assert f"\n* Not drawn: {row}, whose checkpoint models/smoke/cells/" in table.read_text()
        assert not table.with_suffix(".png").exists()


def test_a_drawing_is_of_one_code_length(tmp_path):
    kept = {}
    for name in "abc":
        config = Config(model_load_path=str(tmp_path / name))
        (tmp_path / f"{name}.index").touch()
        kept[name] = reproduce.cells.Kept(name, config, {})
    (tmp_path / "c.index").unlink()
    grid = {("T", "12"): [], ("T", "48"): [kept["a"]], ("H", "12"): [kept["b"]], ("H", "48"): [kept["a"]],
            ("G", "12"): [kept["c"]], ("G", "48"): []}
    here, missing = with_checkpoints(grid)
    assert here == {"H": kept["b"]} and missing == [f"* Not drawn: G, whose checkpoint {tmp_path / 'c'} is not here."]


def test_courses_of_unequal_length_have_a_mean():
    short, long = ([0, 10], [1.0, 3.0]), ([0, 5, 10, 15], [1.0, 1.0, 5.0, 9.0])
    mean = average({("a", "b"): [short, long], ("c", "d"): []})
    assert list(mean) == ["a, b"]
    np.testing.assert_array_equal(mean["a, b"], ([0, 10], [1, 4]))


def test_a_cell_waits_for_weights_that_are_not_there(stub, data_dir, monkeypatch, capsys):
    run(monkeypatch, data_dir, "table2", "--follow=release",
        "--ImagNet_pretrained_path=./models/CIFAR100_pretrained.mat")
    assert "waits for ./models/CIFAR100_pretrained.mat, which pretrain.py makes" in capsys.readouterr().out
    table = Path("results/smoke/table2-batch_size_10.md").read_text()
    assert "| release form, F from CIFAR-100 | (left: 0.0 PFLOP, 1 min on two cores) |" in table


def test_a_cell_is_exported_and_imported_when_trained(stub, data_dir, monkeypatch, capsys):
    def export(task, name, folder, config):
        (folder / name).mkdir(parents=True)
        return folder / name

    def import_run(run, checkpoint, named):
        config = next(config for config in configs if Path(config.model_save_path).name == run.name)
        stub.train(config, None)

    configs = [reproduce.configure(cell, {**reproduce.SMOKE, "batch_size": 10, "data_dir": str(data_dir)},
                                   Path("models/smoke/cells"))[1] for cell in figure3([12], 1, {})]
    monkeypatch.setattr(reproduce, "export", export)
    monkeypatch.setattr(reproduce, "import_run", import_run)
    arguments = "figure3", "--backbone=modified_vgg", "--metric_loss=triplet", "--accelerate"
    run(monkeypatch, data_dir, *arguments)
    (exported,) = Path("models/smoke/accelerated").iterdir()
    run(monkeypatch, data_dir, *arguments)
    said = capsys.readouterr().out
    assert f": exported to {exported}\n" in said
    assert ": exported; python models/smoke/accelerated/train.py trains it" in said and not stub.configs
    (exported / "trained.npz").touch()
    run(monkeypatch, data_dir, *arguments)
    assert "| GPQ-T | 0.2500 |" in Path("results/smoke/figure3-batch_size_10.md").read_text()


def test_the_sample_does_not_reproduce_the_paper(tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "figure5", f"--data_dir={data_dir}"])
    with pytest.raises(UserError, match="needs all of CIFAR-10.*utils.cifar10 fetch"):
        reproduce.main()


@pytest.mark.parametrize("arguments, said", [
    (["--lam_1=0.5"], "figure3 has no cell with these settings"),
    (["--seeds", "0"], "--seeds is 0; ask for 1 or more"),
    *(([f"--{name}=1"], f"{name} is set for each cell by reproduce.py; leave it out and choose by --bits and --seeds")
      for name in ("model_save_path", "model_load_path", "n_book", "bn_word", "seed")),
])
def test_mistakes_are_said(stub, data_dir, monkeypatch, arguments, said):
    with pytest.raises(UserError, match=said):
        run(monkeypatch, data_dir, "figure3", *arguments)


def test_alone_it_lists_what_there_is_and_what_the_rest_costs(monkeypatch, capsys, tmp_path):
    def listed():
        monkeypatch.setattr(sys, "argv", ["reproduce.py"])
        reproduce.main()
        return [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]

    monkeypatch.chdir(tmp_path)
    table = listed()[2:]
    assert [row[0] for row in table] == list(EXPERIMENTS) and table[0][2:5] == ["48", "0", "247"]
    assert table[1][2:4] == ["48", "0"]  # the mean over the choices has no trainings of its own
    cell = Path("results/cells/48bits-seed0-ImagNet_pretrained_path_none.json")
    cell.parent.mkdir(parents=True)
    cell.touch()
    assert listed()[2][2:5] == ["48", "1", "242"]
