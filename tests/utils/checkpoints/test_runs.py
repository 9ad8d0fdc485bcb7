"""What training wrote beside a checkpoint is read whole or refused, and says what can be searched by it."""
import json
import os
from types import SimpleNamespace

import pytest
from conftest import ROOT
from damage import mutations, sentence
from trained import SAMPLE, Options, leave_checkpoint, searching

from gpq import Demo
from gpq.config import GPQ, PQ, SPQ, WSDHQ, Classifier
from gpq.utils.checkpoints import pretrained, runs, store
from gpq.utils.checkpoints.runs import check_source, chosen, epochs_of, finished, newest
from gpq.utils.errors import UserError
from gpq.utils.retrieval.encoder import made_of
from gpq.utils.settings import from_command_line

GOOD = json.loads((ROOT / "models" / "48bits_example.ckpt.json").read_text())


@pytest.mark.parametrize("change", [
    {"step": -5}, {"step": 3.5}, {"step": "x"}, {"seconds": "x"}, {"data": None}, {"data": 5}, {"data": {}},
    {"data": {**GOOD["data"], "x": 1}}, {"data": {**GOOD["data"], "sha256": ["a"]}}, {"initial": [1]}, {"losses": []},
    {"settings": {**GOOD["settings"], "follow": "nope"}}, {"settings": {**GOOD["settings"], "alpha": "x"}},
    {"settings": {**GOOD["settings"], "method": "nope"}}, {"settings": 3}])
def test_what_training_never_wrote_is_refused(tmp_path, change):
    (tmp_path / "a.ckpt.json").write_text(json.dumps({**GOOD, **change}))
    (name, value), = change.items()
    assert name in (said := sentence(lambda: runs.read(tmp_path / "a.ckpt.json"))) and "move it and its" in said


def test_what_is_unknown_or_older_is_left_alone(tmp_path):
    older = {**GOOD, "data": "CIFAR-10, the sample", "settings": {**GOOD["settings"], "once": 1}, "more": None}
    del older["judged"], older["commit"], older["settings"]["backbone"]
    (tmp_path / "a.ckpt.json").write_text(json.dumps(older))
    assert runs.read(tmp_path / "a.ckpt.json") == older


def test_any_mutation_is_one_sentence_or_of_the_model(tmp_path):
    path = tmp_path / "a.ckpt.json"
    for content in mutations(json.dumps(GOOD).encode(), 200):
        path.write_bytes(content)
        try:
            found = runs.read(path)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert found["step"] >= 0 and isinstance(found["settings"], dict)


def test_files_that_say_they_come_of_each_other_end(tmp_path):
    for name, of in (("A", "B"), ("B", "A")):
        (tmp_path / f"{name}.mat.json").write_text(json.dumps({**GOOD, "initial": str(tmp_path / f"{of}.mat")}))
    assert pretrained.provenance(str(tmp_path / "A.mat")).startswith("A.mat, of which no more is known, then ")


def test_the_checkpoints_of_epochs_are_known_by_age(session, tmp_path):
    for name in ("100.ckpt", "20.ckpt", "interrupted.ckpt", "12bits.ckpt"):
        leave_checkpoint(session, tmp_path, name, 1)
    assert epochs_of(tmp_path) == [tmp_path / "20.ckpt", tmp_path / "100.ckpt"]


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
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, follow="paper", alpha=5.0, precision="bfloat16")
    _, config = chosen(searching(tmp_path))
    assert (config.follow, config.alpha, config.precision) == ("paper", 5.0, "float32")
    assert "follow=paper, as it was trained" in capsys.readouterr().out
    _, config = chosen(searching(tmp_path, follow="release", alpha=7.0))
    assert (config.follow, config.alpha) == ("release", 7.0)


@pytest.mark.parametrize("trained", [
    {"backbone": "cnn_f"}, {"n_CLASSES": 7}, {"image_size": 64}, {"backbone": "efficientnet_lite0", "input_side": 96},
    {"embeddings": "v.npz", "hidden": (64,), "n_CLASSES": 3}])
