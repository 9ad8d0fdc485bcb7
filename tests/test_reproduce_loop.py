"""reproduce.py's plan and its loop over runs, with trainings and evaluations that take no time."""
import json
import shlex
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import made_up
import numpy as np
import pytest
from conftest import ROOT
from test_reproduce import run

from gpq import reproduce
from gpq.config import METHODS
from gpq.utils.errors import Stopped, UserError
from gpq.utils.paper import runs
from gpq.utils.paper.experiment import DEEP, SHALLOW
from gpq.utils.paper.experiments import EXPERIMENTS


class Stub:
    """Training and evaluation that take no time; `fate(config)` is how a training ends, `configs` what was trained."""

    def __init__(self):
        self.configs, self.fate = [], lambda config: True

    def train(self, task):
        config = task.config
        self.configs.append(config)
        folder = Path(config.model_save_path)
        folder.mkdir(parents=True, exist_ok=True)
        about = {"step": 5, "images": 100, "seconds": 1.5, "device": "a machine", "commit": "abc",
                 "initial": config.ImagNet_pretrained_path, "losses": {}, "judged": None,
                 "initial_sha256": runs.pretrained.sha256(config.ImagNet_pretrained_path),
                 "data": runs.sets.load(config).source._asdict(),
                 "settings": config.model_dump(mode="json", exclude={"resume"})}
        (folder / "1.ckpt.json").write_text(json.dumps(about))
        if not self.fate(config):
            raise Stopped("stopped", signal.SIGTERM)
        for part in (".index", ".data-00000-of-00001"):
            Path(f"{config.final_checkpoint}{part}").touch()
        Path(f"{config.final_checkpoint}.json").write_text(json.dumps(about))

    def evaluate(self, config, checkpoint):
        return {"mAP": 0.25, "mAP_stable": 0.25, "unquantised_mAP": 0.5, "symmetric_mAP": 0.75, "distinct_codes": 7,
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


def plan(what, named=None, **changes):
    return reproduce.plan(SimpleNamespace(**{"what": what, "smoke": False, "bits": None, "seeds": None, "method": None,
                                             **changes}), named or {})


def table_of(what):
    (path,) = Path("results/smoke").glob(f"{what}*.md")
    return path


def rows(what):
    return [line for line in table_of(what).read_text().split("## ")[0].splitlines() if line.startswith("| GPQ")]


def test_a_failure_ends_one_run_and_a_table_keeps_what_there_is(stub, data_dir, monkeypatch, capsys):
    def diverges(config):
        if config.lam_1 == 0:
            raise UserError("the loss is not finite")
        return True

    stub.fate = diverges
    with pytest.raises(UserError, match="1 of 4 runs failed"):
        run(monkeypatch, data_dir, "figure3", "--bits", "12")
    said = capsys.readouterr()
    assert ": the loss is not finite\n" in said.err and "| GPQ-T |  | 0.2500 |" in said.out
    before = rows("figure3")
    assert before == ["| GPQ |  | 0.2500 |", "| GPQ-F |  | 0.2500 |", "| GPQ-H |  |  |", "| GPQ-T |  | 0.2500 |"]
    assert "\n| GPQ-H | 1 | " in table_of("figure3").read_text()
    assert {path.name for path in Path("models/smoke/runs").glob("*/*.json")} == {"1.ckpt.json", "12bits.ckpt.json"}
    assert len(list(Path("models/smoke/runs").glob("*/1.ckpt.json"))) == 1  # of the run that is not finished

    run(monkeypatch, data_dir, "figure3", "--bits", "12", "--metric_loss=triplet")
    assert rows("figure3") == before
    stub.fate = lambda config: False
    table = table_of("figure3")
    for file in (table, table.with_suffix(".png")):
        file.unlink()
    with pytest.raises(Stopped):
        run(monkeypatch, data_dir, "figure3")
    assert table.with_suffix(".png").exists()  # a command that is stopped leaves the whole table, not a part
    assert rows("figure3") == before
    assert [config.resume for config in stub.configs] == [False] * 4 + [True]  # the last goes on with GPQ-H


def test_a_training_that_is_stopped_ends_the_loop_and_says_how_to_go_on(stub, data_dir, monkeypatch):
    stub.fate = lambda config: False
    for resume in (False, True):
        with pytest.raises(Stopped, match="stopped; the same command goes on with it"):
            run(monkeypatch, data_dir, "figure3")
        assert stub.configs.pop().resume is resume and not stub.configs


def test_what_is_finished_is_drawn_anew_without_any_training(stub, data_dir, monkeypatch):
    run(monkeypatch, data_dir, "figure3", "--metric_loss=triplet", "--total_epochs=2")
    table = table_of("figure3")
    before = table.read_text()
    (line,) = [line for line in before.splitlines() if line.startswith("Drawn by `")]
    assert line.split("`")[1] == ("python reproduce.py figure3 --draw --smoke --batch_size=10 --metric_loss=triplet "
                                  "--total_epochs=2")
    table.unlink()
    monkeypatch.setattr(sys, "argv", shlex.split(line.split("`")[1])[1:])
    reproduce.main()
    assert table.read_text() == before and len(stub.configs) == 1


def test_what_is_asked_for_limits_the_trainings_and_not_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    todo = plan("table2", {"follow": "paper"}, bits=[12], seeds=1)
    assert [(config.ImagNet_pretrained_path, config.n_bits, config.follow) for config in todo.asked] == [
        ("", 12, "paper"), ("./models/CIFAR100_pretrained.mat", 12, "paper"),
        ("./models/ImageNet_pretrained.mat", 12, "paper")]
    baselines = (len(SHALLOW) + len(DEEP)) * 4  # methods and lengths
    assert len({config for _, config in todo.places}) == 48 + 12 + 9 + 3 * baselines
    assert len({(run.row, run.column) for run, _ in todo.places}) == 16 + 4 + 6 + baselines
    assert todo.table == Path("results/table2.md") and todo.drawn_by == "python reproduce.py table2 --draw"
    todo = plan("figure5", bits=[12], seeds=2)
    assert len(todo.asked) == 3 * 2 and len({config for _, config in todo.places}) == 3 * 2 * 2
    assert todo.drawn_by == "python reproduce.py figure5 --draw --bits 12 --seeds 2"
    both = plan("table2", method=["gpq", "pqn"], bits=[12])
    assert {config.method for config in both.asked} == {"gpq", "pqn"}


def test_settings_that_make_an_experiments_runs_make_its_table():
    """Others make one of their own, and what only chooses what is trained makes none."""
    start = {"ImagNet_pretrained_path": "./models/ImageNet_taught.mat"}
    taught = plan("figure3", start)
    assert taught.table.name == "figure3-taught.md" and taught.experiment is EXPERIMENTS["figure3-taught"]
    assert plan("figure3", {"total_epochs": 20}).table.name not in ("figure3.md", plan("figure3", {
        "total_epochs": 21}).table.name)
    chosen, whole = plan("imagenet", start), plan("imagenet")
    assert (chosen.table, chosen.drawn_by) == (whole.table, whole.drawn_by) and len(chosen.asked) < len(whole.asked)
    longest = plan("table2", {"pseudo_labels": 250 * "x", "learning_rate": 0.5})
    assert len(longest.table.name) < 30
    made = plan("figure3", {"known_classes": (0, 9)}).drawn_by
    assert made.endswith("'--known_classes=[0,9]'")


@pytest.mark.parametrize("bits", [[12], [24, 48]])
def test_a_classifier_is_wanted_once_whatever_the_length(bits):
    todo = plan("table2", bits=bits, seeds=1)
    alone = [config for config in todo.asked if config.method == "classifier"]
    assert [config.ImagNet_pretrained_path for config in alone] == [
        "", "./models/CIFAR100_pretrained.mat", "./models/ImageNet_pretrained.mat"]
    assert len(todo.asked) == (5 + len(SHALLOW) + len(DEEP)) * len(bits) + 3
    assert plan("table2", bits=bits, seeds=1, method=["classifier"]).asked == alone


def test_settings_of_all_runs_make_a_table_of_their_own(stub, data_dir, monkeypatch):
    run(monkeypatch, data_dir, "figure3", "--lam_1=0", "--learning_rate=0.001", "--total_epochs=2", "--seeds", "2")
    assert [(config.lam_2, config.seed) for config in stub.configs] == [(0, 0), (0, 1)]
    table = table_of("figure3")
    assert {path.name for path in Path("results/smoke").iterdir()} == {
        f"{table.stem}{ending}" for ending in (".md", ".jsonl", ".png")} and "0.2500 ± 0.0000 (2)" in table.read_text()


def test_a_checkpoint_of_other_settings_and_a_damaged_line_are_told(stub, data_dir, monkeypatch, capsys):
    arguments = "figure3", "--metric_loss=triplet"
    run(monkeypatch, data_dir, *arguments)
    lines, (beside,) = table_of("figure3").with_suffix(".jsonl"), Path("models/smoke/runs").glob("*/*.json")
    lines.unlink()
    beside.write_text(beside.read_text().replace('"alpha": 20.0', '"alpha": 10.0'))
    with pytest.raises(UserError, match="1 of 4 runs failed"):
        run(monkeypatch, data_dir, *arguments)
    assert f"was made with other settings; remove {beside.parent} to train it again" in capsys.readouterr().err
    assert len(stub.configs) == 1 and not lines.exists()
    lines.write_text("{\n")
    with pytest.raises(UserError, match="line 1 of .*jsonl is damaged or no run .*; remove the line"):
        run(monkeypatch, data_dir, *arguments)


def test_a_run_is_found_by_what_is_in_its_files_and_not_by_their_names(stub, monkeypatch, capsys):
    """One of vectors that are others now is trained anew, and both stand in the table, each in a row of its own."""
    made_up.file(Path("v.npz"))

    def figure(name):
        monkeypatch.setattr(sys, "argv", ["reproduce.py", "figure3", f"--embeddings={name}", "--metric_loss=triplet",
                                          "--batch_size=10", "--bits", "12", "--seeds", "1"])
        reproduce.main()
        return capsys.readouterr().out

    assert "run 1 of 1: " in figure("v.npz") and "run 1 of 1" not in figure("v.npz")
    Path("v.npz").rename("w.npz")
    assert "0.2500" in figure("w.npz") and len(stub.configs) == 1
    made_up.file(Path("others.npz"), labels=np.arange(300) % 3)
    Path("others.npz").rename("v.npz")
    Path("v.split.npz").unlink()
    said = figure("v.npz")
    assert len(stub.configs) == 2 and said.count("| GPQ-T (vectors ") == 2


def test_a_smoke_test_waits_for_no_file_and_has_every_method(stub, monkeypatch):
    for what in ("table2-vectors", "wsdhq", "spq"):
        run(monkeypatch, ROOT / "cifar10" / "sample", what)
    assert {config.method for config in stub.configs} == METHODS.keys()
    table = table_of("wsdhq").read_text()
    for row in ("AQD |  | 0.2500", "SQD |  | 0.7500", "features not quantised |  | 0.5000"):
        assert f"| themes: WSDHQ, {row} |" in table
    assert {config.embeddings + config.ImagNet_pretrained_path for config in stub.configs} == {""}


def test_imagenets_rows_wait_for_their_files_and_vectors_may_be_given(stub, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "imagenet", "--bits", "12"])
    reproduce.main()
    said = capsys.readouterr().out
    assert "waits for ./models/ImageNet_taught.mat, which pretrain.py makes" in said and not stub.configs
    assert "waits for cifar10_lite0_lite2.npz, which is made by python encode.py --features_only" in said
    np.savez("mine.npz", features=made_up.vectors()[0], labels=np.arange(300) % 10, part="the sample")
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "imagenet", "--embeddings=mine.npz", "--smoke"])
    reproduce.main()
    (config,) = stub.configs
    assert (config.total_epochs, config.batch_size, config.follow) == (1, 50, "paper")
    table = table_of("imagenet").read_text()
    assert "| the vectors given | vectors " in table and "| GPQ, printed |  | 0.858 |" in table
    assert "python reproduce.py imagenet --draw --smoke " in table and "--embeddings=mine.npz" in table
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "imagenet", "--embeddings=mine.npz"])
    with pytest.raises(UserError, match="needs all of CIFAR-10, and mine.npz has the sample"):
        reproduce.main()


