"""reproduce.py's plan and its loop over cells, with trainings and evaluations that take no time."""
import json
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import made_up
import numpy as np
import pytest
from test_reproduce import run

import reproduce
from utils.errors import Stopped, UserError
from utils.paper.baselines import DEEP, SHALLOW
from utils.paper.experiments import EXPERIMENTS

# How the name of a cell from the pretrained F ends.
BRIEF = "batch_size_100-decay_cosine-learning_rate_0.0003-precision_bfloat16-total_epochs_4"


class Stub:
    """Training and evaluation that take no time; `fate(config)` is how a training ends, `configs` what was trained."""

    def __init__(self):
        self.configs, self.fate = [], lambda config: True

    def train(self, task):
        config = task.config
        self.configs.append(config)
        folder = Path(config.model_save_path)
        folder.mkdir(parents=True, exist_ok=True)
        about = {"step": 5, "images": 100, "seconds": 1.5, "device": "a machine", "commit": "abc", "initial": "",
                 "losses": {}, "judged": None, "data": "CIFAR-10, the sample",
                 "settings": config.model_dump(mode="json", exclude={"resume"})}
        (folder / "1.ckpt.json").write_text(json.dumps(about))
        if not self.fate(config):
            raise Stopped("stopped", signal.SIGTERM)
        for part in (".index", ".data-00000-of-00001"):
            Path(f"{config.final_checkpoint}{part}").touch()
        Path(f"{config.final_checkpoint}.json").write_text(json.dumps(about))

    def evaluate(self, config, checkpoint):
        return {"mAP": 0.25, "mAP_stable": 0.25, "unquantised_mAP": 0.5, "distinct_codes": 7,
                "queries": 4, "gallery": 9, "class_mAP": {"cat": 0.25}, "ranks": [1, 2],
                "precision": [1, 0.5], "recall": [0.1, 0.2]}


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """A `Stub` in the place of training and evaluation, and an empty working folder."""
    made = Stub()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reproduce.train, "train", made.train)
    monkeypatch.setattr(reproduce.evaluation, "evaluate", made.evaluate)
    return made


def asked(what, **changes):
    return SimpleNamespace(**{"what": what, "smoke": False, "bits": None, "seeds": None, "method": None, **changes})


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
    assert {path.name for path in Path("models/smoke/cells").glob("*/*.json")} == {"1.ckpt.json", "12bits.ckpt.json"}
    assert len(list(Path("models/smoke/cells").glob("*/1.ckpt.json"))) == 1  # of the cell that is not finished

    run(monkeypatch, data_dir, "figure3", "--bits", "12", "--metric_loss=triplet")
    assert [line for line in table.read_text().splitlines() if line.startswith("| GPQ")] == rows
    stub.fate = lambda config: False
    for file in (table, table.with_suffix(".png")):
        file.unlink()
    with pytest.raises(Stopped):
        run(monkeypatch, data_dir, "figure3")
    assert table.with_suffix(".png").exists()  # a run that is stopped leaves the whole table, not a part
    assert [line for line in table.read_text().splitlines() if line.startswith("| GPQ")] == rows
    assert [config.resume for config in stub.configs] == [False] * 4 + [True]  # the last goes on with GPQ-H


def test_a_training_that_is_stopped_ends_the_loop_and_says_how_to_go_on(stub, data_dir, monkeypatch):
    stub.fate = lambda config: False
    for resume in (False, True):
        with pytest.raises(Stopped, match="batch_size_10-n_validation_100-total_epochs_1: stopped; the same command"):
            run(monkeypatch, data_dir, "figure3")
        assert stub.configs.pop().resume is resume and not stub.configs


def test_what_is_kept_is_drawn_anew_without_any_training(stub, data_dir, monkeypatch):
    run(monkeypatch, data_dir, "figure3", "--metric_loss=triplet", "--total_epochs=2")
    table = Path("results/smoke/figure3-batch_size_10-total_epochs_2.md")
    before = table.read_text()
    (line,) = [line for line in before.splitlines() if line.startswith("Drawn by `")]
    assert line.split("`")[1] == ("python reproduce.py figure3 --draw --smoke --batch_size=10 --metric_loss=triplet "
                                  "--total_epochs=2")
    table.unlink()
    monkeypatch.setattr(sys, "argv", line.split("`")[1].split()[1:])
    reproduce.main()
    assert table.read_text() == before and len(stub.configs) == 1


def test_what_is_asked_for_limits_the_trainings_and_not_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    todo = reproduce.plan(asked("table2", bits=[12], seeds=1), {"follow": "paper"})
    scratch = "12bits-seed0-ImagNet_pretrained_path_none-follow_paper"
    assert todo.wanted == [scratch, "12bits-seed0-ImagNet_pretrained_path_CIFAR100_pretrained-follow_paper",
                           f"12bits-seed0-{BRIEF}".replace("cosine-", "cosine-follow_paper-")]
    baselines = (len(SHALLOW) + len(DEEP)) * 4  # methods and lengths
    assert len(todo.configs) == 48 + 12 + 9 + 3 * baselines
    assert len({(cell.row, cell.column) for cell, _ in todo.places}) == 16 + 4 + 6 + baselines
    kept = {scratch: reproduce.cells.Kept(scratch, todo.configs[scratch], {
        "training": {"step": 5, "images": 100, "seconds": 1.5, "initial": "random weights", "data": "CIFAR-10",
                     "settings": {"follow": "paper", "n_book": 3}},
        "evaluation": Stub().evaluate(None, None),
        "curves": {"total": [[1, 5], [4, 3]]}, "PFLOP": 0.01, "hardware": "a machine", "commit": "abc"})}
    reproduce.report(todo, kept)
    table = Path("results/table2.md").read_text().splitlines()
    assert "| paper form, from scratch, 12 bits | 0.2500 |" in table
    (row,) = [line for line in table if line.startswith("| paper form, from scratch |")]
    assert row.split(" | ")[1:3] == ["0.2500 (left: 10.3 PFLOP, 11 h on two cores)",
                                     "(left: 15.4 PFLOP, 16 h on two cores)"]

    todo = reproduce.plan(asked("figure5", bits=[12], seeds=2), {})
    assert len(todo.wanted) == 3 * 2 and len(todo.configs) == 3 * 2 * 2
    assert todo.drawn_by == "python reproduce.py figure5 --draw --bits 12 --seeds 2"


