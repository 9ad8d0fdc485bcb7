"""What surrounds a training loop refuses before it starts, and leaves things as they were."""
import hashlib
import json

import numpy as np
import pytest
from trained import SAMPLE, Options, leave_checkpoint, searching, variables_of

from gpq.model.tf1 import tf
from gpq.utils.checkpoints.runs import newest
from gpq.utils.errors import UserError
from gpq.utils.training.folder import ended, start


def started(session, folder, source=SAMPLE, **choices):
    """What `runs.start` makes of `folder`: the progress and the weights."""
    config = Options(n_book=3, len_code=4, ImagNet_pretrained_path="", **choices)
    variables = variables_of(config)
    session.run(tf.global_variables_initializer())
    return start(session, folder, variables, config, source), session.run(variables)


def test_the_f_that_a_training_starts_from_is_noted(session, tmp_path, monkeypatch):
    (tmp_path / "F.mat").write_bytes(b"one")
    monkeypatch.setattr("gpq.utils.training.folder.initialise", lambda *_: str(tmp_path / "F.mat"))
    progress, _ = started(session, tmp_path)
    assert progress.initial_sha256 == hashlib.sha256(b"one").hexdigest()


def test_what_lies_beside_a_checkpoint(session, tmp_path):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20, lam_1=0.3)
    about = json.loads((tmp_path / "20.ckpt.json").read_text())
    assert (about["step"], about["epoch"], about["images"], about["data"]["part"]) == (20, 20, 20_000, "the sample")
    assert about["settings"]["lam_1"] == 0.3 and about["settings"]["n_bits"] == 12
    assert "resume" not in about["settings"] and about["device"].endswith("cores") and about["commit"]


def test_resuming_takes_the_one_that_came_furthest(session, tmp_path):
    leave_checkpoint(session, tmp_path, "100.ckpt", 100)
    leave_checkpoint(session, tmp_path, "9.ckpt", 9)
    assert newest(tmp_path) == str(tmp_path / "100.ckpt")
    weights = leave_checkpoint(session, tmp_path, "interrupted.ckpt", 105)
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)  # weights alone, which cannot be resumed
    assert newest(tmp_path) == str(tmp_path / "interrupted.ckpt")
    progress, found = started(session, tmp_path, resume=True)
    assert (progress.step, progress.seconds, progress.initial) == (105, 1.5, "F.mat")
    for one, other in zip(weights, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_resuming_on_other_data(session, tmp_path):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)
    with pytest.raises(UserError, match="20.ckpt was trained on CIFAR-10, the sample.* and data_dir now holds CIFAR"):
        started(session, tmp_path, source=SAMPLE._replace(part="all"), resume=True)


def test_nothing_to_resume(session, tmp_path):
    assert newest(tmp_path) is None
    with pytest.raises(UserError, match="there is no checkpoint to resume in .*leave --resume out"):
        started(session, tmp_path, resume=True)


def test_a_fresh_training_does_not_mix_with_another(session, tmp_path):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)
    with pytest.raises(UserError, match="20.ckpt.*go on with it by --resume, or set another model_save_path"):
        started(session, tmp_path)


def test_a_fresh_training_beside_a_final_checkpoint(session, tmp_path, capsys):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)
    progress, _ = started(session, tmp_path)
    assert (progress.step, progress.initial) == (0, "random weights")
    assert "Training from random weights" in capsys.readouterr().out


def test_a_pretrained_f_that_is_not_there_ends_the_training(session, tmp_path):
    config = Options(n_book=3, len_code=4, ImagNet_pretrained_path="none.mat", model_save_path=str(tmp_path))
    with pytest.raises(UserError, match="there is no pretrained F at none.mat"):
        start(session, tmp_path, variables_of(config), config, SAMPLE)


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


def test_a_finished_training_is_not_trained_over(session, tmp_path):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)
    with pytest.raises(UserError, match="12bits.ckpt is a finished training's; set another model_save_path"):
        started(session, tmp_path, model_save_path=str(tmp_path))


def test_resuming_what_is_finished_says_so(session, tmp_path, capsys):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)
    config = searching(tmp_path, resume=True)
    assert ended(config, 300) and "12bits.ckpt is finished, iter 300 of 300; ask for more epochs" in (
        capsys.readouterr().out)
    assert not ended(config, 301) and not ended(searching(tmp_path), 300)
    assert not ended(searching(tmp_path, resume=True, lam_1=0.5), 300)
