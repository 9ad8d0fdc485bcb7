"""What a cell is called, costs and keeps."""
import contextlib
import hashlib
import json

import made_up
import numpy as np
import pytest

from config import GPQ, SPQ, Classifier
from model.tf1 import tf
from utils.data import embeddings
from utils.errors import UserError
from utils.paper import cells
from utils.training.logs import write_scalars


@pytest.mark.parametrize("settings, name", [
    ({}, "48bits-seed0"),
    ({"n_book": 3, "seed": 2, "data_dir": "anywhere"}, "12bits-seed2"),
    ({"n_DB": 1000}, "48bits-seed0-n_DB_1000"),
    ({"follow": "release", "lam_1": 0.1}, "48bits-seed0"),
    ({"follow": "paper", "lam_1": 0.0, "n_book": 6}, "24bits-seed0-follow_paper-lam_1_0"),
    ({"ImagNet_pretrained_path": "./models/F.mat"}, "48bits-seed0-ImagNet_pretrained_path_F"),
    ({"ImagNet_pretrained_path": ""}, "48bits-seed0-ImagNet_pretrained_path_none"),
    ({"known_classes": (1, 2, 9), "total_epochs": 20}, "48bits-seed0-known_classes_129-total_epochs_20"),
])
def test_a_name_tells_what_is_unusual(settings, name):
    assert cells.name(cells.configured(GPQ, settings)) == name


def test_the_name_of_another_method_begins_with_it():
    assert cells.name(cells.configured(Classifier, {"seed": 2, "batch_size": 100})) == "classifier-seed2-batch_size_100"


@pytest.mark.parametrize("kind, given, arguments", [
    (GPQ, {}, ""), (Classifier, {"seed": 3}, " --method=classifier --seed=3"),
    (GPQ, {"known_classes": (0, 9), "protocol": 2, "ImagNet_pretrained_path": ""},
     " --ImagNet_pretrained_path= '--known_classes=[0,9]' --protocol=2"),
    (GPQ, {"data_dir": "/elsewhere", "save_term": 3, "ImagNet_pretrained_path": "a b"},
     " '--ImagNet_pretrained_path=a b'"),
    (GPQ, {"decay": "cosine", "decay_steps": 20, "n_validation": 100}, " --decay=cosine"),
    (GPQ, {"n_validation": 100, "eval_term": 2}, " --eval_term=2 --n_validation=100")])
def test_a_command_tells_what_is_unusual_and_has_an_effect(kind, given, arguments):
    assert cells.command(cells.configured(kind, given)) == f"python train.py{arguments}"


def test_a_step_of_a_classifier_costs_one_batch():
    assert cells.cost([Classifier()])[0] == cells.cost([GPQ()])[0] / 2 == pytest.approx(2.574)


def test_spqs_name_does_not_meet_gpqs():
    settings = {"N_books": 16, "N_words": 16, "bn_after_eval": "train"}
    assert cells.name(cells.configured(SPQ, settings)) == "spq-64bits-seed0-bn_after_eval_train"


def test_a_step_of_spq_costs_two_views():
    """59,000 images of protocol 1, 50,000 of SPQ's own without the 500 that are held back, seen twice an epoch, in
    whole batches."""
    first, second = 59_000 // 256 * 256, 49_500 // 256 * 256
    one, own = (cells.cost([SPQ(**settings)])[0] for settings in ({"protocol": 1, "eval_term": 0}, {}))
    assert one / own == pytest.approx(first / second)
    assert own == pytest.approx(second * 206 * 2 * cells.pflop(1, SPQ()) / 2) and 60 < own < 75


def test_cost_of_the_releases_schedule():
    assert cells.pflop(3_000_000, GPQ()) == pytest.approx(5.148)


FOUND = {"mAP": 0.25, "mAP_stable": 0.25, "unquantised_mAP": 0.5, "distinct_codes": 3, "queries": 2, "gallery": 9,
         "class_mAP": {"cat": 0.25}, "ranks": [1, 9], "precision": [0.5, 0.25], "recall": [0.1, 1.0]}


def training(config):
    return {"images": 1000, "step": 10, "seconds": 2.5, "device": "NVIDIA H100", "commit": "abc", "initial": "",
            "losses": None, "data": "CIFAR-10", "settings": config.model_dump(mode="json")}


def test_a_cell_keeps_what_its_f_started_from(tmp_path):
    """The whole way of a pretrained F, the vectors' file, or nothing."""
    for name, before, taught, images in (("A", "random weights", {}, 300_000),
                                         ("S", str(tmp_path / "A.mat"), {"soft_labels": "s"}, 5),
                                         ("B", str(tmp_path / "S.mat"), {"pseudo_labels": "p"}, 10)):
        about = {**training(GPQ()), "images": images, "data": "CIFAR-100", "settings": taught, "initial": before}
        (tmp_path / f"{name}.mat.json").write_text(json.dumps(about))
    origin = "v.npz, float16 [6, 2]"
    for config, changes, start in (
            (GPQ(ImagNet_pretrained_path=str(tmp_path / "B.mat")), {"initial": str(tmp_path / "B.mat")},
             "300,000 looks at CIFAR-100, then 5 looks at CIFAR-100 with a teacher's probabilities, then 10 looks at "
             "CIFAR-100 with pseudo-labels"),
            (GPQ(ImagNet_pretrained_path="C.mat"), {"initial": "C.mat"}, "C.mat, of which no more is known"),
            (GPQ(), {"initial": "random weights"}, "random weights"),
            (GPQ(embeddings="v.npz"), {"data": {"name": "embeddings", "origin": origin}}, f"the vectors {origin}")):
        cells.save(tmp_path / "c.json", config, {**training(config), **changes}, {}, "python reproduce.py x")
        assert json.loads((tmp_path / "c.json").read_text())["start"] == start


