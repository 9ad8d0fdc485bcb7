"""What surrounds a training loop refuses before it starts, and leaves things as they were."""
import json
import os
import shutil
import signal
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from config import Config
from model.tf1 import tf
from utils.data import splits
from utils.data.data import Data
from utils.errors import UserError
from utils.retrieval import evaluation
from utils.session import checkpoints, machine
from utils.training.folder import Progress, check_disk, epochs_of, newest, only_training_in, start
from utils.training.logs import interrupts, log_line, scalars, write_scalars


class Options(Config):
    """As train.py extends the settings."""

    resume: bool = False


def data_of(labels, labelled, unlabelled=()):
    """`Data` of 1-pixel images; `gallery` is `unlabelled`."""
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    labelled, unlabelled = np.array(labelled, np.int32), np.array(unlabelled, np.int32)
    return Data(images, np.array(labels), np.arange(len(labels)), np.zeros(0, np.int32), labelled, unlabelled,
                unlabelled, ("a", "b", "c"), True)


def test_one_training_in_a_folder(tmp_path):
    folder = tmp_path / "new" / "models"
    with only_training_in(folder):
        with pytest.raises(UserError, match="another training is writing to .*set another model_save_path"):
            with only_training_in(folder):
                pass
        with only_training_in(tmp_path / "other"):
            pass
    with only_training_in(folder):
        pass


def test_a_failed_training_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), only_training_in(tmp_path):
        1 / 0  # noqa: B018
    with only_training_in(tmp_path):
        pass


@pytest.mark.parametrize("inside", ["", "models"])
def test_a_file_in_place_of_the_folder(tmp_path, inside):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot be written .*set another model_save_path"):
        with only_training_in(tmp_path / "file" / inside):
            pass
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written .*set another model_save_path"):
        with only_training_in(tmp_path):
            pass


@pytest.mark.parametrize("free, enough", [(6 * 4 * 3000, True), (6 * 4 * 3000 - 1, False)])
def test_the_disk_must_hold_the_checkpoints(tmp_path, monkeypatch, free, enough):
    """Five kept ones and the one being written, of 3,000 float32."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    variables = [SimpleNamespace(shape=tf.TensorShape(shape)) for shape in ([10, 100], [2000])]
    if enough:
        check_disk(tmp_path, variables, 5)
    else:
        with pytest.raises(UserError, match="make room or set another model_save_path"):
            check_disk(tmp_path, variables, 5)


def test_a_batch_must_fit_the_data():
    splits.check_batch(5, 5, "labelled")
    with pytest.raises(UserError, match="batch_size is 6, but there are 5 unlabelled images; set batch_size to 5"):
        splits.check_batch(6, 5, "unlabelled")


def test_there_must_be_a_prototype_a_class():
    splits.check_classes(4, Config(n_CLASSES=4))
    with pytest.raises(UserError, match="n_CLASSES is 3, but the labelled images are of 4 classes; set n_CLASSES to 4"):
        splits.check_classes(4, Config(n_CLASSES=3))


def test_held_back_images_leave_training():
    labels = np.tile([0, 1, 2], 10)
    data = data_of(labels, range(3, 27), range(27, 30))
    rest, held = splits.hold_back(data, Config(n_validation=8))
    assert np.bincount(labels[held]).tolist() == [2, 2, 2]  # 8 among 3 classes
    assert sorted([*rest.labelled, *held]) == list(data.labelled)
    again, same = splits.hold_back(data, Config(n_validation=8))
    np.testing.assert_array_equal(held, same)
    np.testing.assert_array_equal(rest.labelled, again.labelled)
    np.testing.assert_array_equal(rest.unlabelled, data.unlabelled)


@pytest.mark.parametrize("n_validation", [2, 24, 1000])
def test_too_few_or_too_many_held_back(n_validation):
    data = data_of(np.tile([0, 1, 2], 8), range(24))
    with pytest.raises(UserError, match=f"n_validation is {n_validation}, but there are 24 labelled images"):
        splits.hold_back(data, Config(n_validation=n_validation))


def test_map_of_held_back_images():
    """An encoder whose features and codes are the labels finds only right ones; one that is off, none."""
    labels = np.tile([0, 1, 2], 40)
    data = data_of(labels, range(30), range(30, 120))

    def encoder_off_by(n):
        def encode(images):
            label = labels[images.ravel()]
            return np.eye(4, dtype=np.float32)[label], ((label + n) % 3).astype(np.uint8)[:, None]
        encode.codebooks = lambda: np.eye(4, dtype=np.float32)[None]
        return encode

    held = np.arange(6)
    assert evaluation.held_back_map(encoder_off_by(0), data, held, Config(n_DB=3)) == pytest.approx(1)
    assert evaluation.held_back_map(encoder_off_by(1), data, held, Config(n_DB=3)) == pytest.approx(0)


def variables_of(config):
    dimension = config.n_book * config.len_code
    with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        return [tf.get_variable("Z", [config.intn_word, dimension]),
                tf.get_variable("C", [config.n_CLASSES, dimension])]


def leave_checkpoint(session, folder, name, step, **settings):
    """A checkpoint with its JSON, as a training leaves it. Returns its variables' values."""
    config = Options(n_book=3, len_code=4, **settings)
    task = SimpleNamespace(n_batches=2, batch_size=500, epoch_steps=1, source="the sample", measure="held_back_mAP")
    variables = variables_of(config)
    session.run(tf.global_variables_initializer())
    progress = Progress(step, seconds=1.5, initial="F.mat")
    checkpoints.save(session, folder / name, checkpoints.saver(variables), progress.about(config, task))
    return session.run(variables)


