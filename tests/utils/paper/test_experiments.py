"""Which runs make the tables and figures."""
import numpy as np
import pytest
from conftest import ROOT

from gpq import config
from gpq.utils.data import cifar10
from gpq.utils.paper import runs
from gpq.utils.paper.experiment import METHODS, SHARED
from gpq.utils.paper.experiments import EXPERIMENTS, wsdhq
from gpq.utils.paper.experiments.gpq import F_WITHOUT_TABLE3_QUERIES, KNOWN, NETWORKS, TABLE3_BASELINES, TAUGHT, figure4
from gpq.utils.settings import said_before

EVERY = [pytest.param(each, id=name) for name, each in EXPERIMENTS.items()]
OF_A_RUN = {"method", "seed", "n_book", "bn_word", "N_books", "N_words", "n_bits"}


def rows(name, bits, seeds, given=None):
    found = {}
    for run in EXPERIMENTS[name].runs(bits, seeds, {**EXPERIMENTS[name].given, **(given or {})}):
        found.setdefault(run.row, []).append(run.settings)
    return found


@pytest.mark.parametrize("method, kind", config.METHODS.items())
def test_an_experiment_states_every_setting_or_it_says_what_was_before(method, kind):
    """So that an edit of config.py changes no run."""
    stated = SHARED.keys() | METHODS[method].keys() | OF_A_RUN
    assert {name for name in runs.deciding(kind) if name not in stated and said_before(kind, name) is None} == set()
    assert SHARED.keys() | METHODS[method].keys() <= kind.model_fields.keys()


@pytest.mark.parametrize("experiment", EVERY)
def test_a_run_has_settings_of_its_method_and_the_bits_of_its_column(experiment):
    for run in experiment.runs(experiment.bits, 1, experiment.given):
        made = config.METHODS[run.settings["method"]](**run.settings)
        assert made.n_DB and (f"{made.n_bits} bits" == run.column or "entropy" in run.column or "by " in run.column)


@pytest.mark.parametrize("given", [{}, {"known_classes": (1, 2)}])
def test_protocol_2_takes_the_mean_over_three_choices_of_classes(given):
    found = rows("table3", [12, 48], 2, given)
    baselines = [found.pop(f"{method.upper()}, EfficientNet-Lite2's vectors") for method in TABLE3_BASELINES]
    *choices, mean, first, a, b, c, distilled, one, two, three, vectors = found.values()
    assert [own[0]["known_classes"] for own in choices[3:]] == list(given.values())
    assert mean == sum(choices[:3], []) and len(mean) == 3 * 2 * 2
    assert {settings["n_CLASSES"] for settings in mean} == {7}
    assert len({settings["known_classes"] for settings in mean}) == 3
    assert {settings["known_classes"] for settings in first} == {choices[0][0]["known_classes"]}
    assert distilled == a + b + c and vectors == one + two + three
    assert {settings["ImagNet_pretrained_path"] for settings in distilled} == {F_WITHOUT_TABLE3_QUERIES}
    for each in (vectors, *baselines):
        assert len(each) == len(mean) and len({settings["embeddings"] for settings in each}) == 3


def test_an_f_distilled_with_the_class_that_every_choice_knows_saw_no_query_of_table_3():
    """The commands that make it say --protocol=2 --known_classes=[6]."""
    always, = set.intersection(*map(set, KNOWN))
    assert always == 6
    seen = cifar10.load(ROOT / "cifar10" / "sample", protocol=2, known_classes=(always,)).training
    queries = [cifar10.load(ROOT / "cifar10" / "sample", protocol=2, known_classes=known).query for known in KNOWN]
    assert len(seen) > 3000 and not np.isin(np.concatenate(queries), seen).any()


@pytest.mark.parametrize("figure", ["figure1", "figure3", "figure5"])
def test_a_figure_is_of_the_f_that_is_given(figure):
    scratch, vectors, started = (rows(name, [48], 1) for name in (figure, f"{figure}-vectors", f"{figure}-taught"))
    assert vectors.keys() == started.keys() == scratch.keys() - {"GPQ-F"}
    schedule = NETWORKS[TAUGHT][1]
    for (before,), (of_vectors,), (taught,) in zip(*([each[row] for row in vectors] for each in (
            scratch, vectors, started)), strict=True):
        assert (before["ImagNet_pretrained_path"], before["follow"]) == ("", "release")
        assert of_vectors["hidden"] == (512,) and of_vectors["embeddings"] == "cifar10_lite2.npz"
        assert schedule.items() <= taught.items() and taught["ImagNet_pretrained_path"] == TAUGHT