def test_a_cell_comes_back_only_for_the_same_settings(tmp_path):
    path, folder = tmp_path / "results" / "a.json", tmp_path / "models" / "cells" / "a"
    config = GPQ(n_book=3, model_save_path=str(folder))
    assert cells.load(path, config) is None
    cells.save(path, config, training(config), FOUND, "python reproduce.py x")
    kept = cells.load(path, config)
    assert kept["evaluation"] == FOUND and kept["PFLOP"] == pytest.approx(1.716e-3, abs=1e-4)
    assert kept["command"] == "python reproduce.py x"
    assert kept["commit"] == "abc" and kept["hardware"] == "NVIDIA H100"  # those of the training
    assert cells.load(path, GPQ(n_book=3, data_dir="elsewhere", save_term=1)) == kept
    for other in ({"n_book": 6}, {"n_book": 3, "total_epochs": 7}, {"n_book": 3, "n_DB": 9}):
        with pytest.raises(UserError, match=f"a.json was made with .*; remove {path} to make it again, or set"):
            cells.load(path, GPQ(**other, model_save_path=str(folder)))
    path.write_text("{")
    with pytest.raises(UserError, match="a.json is damaged or no result .*; remove it to make it again"):
        cells.load(path, config)


def test_what_a_cell_of_other_settings_was_made_from_must_go_too(tmp_path):
    path, folder = tmp_path / "a.json", tmp_path / "models" / "cells" / "a"
    config = GPQ(model_save_path=str(folder))
    cells.save(path, config, training(config), FOUND, "")
    other = config.model_copy(update={"alpha": 1.0})
    folder.mkdir(parents=True)
    beside = folder / "48bits_example.ckpt.json"
    beside.write_text(json.dumps(training(config)))
    assert cells.load(beside, config) == training(config)
    for file, places in ((path, f"{path} and {folder} to"), (beside, f"{folder} to")):
        with pytest.raises(UserError, match=f"{file} was made with alpha=20.0 and .* 1.0; remove {places} make"):
            cells.load(file, other)


def test_a_cell_of_another_f_or_other_vectors_of_the_same_name_is_none(tmp_path):
    """One that does not say of which, as older ones, counts by the name; so does one whose file is not there."""
    f, vectors = tmp_path / "F.mat", tmp_path / "v.npz"
    f.write_bytes(b"one")
    made_up.file(vectors)
    of_f, of_vectors = GPQ(ImagNet_pretrained_path=str(f)), GPQ(embeddings=str(vectors), n_CLASSES=3)
    of_one = {"initial": str(f), "initial_sha256": hashlib.sha256(b"one").hexdigest()}
    kept = {"f": (of_f, of_one), "older": (of_f, {"initial": str(f)}),
            "vectors": (of_vectors, {"data": embeddings.load(str(vectors)).source._asdict()})}
    for name, (config, said) in kept.items():
        cells.save(tmp_path / f"{name}.json", config, {**training(config), **said}, FOUND, "")
        assert cells.load(tmp_path / f"{name}.json", config)

    f.write_bytes(b"another")
    made_up.file(tmp_path / "others.npz", labels=np.arange(300) % 3)
    (tmp_path / "others.npz").rename(vectors)
    vectors.with_suffix(".split.npz").unlink()
    for name, file in (("f", f), ("vectors", vectors)):
        path = tmp_path / f"{name}.json"
        with pytest.raises(UserError, match=f"{path} was made of another {file} than is there now.* remove {path}"):
            cells.load(path, kept[name][0])
    older = cells.load(tmp_path / "older.json", of_f)
    assert cells.noted(older["training"]) == [("ImagNet_pretrained_path", None)]
    f.unlink()
    assert cells.load(tmp_path / "f.json", of_f)


def test_a_cell_keeps_the_curves_of_a_training_that_was_killed_and_resumed(tmp_path):
    config = GPQ(model_save_path=str(tmp_path))
    for number, (first, last, loss) in enumerate([(1, 80, 4.0), (61, 120, 2.0)]):
        with contextlib.closing(tf.summary.FileWriter(str(tmp_path / "logs"), filename_suffix=f".{number}")) as writer:
            for step in range(first, last + 1):
                write_scalars(writer, step, total=loss)
    killed = next((tmp_path / "logs").glob("*.0"))
    killed.write_bytes(killed.read_bytes()[:-7])
    cells.save(tmp_path / "a.json", config, training(config), {}, "")
    steps, values = json.loads((tmp_path / "a.json").read_text())["curves"]["total"]
    assert steps == [1.5 + 2 * k for k in range(60)]
    assert values == [4.0] * 30 + [2.0] * 30


@pytest.mark.parametrize("keys, value", [
    (("training", "seconds"), None), (("training", "step"), -5), (("training", "initial"), [1]),
    (("training", "data"), {}),
    (("training", "settings", "follow"), "nope"), (("training", "settings"), []), (("evaluation", "mAP"), None),
    (("evaluation", "mAP"), "x"), (("evaluation", "recall"), [0.5]), (("evaluation", "ranks"), {"a": 1}),
    (("curves",), None), (("curves",), {"total": [[1, 2], [3.0]]}), (("hardware",), None)])
def test_a_cell_that_lacks_something_or_has_another_type_is_damaged(tmp_path, keys, value):
    path, config = tmp_path / "a.json", GPQ(n_book=3, model_save_path=str(tmp_path / "a"))
    cells.save(path, config, training(config), FOUND, "")
    kept = at = json.loads(path.read_text())
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    path.write_text(json.dumps(kept))
    with pytest.raises(UserError, match="a.json is damaged or no result"):
        cells.load(path, config)