def started(session, folder, source="the sample", **settings):
    """What `runs.start` makes of `folder`: the progress and the weights."""
    config = Options(n_book=3, len_code=4, ImagNet_pretrained_path=str(folder / "none.mat"), **settings)
    variables = variables_of(config)
    session.run(tf.global_variables_initializer())
    return start(session, folder, variables, config, source), session.run(variables)


def test_what_lies_beside_a_checkpoint(session, tmp_path):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20, lam_1=0.3)
    about = json.loads((tmp_path / "20.ckpt.json").read_text())
    assert (about["step"], about["epoch"], about["images"], about["data"]) == (20, 20, 20_000, "the sample")
    assert about["settings"]["lam_1"] == 0.3 and about["settings"]["n_bits"] == 12
    assert "resume" not in about["settings"] and about["device"].endswith("cores") and about["commit"]


def test_resuming_takes_the_one_that_came_furthest(session, tmp_path):
    leave_checkpoint(session, tmp_path, "100.ckpt", 100)
    leave_checkpoint(session, tmp_path, "9.ckpt", 9)
    assert newest(tmp_path) == str(tmp_path / "100.ckpt")
    weights = leave_checkpoint(session, tmp_path, "interrupted.ckpt", 105)
    leave_checkpoint(session, tmp_path, "12bits_example.ckpt", 300)  # weights alone, which cannot be resumed
    assert newest(tmp_path) == str(tmp_path / "interrupted.ckpt")
    progress, found = started(session, tmp_path, resume=True)
    assert (progress.step, progress.seconds, progress.initial) == (105, 1.5, "F.mat")
    for one, other in zip(weights, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_resuming_on_other_data(session, tmp_path):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)
    with pytest.raises(UserError, match="20.ckpt was trained on the sample and data_dir now holds all; set data_dir"):
        started(session, tmp_path, source="all", resume=True)


def test_the_checkpoints_of_epochs_are_known_by_age(session, tmp_path):
    for name in ("100.ckpt", "20.ckpt", "interrupted.ckpt", "12bits_example.ckpt"):
        leave_checkpoint(session, tmp_path, name, 1)
    assert epochs_of(tmp_path) == [tmp_path / "20.ckpt", tmp_path / "100.ckpt"]


def test_nothing_to_resume(session, tmp_path):
    assert newest(tmp_path) is None
    with pytest.raises(UserError, match="there is no checkpoint to resume in .*leave --resume out"):
        started(session, tmp_path, resume=True)


def test_a_fresh_training_does_not_mix_with_another(session, tmp_path):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)
    with pytest.raises(UserError, match="20.ckpt.*go on with it by --resume, or set another model_save_path"):
        started(session, tmp_path)


def test_a_fresh_training_beside_a_final_checkpoint(session, tmp_path, capsys):
    leave_checkpoint(session, tmp_path, "12bits_example.ckpt", 300)
    progress, _ = started(session, tmp_path)
    assert (progress.step, progress.initial) == (0, "random weights")
    assert "none.mat: training from random weights" in capsys.readouterr().out


