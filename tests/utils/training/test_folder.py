"""What surrounds a training loop refuses before it starts, and leaves things as they were."""
import hashlib
import json
import os
from types import SimpleNamespace

import numpy as np
import pytest

import train
from config import GPQ, PQ, SPQ, WSDHQ, Classifier
from model.tf1 import tf
from utils import settings
from utils.data.data import Source
from utils.errors import UserError
from utils.retrieval.encoder import made_of
from utils.session import checkpoints
from utils.training.folder import (
    Progress,
    check_use,
    chosen,
    ended,
    epochs_of,
    finished,
    newest,
    start,
)

SAMPLE = Source("CIFAR-10", "the sample", "0" * 64, "the repository's sample")
Options = settings.combined(GPQ, train.Options)


def variables_of(config):
    dimension = config.n_book * config.len_code
    with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        return [tf.get_variable("Z", [config.intn_word, dimension]),
                tf.get_variable("C", [config.n_CLASSES, dimension])]


def leave_checkpoint(session, folder, name, step, **choices):
    """A checkpoint with its JSON, as a training leaves it. Returns its variables' values."""
    config = Options(n_book=3, len_code=4, **choices)
    task = SimpleNamespace(n_batches=2, batch_size=500, epoch_steps=1, source=SAMPLE, measure="held_back_mAP",
                           tags_sha256=None)
    variables = variables_of(config)
    session.run(tf.global_variables_initializer())
    progress = Progress(step, seconds=1.5, initial="F.mat")
    checkpoints.save(session, folder / name, checkpoints.saver(variables), progress.about(config, task))
    return session.run(variables)


def started(session, folder, source=SAMPLE, **choices):
    """What `runs.start` makes of `folder`: the progress and the weights."""
    config = Options(n_book=3, len_code=4, ImagNet_pretrained_path="", **choices)
    variables = variables_of(config)
    session.run(tf.global_variables_initializer())
    return start(session, folder, variables, config, source), session.run(variables)


def test_the_f_that_a_training_starts_from_is_noted(session, tmp_path, monkeypatch):
    (tmp_path / "F.mat").write_bytes(b"one")
    monkeypatch.setattr("utils.training.folder.initialise", lambda *_: str(tmp_path / "F.mat"))
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


def test_the_checkpoints_of_epochs_are_known_by_age(session, tmp_path):
    for name in ("100.ckpt", "20.ckpt", "interrupted.ckpt", "12bits.ckpt"):
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


def searching(folder, **choices):
    return Options(n_book=3, len_code=4, model_save_path=str(folder), **choices)


def test_the_newest_finished_training_of_these_settings_is_searched_by(session, tmp_path, capsys, monkeypatch):
    """Whatever it was trained by, if a search can use it; checkpoints on the way are not finished."""
    monkeypatch.chdir(tmp_path)  # where no example lies
    assert finished(searching(tmp_path)) is None
    assert chosen(searching(tmp_path))[0] == "./models/12bits_example.ckpt"
    assert "no training of these settings is finished in" in capsys.readouterr().out
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)
    leave_checkpoint(session, tmp_path, "interrupted.ckpt", 30)
    assert finished(searching(tmp_path)) is None
    for age, name in ((20, "12bits_example.ckpt"), (10, "12bits.ckpt")):  # the first is what training left once
        leave_checkpoint(session, tmp_path, name, 300, learning_rate=0.5)
        os.utime(tmp_path / f"{name}.json", (1e9 - age, 1e9 - age))
    assert chosen(searching(tmp_path))[0] == str(tmp_path / "12bits.ckpt")
    assert f"Searching by {tmp_path / '12bits.ckpt'}, the newest finished training" in capsys.readouterr().out
    for other in ({"bn_word": 3}, {"n_CLASSES": 7}, {"protocol": 2}, {"backbone": "cnn_f"}):
        assert finished(searching(tmp_path, **other)) is None
    assert chosen(searching(tmp_path, model_load_path="a.ckpt"))[0] == "a.ckpt" and not capsys.readouterr().out


def test_a_checkpoint_that_is_removed_while_it_is_looked_for_is_none(session, tmp_path):
    """Its JSON is there when the folder is listed and gone when it is read."""
    weights = leave_checkpoint(session, tmp_path, "12bits.ckpt", 40)
    for name in "24bits", "20":
        os.symlink("gone", tmp_path / f"{name}.ckpt.json")
    assert weights and finished(searching(tmp_path)) == str(tmp_path / "12bits.ckpt") and newest(tmp_path) is None


def test_a_search_takes_the_form_that_was_trained_unless_told_otherwise(session, tmp_path, capsys):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, follow="paper", alpha=5.0)
    _, config = chosen(searching(tmp_path))
    assert (config.follow, config.alpha) == ("paper", 5.0)
    assert "follow=paper, as it was trained" in capsys.readouterr().out
    _, config = chosen(searching(tmp_path, follow="release", alpha=7.0))
    assert (config.follow, config.alpha) == ("release", 7.0)

    class Edited(Options):
        alpha: float = 7.0

    _, config = chosen(Edited(n_book=3, len_code=4, model_save_path=str(tmp_path)))
    assert (config.follow, config.alpha) == ("paper", 7.0)