@pytest.mark.parametrize("given, form, classification, entropy", [
    ({}, "release", "lam_2", "lam_1"), ({"follow": "paper"}, "release", "lam_1", "lam_2"),
    ({"embeddings": "v.npz"}, "paper", "lam_1", "lam_2")])
def test_figure_4_weighs_the_same_in_both_forms(given, form, classification, entropy):
    """What the release calls lam_1 is the paper's lambda_2."""
    (run,) = [run for run in figure4([12], 1, given)
              if (run.row, run.column) == ("12 bits, classification 0.001", "entropy 1")]
    assert (run.settings[classification], run.settings[entropy], run.settings["follow"]) == (0.001, 1, form)
    made = config.GPQ(**{**run.settings, **given})
    assert (made.lam_classification, made.lam_entropy) == (0.001, 1)


@pytest.mark.parametrize("name, start", [("table2", "./models/ImageNet_pretrained.mat"), ("table2-vectors", "")])
def test_what_trains_f_shares_a_start_and_a_schedule(name, start):
    found = [settings for each in rows(name, [48], 1).values() for settings in each
             if settings["method"] not in ("pq", "opq", "lopq", "itq", "sh", "sdh") and settings["decay"] == "cosine"]
    assert len({settings["method"] for settings in found}) == 10
    assert {settings["ImagNet_pretrained_path"] for settings in found} == {start}
    assert len({(each["learning_rate"], each["total_epochs"], each["hidden"], each["dropout"]) for each in found}) == 1


def test_imagenets_rows_have_seeds_and_schedules_of_their_own():
    found = list(rows("imagenet", [12, 24, 48], 5).values())
    vectors, networks, longest = found[:3], found[3:8], found[8:]
    assert [len(each) for each in vectors] == [3 * 5] * 3 and [len(each) for each in networks] == [3 * 3] * 5
    for short, longer in zip(networks, longest, strict=True):
        assert longer == [{**settings, "total_epochs": 20} for settings in (short[0], short[6])]
    assert [settings["hidden"] for settings in vectors[0][::5]] == [(), (512,), (512,)]
    assert {settings["hidden"] for settings in vectors[2]} == {()}
    assert len({settings["ImagNet_pretrained_path"] for each in networks for settings in each}) == 5
    given = rows("imagenet", [12], 1, {"embeddings": "mine.npz"})
    assert [each[0]["embeddings"] for each in given.values() if each[0]["embeddings"]] == ["mine.npz"]


def test_gpq_and_spq_side_by_side_are_of_pictures_or_of_the_same_vectors():
    on_vectors = {"embeddings": "cifar10_lite2.npz"}
    for name, same in (("both", {"embeddings": "", "protocol": 1}), ("both-vectors", on_vectors)):
        (gpq,), (spq,) = rows(name, [32], 1).values()
        assert (gpq["method"], spq["method"]) == ("gpq", "spq") and gpq["n_DB"] == spq["n_DB"] == 54_000
        assert all(same.items() <= each.items() for each in (gpq, spq))


def test_a_control_differs_from_wsdhq_in_one_setting():
    """So that its row shows what that setting does."""
    found = rows("wsdhq", [16], 1)
    for truth, controls in wsdhq.CONTROLS.items():
        (plain,) = found[f"{truth}: WSDHQ, AQD"]
        for title, changes in controls.items():
            assert found[f"{truth}: WSDHQ, {title}"] == [{**plain, **changes}]


def test_what_is_measured_of_one_training_stands_in_several_rows():
    found = rows("wsdhq", [8, 32], 2)
    aqd, sqd, features = (found[f"themes: WSDHQ, {how}"] for how in wsdhq.MEASURES)
    assert aqd == sqd == features and len(aqd) == 4


def test_all_of_a_protocol_learn_from_one_file_and_are_judged_alike():
    found = rows("compare", [32], 1)
    for protocol, (path, ranks) in wsdhq.PROTOCOLS.items():
        own = [settings for title, each in found.items() for settings in each if title.startswith(protocol)]
        assert {settings["method"] for settings in own} == {"gpq", "spq", "wsdhq"}
        assert {(each["embeddings"], each["n_DB"], each["without_hits"]) for each in own} == {(path, ranks, "zero")}