@pytest.mark.parametrize("name, before, now", [
    ("lam_1", 0.1, 0.2), ("batch_size", 500, 100), ("seed", 0, 1), ("follow", "release", "paper"),
    ("bn_word", 4, 3), ("eval_term", 0, 5), ("learning_rate", 2e-4, 1e-3)])
def test_resuming_with_another_setting(session, tmp_path, name, before, now):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20, **{name: before})
    with pytest.raises(UserError, match=f"set {name}={before} to go on with it"):
        with tf.Graph().as_default(), tf.Session() as another:
            started(another, tmp_path, resume=True, **{name: now})


def test_resuming_a_run_that_is_older_than_a_setting(session, tmp_path):
    """What its settings lack was as it is unless somebody says otherwise."""
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)
    beside = tmp_path / "20.ckpt.json"
    about = json.loads(beside.read_text())
    del about["settings"]["augmentation"]
    beside.write_text(json.dumps(about))
    with tf.Graph().as_default(), tf.Session() as another:
        assert started(another, tmp_path, resume=True)[0].step == 20
    with pytest.raises(UserError, match="set augmentation=release to go on with it"):
        with tf.Graph().as_default(), tf.Session() as another:
            started(another, tmp_path, resume=True, augmentation="strong")


def test_a_cosine_binds_a_run_to_its_length(session, tmp_path):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20, decay="cosine")
    with pytest.raises(UserError, match="set total_epochs=300 to go on with it"):
        started(session, tmp_path, resume=True, decay="cosine", total_epochs=400)


def test_resuming_with_what_may_change(session, tmp_path):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)
    progress, _ = started(session, tmp_path, resume=True, total_epochs=7, save_term=1, n_DB=5, data_dir="a")
    assert progress.step == 20


@pytest.mark.parametrize("text", ['{"step": 2', "{}", ""])
def test_a_damaged_json(session, tmp_path, text):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)
    (tmp_path / "20.ckpt.json").write_text(text)
    with pytest.raises(UserError, match="20.ckpt.json"):
        started(session, tmp_path, resume=True)


def test_signals_only_ask():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        with interrupts(*before) as interrupted:
            assert not interrupted()
            signal.raise_signal(number)
            assert interrupted()
        assert {each: signal.getsignal(each) for each in before} == before
    with pytest.raises(ZeroDivisionError), interrupts(*before):
        1 / 0  # noqa: B018
    assert {each: signal.getsignal(each) for each in before} == before


def test_the_releases_log_line():
    values = SimpleNamespace(n_pair=np.float32(2.24234), classification=np.float32(2.36367),
                             entropy=np.float32(1.15827), total=np.float32(2.36288))
    line = log_line(3, 30, values, np.float32(1.9e-4), Config(total_epochs=40))
    assert line == ("epoch: 3/40, iter: 30 - (Batch) loss: 2.3629, hash: 2.2423, cls: 2.3637, ent: -1.1583, "
                    "lr: 0.00019")


def test_scalars_can_be_read_back(tmp_path):
    with tf.Graph().as_default(), tf.summary.FileWriter(str(tmp_path / "below")) as writer:
        write_scalars(writer, 10, total=2.5, mAP=0.25)
    assert scalars(tmp_path) == {"total": {10: 2.5}, "mAP": {10: 0.25}}


def test_the_commit_is_marked_where_code_was_changed_alone(tmp_path, monkeypatch):
    """Tables and checkpoints are tracked too, and a training rewrites them."""
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "utils" / "runs.py"))
    (tmp_path / "utils").mkdir()
    for file in ("train.py", "table.md"):
        (tmp_path / file).write_text("as committed")
    made_by = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "--quiet"], ["add", "."], [*made_by, "commit", "--quiet", "--message=first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    clean = machine.commit()
    assert len(clean) >= 4 and int(clean, 16)
    (tmp_path / "table.md").write_text("rewritten")
    assert machine.commit() == clean
    (tmp_path / "train.py").write_text("changed")
    assert machine.commit() == f"{clean}+"
    monkeypatch.setattr(machine, "__file__", "/nowhere/runs.py")
    assert machine.commit() == "unknown"