def test_nobody_repeats_what_the_checkpoint_knows(session, tmp_path, trained, capsys):
    """But for the data that are searched, and the code length."""
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, **trained)
    given = {name: value for name, value in trained.items() if name == "embeddings"}
    for more in ({}, {"model_load_path": str(tmp_path)}):
        path, config = chosen(GPQ(n_book=3, model_save_path=str(tmp_path), **given, **more))
        assert path == str(tmp_path / "12bits.ckpt") and "as it was trained" in capsys.readouterr().out
        assert {name: getattr(config, name) for name in trained} == trained and config.len_code == 4


def test_a_named_checkpoint_says_its_method(session, tmp_path):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)
    about = json.loads((tmp_path / "12bits.ckpt.json").read_text())
    about["settings"] = SPQ(N_books=4).model_dump(mode="json")
    (tmp_path / "12bits.ckpt.json").write_text(json.dumps(about))
    named = f"--model_load_path={tmp_path}/12bits.ckpt"
    config = chosen(from_command_line(Demo.Options, [named, "--query=3"]))[1]
    assert (config.method, config.N_books, config.backbone, config.query) == ("spq", 4, "resnet18", 3)
    for given in ["--method=gpq"], ["--n_book=12"]:
        with pytest.raises(UserError, match="was trained with method=spq and the settings say gpq"):
            chosen(from_command_line(Demo.Options, [named, *given]))


def test_what_contradicts_the_only_training_is_said(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no example lies
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, embeddings="v.npz", n_CLASSES=3)
    with pytest.raises(UserError, match="12bits.ckpt was trained with n_CLASSES=3 and the settings say 9; set n_CLASS"):
        chosen(searching(tmp_path, embeddings="v.npz", n_CLASSES=9))


def test_a_named_checkpoint_says_its_data_and_code_length(session, tmp_path):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, protocol=2, known_classes=(1, 2))
    config = chosen(GPQ(model_load_path=str(tmp_path / "12bits.ckpt")))[1]
    assert (config.protocol, config.known_classes, config.n_bits) == (2, (1, 2), 12)
    assert finished(GPQ(n_book=3, model_save_path=str(tmp_path))) is None  # for data that were not asked for
    with pytest.raises(UserError, match="trained with dataset=cifar10 and the settings say embeddings"):
        chosen(GPQ(model_load_path=str(tmp_path / "12bits.ckpt"), embeddings="v.npz"))


def test_the_shipped_example_is_no_training_of_the_user_s(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    leave_checkpoint(session, tmp_path / "models", "12bits_example.ckpt", 300)
    config = Options(n_book=3, len_code=4)
    assert finished(config) is None and chosen(config)[0] == "./models/12bits_example.ckpt"
    assert config.final_checkpoint.name == "12bits.ckpt"  # which training writes in its place


@pytest.mark.parametrize("was, now, says", [
    ({"protocol": 2}, {"protocol": 1}, "trained with protocol=2 and the settings say 1; set protocol=2"),
    ({"protocol": 2, "known_classes": (1, 2)}, {"protocol": 2, "known_classes": (1, 3)},
     r"trained with known_classes=\[1, 2\] and"),
    ({}, {"dataset": "cifar100"}, "trained with dataset=cifar10 and the settings say cifar100")])
def test_a_checkpoint_is_not_searched_by_against_its_json(session, tmp_path, was, now, says):
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, **was)
    with pytest.raises(UserError, match=says):
        chosen(searching(tmp_path, model_load_path=str(tmp_path / "12bits.ckpt"), **now))
    chosen(searching(tmp_path, model_load_path=str(tmp_path / "12bits.ckpt"), **was))


