"""Runs that are exported, trained by JAX, cut, damaged and imported, on the least task there is."""
import fcntl
import json
import runpy
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from conftest import arrays

from config import GPQ
from model import training
from model.networks.spatial import DIRECT
from model.tf1 import tf
from utils.accelerate.export import export
from utils.accelerate.imports import import_run
from utils.data.data import Source
from utils.errors import UserError
from utils.training.task import build, draw

pytest.importorskip("jax")


class Line:
    """The least task: a line through points, the mean brightness of an image and its label."""

    n_batches, batch_size, epoch_steps, n_steps, fits = 1, 4, 5, 25, False
    source, measure, tags_sha256 = Source("noise", "all", "0" * 64, "a generator"), "nothing", None
    images = np.random.default_rng(0).integers(0, 256, (12, 2, 2, 3), np.uint8)
    labels = np.arange(16) == np.arange(12)[:, np.newaxis]

    def indices(self, step):
        return np.random.default_rng(step).choice(12, (1, 4), replace=False)

    places = indices

    def graph(self, images, labels, step, places=None, spatial=DIRECT):
        slope, still = (tf.get_variable(name, initializer=np.float32(1)) for name in ("Z", "C"))
        brightness = tf.reduce_mean(tf.cast(images, tf.float32), [0, 2, 3, 4]) / 255
        error = slope * brightness + tf.stop_gradient(still) - tf.cast(tf.argmax(labels[0], 1), tf.float32)
        losses = Total(tf.reduce_mean(error ** 2) + 0 * tf.cast(step, tf.float32))
        return training.training_graph(losses, tf.no_op(), GPQ(learning_rate=0.1), self.n_steps)


class Total(NamedTuple):
    total: tf.Tensor


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with the exported `Line`, to be copied."""
    folder = tmp_path_factory.mktemp("exported") / "runs"
    assert export(Line(), "line", folder, GPQ(n_book=3)) == folder / "line"
    return folder


@pytest.fixture
def line(exported, tmp_path):
    """A folder with the exported `Line`."""
    return shutil.copytree(exported, tmp_path / "runs")


@pytest.fixture(scope="module")
def trained_line(exported, tmp_path_factory):
    """The same, trained as anywhere: by a process that knows nothing of the repository."""
    folder = shutil.copytree(exported, tmp_path_factory.mktemp("trained") / "runs")
    subprocess.run([sys.executable, folder / "train.py"], cwd=folder, check=True)
    return folder


@pytest.fixture
def run_training(monkeypatch, capsys):
    """run_training(folder, *names) runs an export's script: how it ended, and what it printed."""
    def run(folder, *names):
        monkeypatch.setattr(sys, "argv", ["train.py", *names])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(folder / "train.py"), run_name="__main__")
        return ended.value.code, capsys.readouterr().out
    return run


def test_a_session_ends_with_the_same_variables(trained_line):
    """All of them, Adam's moments included, after every step of a task whose rounding does not grow."""
    task = Line()
    with tf.Graph().as_default(), tf.Session() as session:
        feeds, graph = build(task)
        session.run(tf.global_variables_initializer())
        for number in range(task.n_steps):
            session.run(graph.step, dict(zip(feeds, draw(task, number), strict=True)))
        expected = session.run({v.op.name: v for v in tf.global_variables()})
    trained = arrays(trained_line / "line" / "trained.npz")
    assert trained.keys() - expected.keys() == {"step", "seconds"}
    assert {"Z", "Z/Adam", "Z/Adam_1", "beta1_power", "beta2_power", "global_step"} < expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(trained[name], value, rtol=1e-5, err_msg=name)


def test_a_run_trains_to_its_end_and_says_so(trained_line, run_training):
    run = trained_line / "line"
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [10, 20, 25]
    assert log[-1]["total"] < log[0]["total"]
    before, after = arrays(run / "initial.npz"), arrays(run / "trained.npz")
    assert after["Z"] > 2 and after["C"] == before["C"] and after["step"] == after["global_step"] == 25
    code, said = run_training(trained_line)
    assert code == 0 and said.endswith("line: finished\n")


def test_a_step_is_compiled_once(line, caplog):
    """Not again when it gets back the state that it returned."""
    import jax

    from utils.accelerate.elsewhere import Step

    run = line / "line"
    plan, about = arrays(run / "plan.npz"), json.loads((run / "about.json").read_text())
    step = Step(run, about, arrays(run / "initial.npz"))
    with jax.log_compiles():
        for number in range(3):
            step(Line.images, plan["labels"], plan["indices"][number].astype(np.int32), np.int32(number))
    assert sum("Finished XLA compilation of jit(call)" in message for message in caplog.messages) == 1