def test_the_shipped_example_is_no_training_of_the_user_s(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    leave_checkpoint(session, tmp_path / "models", "12bits_example.ckpt", 300)
    config = Options(n_book=3, len_code=4)
    assert finished(config) is None and chosen(config)[0] == "./models/12bits_example.ckpt"
    assert config.final_checkpoint.name == "12bits.ckpt"  # which training writes in its place


@pytest.mark.parametrize("was, now, says", [
    ({"protocol": 2}, {}, "trained with protocol=2 and the settings say 1; set protocol=2"),
    ({"protocol": 2, "known_classes": (1, 2)}, {"protocol": 2}, r"trained with known_classes=\[1, 2\] and"),
    ({}, {"dataset": "cifar100"}, "trained with dataset=cifar10 and the settings say cifar100")])
def test_a_checkpoint_is_not_searched_by_against_its_json(session, tmp_path, was, now, says):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, **was)
    with pytest.raises(UserError, match=says):
        check_use(tmp_path / "12bits.ckpt", searching(tmp_path, **now), SAMPLE)
    check_use(tmp_path / "12bits.ckpt", searching(tmp_path, **was), SAMPLE)
    check_use(tmp_path / "12bits.ckpt", searching(tmp_path), None)  # pictures of the user's own


def test_pictures_of_ones_own_are_brought_to_the_size_that_was_trained_on(session, tmp_path):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, image_size=64)
    with pytest.raises(UserError, match="trained with image_size=64 and the settings say 32; set image_size=64"):
        check_use(tmp_path / "12bits.ckpt", searching(tmp_path), None)
    check_use(tmp_path / "12bits.ckpt", searching(tmp_path, image_size=64), None)


@pytest.mark.parametrize("kind, trained, searched, says", [
    (GPQ, {"n_book": 12, "len_code": 12}, {"n_book": 6, "len_code": 24},
     "trained with len_code=12 and n_book=12 and the settings say 24 and 6; set len_code=12 and n_book=12, or"),
    (SPQ, {}, {"N_books": 4, "L_word": 32}, "trained with L_word=16 and N_books=8 and the settings say 32 and 4;"),
    (SPQ, {}, {"variant": "spq_q"}, "trained with variant=spq and the settings say spq_q;"),
    (WSDHQ, {}, {"n_book": 2, "bn_word": 7}, "trained with bn_word=8 and n_book=4 and the settings say 7 and 2;"),
    (GPQ, {"backbone": "efficientnet_lite0"}, {"backbone": "efficientnet_lite0", "input_side": 96},
     "trained with input_side=224 and the settings say 96;"),
    (PQ, {"n_bits": 8}, {"n_bits": 16}, "trained with n_bits=8 and the settings say 16;")])
@pytest.mark.parametrize("source", [SAMPLE, None])
def test_a_checkpoint_is_not_searched_by_other_codes(tmp_path, kind, trained, searched, says, source):
    """Though its tables have as many numbers, or none that tell."""
    made = {"step": 1, "seconds": 1, "initial": "", "losses": {}, "judged": None, "data": SAMPLE._asdict(),
            "settings": kind(**trained).model_dump(mode="json")}
    (tmp_path / "a.ckpt.json").write_text(json.dumps(made))
    check_use(tmp_path / "a.ckpt", kind(**trained), source)
    with pytest.raises(UserError, match=says):
        check_use(tmp_path / "a.ckpt", kind(**searched), source)


@pytest.mark.parametrize("setting, value", [("precision", "bfloat16"), ("input_side", 96), ("image_size", 64),
                                            ("truth", "keywords")])
def test_a_database_is_of_all_that_decides_its_codes_and_labels(monkeypatch, setting, value):
    monkeypatch.setattr(checkpoints, "fingerprint", lambda *_: "f")
    data = SimpleNamespace(source=SAMPLE)
    assert made_of(GPQ(), "a.ckpt", data) != made_of(GPQ(**{setting: value}), "a.ckpt", data)


def test_a_checkpoint_of_another_method_or_other_data(session, tmp_path):
    path = tmp_path / "12bits.ckpt"
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)
    with pytest.raises(UserError, match="was trained with method=gpq and the settings say classifier"):
        check_use(path, Classifier(), SAMPLE)
    check_use(path, searching(tmp_path), SAMPLE._replace(part="all", sha256="1" * 64))  # roles are the same in both
    with pytest.raises(UserError, match="12bits.ckpt was trained on CIFAR-10, the sample.*; set data_dir as it was"):
        check_use(path, searching(tmp_path), SAMPLE._replace(sha256="1" * 64))
    check_use(tmp_path / "release.ckpt", searching(tmp_path), SAMPLE)  # no JSON lies beside it


@pytest.mark.parametrize("named", ["{0}/12bits.ckpt", "{0}/12bits.ckpt.index", "{0}/12bits.ckpt.data-00000-of-00001",
                                   "{0}/12bits.ckpt.json", "{0}", "{0}/"])
def test_a_checkpoint_is_named_by_its_files_and_its_folder(session, tmp_path, named):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)  # on the way
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)
    config = searching(tmp_path / "elsewhere", model_load_path=named.format(tmp_path))
    assert chosen(config, SAMPLE)[0] == str(tmp_path / "12bits.ckpt")


def test_a_folder_of_a_release_s_checkpoint_or_of_several(session, tmp_path):
    leave_checkpoint(session, tmp_path, "a.ckpt", 300)
    (tmp_path / "a.ckpt.json").unlink()
    assert chosen(searching(tmp_path, model_load_path=str(tmp_path)))[0] == str(tmp_path / "a.ckpt")
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, protocol=2)
    with pytest.raises(UserError, match="a folder without one finished checkpoint of these settings; set it to .*12bits"
                                        ".ckpt or .*a.ckpt"):
        chosen(searching(tmp_path, model_load_path=str(tmp_path)))


def test_resuming_what_is_finished_says_so(session, tmp_path, capsys):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)
    config = searching(tmp_path, resume=True)
    assert ended(config, 300) and "12bits.ckpt is finished, iter 300 of 300; ask for more epochs" in (
        capsys.readouterr().out)
    assert not ended(config, 301) and not ended(searching(tmp_path), 300)
    assert not ended(searching(tmp_path, resume=True, lam_1=0.5), 300)