@pytest.mark.parametrize("kind, trained, searched, says", [
    (GPQ, {"n_book": 12, "len_code": 12}, {"n_book": 6, "len_code": 24},
     "trained with len_code=12 and n_book=12 and the settings say 24 and 6; set len_code=12 and n_book=12, or"),
    (SPQ, {}, {"N_books": 4, "L_word": 32}, "trained with L_word=16 and N_books=8 and the settings say 32 and 4;"),
    (SPQ, {}, {"variant": "spq_q"}, "trained with variant=spq and the settings say spq_q;"),
    (GPQ, {"image_size": 64}, {"image_size": 32}, "trained with image_size=64 and the settings say 32;"),
    (GPQ, {"embeddings": "v", "n_CLASSES": 50}, {"embeddings": "v", "n_CLASSES": 10},
     "trained with n_CLASSES=50 and the settings say 10;"),
    (GPQ, {"dataset": "corel5k", "truth": "keywords"}, {"dataset": "corel5k", "n_CLASSES": 50},
     "trained with n_CLASSES=10 and the settings say 50;"),
    (WSDHQ, {}, {"n_book": 2, "bn_word": 7}, "trained with bn_word=8 and n_book=4 and the settings say 7 and 2;"),
    (GPQ, {"backbone": "efficientnet_lite0"}, {"backbone": "efficientnet_lite0", "input_side": 96},
     "trained with input_side=224 and the settings say 96;"),
    (PQ, {"n_bits": 8}, {"n_bits": 16}, "trained with n_bits=8 and the settings say 16;")])
def test_a_checkpoint_is_not_searched_by_other_codes(tmp_path, kind, trained, searched, says):
    """Though its tables have as many numbers, or none that tell."""
    made = {"step": 1, "seconds": 1, "initial": "", "losses": {}, "judged": None, "data": SAMPLE._asdict(),
            "settings": kind(**trained).model_dump(mode="json")}
    (tmp_path / "a.ckpt.json").write_text(json.dumps(made))
    named = str(tmp_path / "a.ckpt")
    chosen(kind(**trained, model_load_path=named))
    with pytest.raises(UserError, match=says):
        chosen(kind(**searched, model_load_path=named))


@pytest.mark.parametrize("setting, value", [("precision", "bfloat16"), ("input_side", 96), ("image_size", 64),
                                            ("truth", "keywords")])
def test_a_database_is_of_all_that_decides_its_codes_and_labels(monkeypatch, setting, value):
    monkeypatch.setattr(store, "fingerprint", lambda *_: "f")
    data = SimpleNamespace(source=SAMPLE)
    assert made_of(GPQ(), "a.ckpt", data) != made_of(GPQ(**{setting: value}), "a.ckpt", data)


def test_a_checkpoint_of_another_method_or_other_data(session, tmp_path):
    path = tmp_path / "12bits.ckpt"
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)
    with pytest.raises(UserError, match="was trained with method=gpq and the settings say classifier"):
        chosen(Classifier(model_load_path=str(path)))
    check_source(path, SAMPLE._replace(part="all", sha256="1" * 64))  # roles are the same in both
    with pytest.raises(UserError, match="12bits.ckpt was trained on CIFAR-10, the sample.*; set data_dir as it was"):
        check_source(path, SAMPLE._replace(sha256="1" * 64))
    check_source(tmp_path / "release.ckpt", SAMPLE)  # no JSON lies beside it


@pytest.mark.parametrize("named", ["{0}/12bits.ckpt", "{0}/12bits.ckpt.index", "{0}/12bits.ckpt.data-00000-of-00001",
                                   "{0}/12bits.ckpt.json", "{0}", "{0}/"])
def test_a_checkpoint_is_named_by_its_files_and_its_folder(session, tmp_path, named):
    leave_checkpoint(session, tmp_path, "20.ckpt", 20)  # on the way
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300)
    config = searching(tmp_path / "elsewhere", model_load_path=named.format(tmp_path))
    assert chosen(config)[0] == str(tmp_path / "12bits.ckpt")


def test_a_folder_of_a_release_s_checkpoint_or_of_several(session, tmp_path):
    leave_checkpoint(session, tmp_path, "a.ckpt", 300)
    (tmp_path / "a.ckpt.json").unlink()
    assert chosen(searching(tmp_path, model_load_path=str(tmp_path)))[0] == str(tmp_path / "a.ckpt")
    leave_checkpoint(session, tmp_path, "12bits.ckpt", 300, protocol=2)
    assert chosen(searching(tmp_path, model_load_path=str(tmp_path)))[0] == str(tmp_path / "12bits.ckpt")
    with pytest.raises(UserError, match="a folder without one finished checkpoint of these settings; set it to .*12bits"
                                        ".ckpt or .*a.ckpt"):
        chosen(searching(tmp_path, model_load_path=str(tmp_path), protocol=1))