def test_a_cut_run_goes_on_where_it_stood(line, trained_line, run_training):
    """From the progress after 12 of 25 steps, the rest gives the same weights."""
    run = line / "line"
    plan = arrays(run / "plan.npz")
    np.savez(run / "plan.npz", labels=plan["labels"], indices=plan["indices"][:12])
    assert run_training(line)[0] == 0
    (run / "trained.npz").rename(run / "progress.npz")
    np.savez(run / "plan.npz", **plan)
    assert "line: iter 12 of 25" in run_training(line, "line")[1]
    cut, uncut = arrays(run / "trained.npz"), arrays(trained_line / "line" / "trained.npz")
    for name in uncut.keys() - {"seconds"}:
        np.testing.assert_array_equal(cut[name], uncut[name], name)


def test_a_run_that_is_no_longer_finite_keeps_its_progress(line, run_training):
    run = line / "line"
    values = arrays(run / "initial.npz")
    np.savez(run / "progress.npz", **{**values, "Z": np.float32(np.nan)}, step=1, seconds=0.0)
    before = (run / "progress.npz").read_bytes()
    code, said = run_training(line)
    assert code == 1 and "not finite at iter 10, stopped; lower learning_rate" in said
    assert (run / "progress.npz").read_bytes() == before and not (run / "trained.npz").exists()
    with pytest.raises(UserError, match="line is not trained to its end; run .*train.py"):
        import_run(line, line / "early.ckpt", {})


def test_a_torn_log_is_mended(line, run_training):
    run = line / "line"
    first = {"step": 10, "total": 1.0}
    (run / "log.jsonl").write_text(f'{json.dumps(first)}\n{{"step": 20, "total": 1.0}}\n{{"step": 2')
    np.savez(run / "progress.npz", **arrays(run / "initial.npz"), step=12, seconds=0.0)
    assert run_training(line, str(run))[0] == 0
    log = [json.loads(text) for text in (run / "log.jsonl").read_text().splitlines()]
    assert log[0] == first and [each["step"] for each in log] == [10, 20, 25]


def test_a_run_that_another_process_trains_is_passed_over(line, run_training):
    with open(line / "line" / "log.jsonl", "a") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        assert run_training(line)[1].endswith("line: another process trains it\n")
    assert not (line / "line" / "trained.npz").exists()


def test_an_unknown_run(line, run_training):
    assert run_training(line, "circle")[0].startswith("there is no run circle in")


def test_a_run_of_other_settings_is_refused(trained_line, tmp_path):
    with pytest.raises(UserError, match="was exported with n_book=3, and n_book=12 is asked for"):
        import_run(trained_line, tmp_path / "x.ckpt", {"n_book": 12})
    assert not list(tmp_path.iterdir())


def test_an_export_is_older_than_a_setting(trained_line, tmp_path):
    run = shutil.copytree(trained_line, tmp_path / "runs") / "line"
    about = json.loads((run / "about.json").read_text())
    del about["beside"]["settings"]["lam_u"]
    (run / "about.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match="was exported with lam_u=0.0, and lam_u=1.0 is asked for"):
        import_run(run, tmp_path / "x.ckpt", {"lam_u": 1.0})
    import_run(run, tmp_path / "x.ckpt", {"lam_u": 0.0})


def test_an_export_replaces_nothing(line):
    with pytest.raises(UserError, match="line is there already; remove it, or set another --out"):
        export(Line(), "line", line, GPQ())


def test_an_export_leaves_other_scripts_alone(tmp_path):
    (tmp_path / "train.py").write_text("mine")
    with pytest.raises(UserError, match="train.py is not of exported runs, and would be replaced"):
        export(Line(), "line", tmp_path, GPQ())
    assert (tmp_path / "train.py").read_text() == "mine"


@pytest.mark.parametrize("file, content", [("trained.npz", b"PK"), ("about.json", b'{"images'), ("about.json", b"{}")])
def test_damaged_runs(line, tmp_path, file, content):
    (line / "line" / file).write_bytes(content)
    with pytest.raises(UserError, match="line is damaged; fetch it again"):
        import_run(line / "line", tmp_path / "x.ckpt", {})


def test_an_import_to_where_nothing_can_be_written(trained_line, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="x.ckpt cannot be written .*; set another --out"):
        import_run(trained_line, tmp_path / "file" / "x.ckpt", {})


def test_folders_without_a_run_or_with_several(tmp_path):
    with pytest.raises(UserError, match="is no exported run"):
        import_run(tmp_path, tmp_path / "x.ckpt", {})
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "about.json").write_text("{}")
    with pytest.raises(UserError, match="holds the runs a, b; name one of them"):
        import_run(tmp_path, tmp_path / "x.ckpt", {})
