"""What a run keeps, costs, waits for and is found by."""
import contextlib
import hashlib
import json

import made_up
import numpy as np
import pytest
from pydantic import create_model

from gpq.config import GPQ, METHODS, SPQ, WSDHQ, Classifier
from gpq.model.tf1 import tf
from gpq.utils.base_settings import Training
from gpq.utils.errors import UserError
from gpq.utils.paper import runs
from gpq.utils.paper.experiments import EXPERIMENTS
from gpq.utils.training.logs import write_scalars

FOUND = {"mAP": 0.25, "mAP_stable": 0.25, "unquantised_mAP": 0.5, "distinct_codes": 3, "queries": 2, "gallery": 9,
         "class_mAP": {"cat": 0.25}, "ranks": [1, 9], "precision": [0.5, 0.25], "recall": [0.1, 1.0]}


def training(config, **changes):
    return {"images": 1000, "step": 10, "seconds": 2.5, "device": "NVIDIA H100", "commit": "abc", "initial": "",
            "losses": None, "data": "CIFAR-10", "settings": config.model_dump(mode="json"), **changes}


def finished(config, **changes):
    return runs.finished(config, training(config, **changes), FOUND, "python reproduce.py x")


def test_a_step_of_a_classifier_costs_one_batch():
    assert runs.cost([Classifier()])[0] == runs.cost([GPQ()])[0] / 2 == pytest.approx(2.574)


def test_a_step_of_a_method_with_tags_costs_one_batch():
    one = WSDHQ(iterations=10, batch_size=100, backbone="alexnet")
    assert runs.cost([one])[0] == pytest.approx(runs.pflop(1000, one)) and runs.cost([one])[0] > 0


def test_a_step_of_spq_costs_two_views():
    """59,000 images of protocol 1, 50,000 of SPQ's own without the 500 that are held back, seen twice an epoch, in
    whole batches."""
    first, second = 59_000 // 256 * 256, 49_500 // 256 * 256
    one, own = (runs.cost([SPQ(**settings)])[0] for settings in ({"protocol": 1, "eval_term": 0}, {}))
    assert one / own == pytest.approx(first / second)
    assert own == pytest.approx(second * 206 * 2 * runs.pflop(1, SPQ()) / 2) and 60 < own < 75


def test_cost_of_the_releases_schedule():
    assert runs.pflop(3_000_000, GPQ()) == pytest.approx(5.148)


def test_a_run_keeps_what_its_f_started_from(tmp_path):
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
        assert finished(config, **changes).start == start


def test_a_run_comes_back_as_it_was_kept_and_the_same_is_kept_once(tmp_path):
    path, config = tmp_path / "results" / "a.jsonl", GPQ(n_book=3)
    assert runs.read(path) == []
    one, other = finished(config), finished(GPQ(n_book=6))
    runs.keep(path, one, other)
    runs.keep(path, one)
    assert runs.read(path) == [one, other] and len(path.read_text().splitlines()) == 2
    assert one.evaluation.mAP == 0.25 and one.PFLOP == pytest.approx(1.716e-3, abs=1e-4)
    assert one.training.commit == "abc" and "data_dir" not in one.settings


@pytest.mark.parametrize("change, found", [
    ({}, True), ({"data_dir": "elsewhere", "save_term": 1}, True), ({"n_book": 6}, False), ({"total_epochs": 7}, False),
    ({"n_DB": 9}, False), ({"seed": 1}, False), ({"embeddings": "v.npz"}, False)])
def test_a_run_is_found_by_all_settings_that_decide_its_numbers(change, found):
    one = finished(GPQ(n_book=3, ImagNet_pretrained_path=""))
    assert runs.same(one, GPQ(**{"n_book": 3, "ImagNet_pretrained_path": "", **change})) == found


def test_a_setting_that_comes_later_or_another_default_leaves_a_run_where_it_is(monkeypatch):
    one = finished(GPQ(ImagNet_pretrained_path=""))
    asked = {**one.settings}
    later = create_model("GPQ", __base__=GPQ, alpha=(Training[float], 3.0), new=(Training[int], 4))
    monkeypatch.setitem(METHODS, "gpq", later)
    assert runs.same(one.model_copy(), later(**asked))
    assert not runs.same(one.model_copy(), later(**{**asked, "new": 5}))
    assert not runs.same(one.model_copy(), later(**{**asked, "alpha": 3.0}))