@pytest.mark.parametrize("arguments, said", [
    (["--lam_1=0.5"], "figure3 has no run with these settings, --lam_1=0.5; leave some out"),
    (["--method", "classifier"], "figure3 has no run with these settings, classifier; leave some out"),
    (["--seeds", "0"], "--seeds is 0; ask for 1 to 100, each of which"),
    (["--bits", "12", "48", "12"], "--bits is 12 48 12; name each length once"),
    (["--bits", "16"], "--bits is 16, but figure3 has codes of 12, 24, 32, 48 bits; ask for some of these"),
    *(([f"--{name}=1"], f"{name} is set for each run by reproduce.py; leave it out and choose by --bits and --seeds")
      for name in ("model_save_path", "model_load_path", "n_book", "bn_word", "seed")),
])
def test_mistakes_are_said(stub, data_dir, monkeypatch, arguments, said):
    with pytest.raises(UserError, match=said):
        run(monkeypatch, data_dir, "figure3", *arguments)


def test_alone_it_lists_what_there_is_and_what_the_rest_costs(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce.py"])
    reproduce.main()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    table = [line.strip("| ").split(" | ") for line in lines[2:]]
    assert [row[0] for row in table] == list(EXPERIMENTS) and table[0][2:5] == ["237", "0", "268"]
    assert dict((row[0], row[2:4]) for row in table)["table3"] == ["372", "0"]  # means have no trainings of their own