def test_the_command_that_draws_a_table_draws_that_table():
    """What tells a table of its own from the usual one is in its command, and what only chooses what is trained is not.
    """
    start = {"ImagNet_pretrained_path": "./models/ImageNet_taught.mat"}
    ours, usual = (reproduce.plan(asked("figure3"), given) for given in (start, {}))
    assert ours.table != usual.table and usual.drawn_by == "python reproduce.py figure3 --draw"
    assert ours.drawn_by == f"{usual.drawn_by} --ImagNet_pretrained_path=./models/ImageNet_taught.mat"
    chosen, whole = (reproduce.plan(asked("imagenet"), given) for given in (start, {}))
    assert (chosen.table, chosen.drawn_by) == (whole.table, whole.drawn_by) and len(chosen.wanted) < len(whole.wanted)


@pytest.mark.parametrize("bits", [[12], [24, 48]])
def test_a_classifier_is_wanted_once_whatever_the_length(bits):
    todo = reproduce.plan(asked("table2", bits=bits, seeds=1), {})
    alone = [name for name in todo.wanted if name.startswith("classifier")]
    assert alone == ["classifier-seed0-ImagNet_pretrained_path_none",
                     "classifier-seed0-ImagNet_pretrained_path_CIFAR100_pretrained", f"classifier-seed0-{BRIEF}"]
    assert len(todo.wanted) == (5 + len(SHALLOW) + len(DEEP)) * len(bits) + 3
    assert reproduce.plan(asked("table2", bits=bits, seeds=1, method="classifier"), {}).wanted == alone
    assert not set(alone) & set(reproduce.plan(asked("table2", method="gpq"), {}).wanted)


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
    assert f"{cell} is damaged or no result" in capsys.readouterr().err


def test_a_cell_waits_for_weights_that_are_not_there(stub, data_dir, monkeypatch, capsys):
    run(monkeypatch, data_dir, "table2", "--follow=release",
        "--ImagNet_pretrained_path=./models/CIFAR100_pretrained.mat")
    assert "waits for ./models/CIFAR100_pretrained.mat, which pretrain.py makes" in capsys.readouterr().out
    table = Path("results/smoke/table2-batch_size_10.md").read_text()
    assert "| release form, F from CIFAR-100 | (left: 1 min on two cores) |" in table


def test_imagenets_cells_wait_for_their_files_and_keep_their_schedules(stub, data_dir, monkeypatch, capsys):
    """Of the sample's vectors no cell of the paper is made; a smoke test's length comes before a row's own."""
    run(monkeypatch, data_dir, "imagenet")
    said = capsys.readouterr().out
    assert "waits for ./models/ImageNet_taught.mat, which pretrain.py makes" in said and not stub.configs
    assert "waits for cifar10_lite0_lite2.npz, which is made by python encode.py --features_only" in said
    np.savez("mine.npz", features=made_up.vectors()[0], labels=np.arange(300) % 10, part="the sample")
    run(monkeypatch, data_dir, "imagenet", "--embeddings=mine.npz")
    (config,) = stub.configs
    assert (config.total_epochs, config.batch_size, config.follow, config.dropout) == (1, 10, "paper", 0.5)
    table = Path("results/smoke/imagenet-batch_size_10.md").read_text()
    assert "| the vectors given | 0.2500 |" in table and "| the paper | 0.858 |" in table
    assert "| the vectors given, 12 bits | 0.5000 | 7 | 2 | the vectors " in table
    assert "python reproduce.py imagenet --draw --smoke --batch_size=10 --embeddings=mine.npz" in table
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "imagenet", "--embeddings=mine.npz"])
    with pytest.raises(UserError, match="needs all of CIFAR-10, and mine.npz has the sample"):
        reproduce.main()


@pytest.mark.parametrize("arguments, said", [
    (["--lam_1=0.5"], "figure3 has no cell with these settings, --lam_1=0.5; leave some out"),
    (["--method=classifier"], "figure3 has no cell with these settings, --method=classifier; leave some out"),
    (["--seeds", "0"], "--seeds is 0; ask for 1 to 100, each of which"),
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
    assert [row[0] for row in table] == list(EXPERIMENTS) and table[0][2:5] == ["237", "0", "268"]
    assert table[1][2:4] == ["372", "0"]  # the means over the choices have no trainings of its own
    cell = Path("results/cells/48bits-seed0-ImagNet_pretrained_path_none.json")
    cell.parent.mkdir(parents=True)
    cell.touch()
    assert listed()[2][2:5] == ["237", "1", "262"]