def test_a_run_is_of_what_is_in_its_files_whatever_they_are_called(tmp_path):
    """One that does not say what was in them is of none that is here; so is one whose data are others."""
    f = tmp_path / "F.mat"
    f.write_bytes(b"one")
    config = GPQ(ImagNet_pretrained_path=str(f))
    said = {"initial": str(f), "initial_sha256": hashlib.sha256(b"one").hexdigest()}
    one, older = finished(config, **said), finished(config, initial=str(f))
    here = runs.Inputs(said["initial_sha256"], None)
    assert runs.same(one, config) and here.agree(one.inputs) and not here.agree(older.inputs)
    other = GPQ(ImagNet_pretrained_path=str(f.rename(tmp_path / "G.mat")))
    assert runs.same(one, other) and not runs.same(older, other)
    assert runs.same(older, config)  # by its name, where no such file is here
    assert runs.inputs_here(other)[0] == said["initial_sha256"] and one.id != older.id
    vectors = tmp_path / "v.npz"
    made_up.file(vectors)
    data = runs.inputs_here(GPQ(embeddings=str(vectors))).data
    one = finished(GPQ(embeddings="u.npz", n_CLASSES=3), data={"name": "embeddings", "sha256": data})
    assert runs.same(one, GPQ(embeddings=str(vectors), n_CLASSES=3))


def test_a_run_keeps_the_curves_of_a_training_that_was_killed_and_resumed(tmp_path):
    config = GPQ(model_save_path=str(tmp_path))
    for number, (first, last, loss) in enumerate([(1, 80, 4.0), (61, 120, 2.0)]):
        with contextlib.closing(tf.summary.FileWriter(str(tmp_path / "logs"), filename_suffix=f".{number}")) as writer:
            for step in range(first, last + 1):
                write_scalars(writer, step, total=loss)
    killed = next((tmp_path / "logs").glob("*.0"))
    killed.write_bytes(killed.read_bytes()[:-7])
    steps, values = finished(config).curves["total"]
    assert steps == [1.5 + 2 * k for k in range(60)]
    assert values == [4.0] * 30 + [2.0] * 30


@pytest.mark.parametrize("keys, value", [
    (("training", "seconds"), None), (("training", "step"), -5), (("training", "initial"), [1]), (("settings",), []),
    (("evaluation", "mAP"), None), (("evaluation", "mAP"), "x"), (("evaluation", "recall"), [0.5]),
    (("evaluation", "ranks"), {"a": 1}), (("curves",), None), (("curves",), {"total": [[1, 2], [3.0]]})])
def test_a_line_that_lacks_something_or_has_another_type_is_told(tmp_path, keys, value):
    path = tmp_path / "a.jsonl"
    runs.keep(path, finished(GPQ()))
    kept = at = json.loads(path.read_text())
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    path.write_text(json.dumps(kept))
    with pytest.raises(UserError, match="line 1 of .*a.jsonl is damaged or no run .*; remove the line to"):
        runs.read(path)


def test_a_run_waits_for_tags_photographs_and_the_lists_of_its_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def waits(title):
        (run,) = [run for run in EXPERIMENTS["wsdhq"].runs([32], 1, {}) if run.row.startswith(title)]
        return runs.missing_input(METHODS[run.settings["method"]](**run.settings))

    assert waits("themes: WSDHQ of the photographs, its last") == "corel5k/images.tar, which has Corel5k's photographs"
    assert waits("themes: WSDHQ, random orthogonal").startswith("corel5k.npz, which is made by")
    np.savez("corel5k.npz")
    assert waits("themes: WSDHQ, random orthogonal") == (
        "corel5k_orthogonal.npz, which python -m utils.data.tags makes, as docs/wsdhq.md says")
    np.savez("corel5k_orthogonal.npz")
    assert waits("themes: WSDHQ, random orthogonal") is None
    assert waits("Flickr25K") == "data/flickr25k, the files of WSDHQ's released program"
    (tmp_path / "data" / "flickr25k").mkdir(parents=True)
    assert waits("Flickr25K") == "alexnet.npy, which its authors made"
