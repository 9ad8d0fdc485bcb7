"""Which cells make the tables and figures."""
import numpy as np
import pytest
from conftest import ROOT

import config
from utils.data import cifar10
from utils.errors import UserError
from utils.paper.baselines import DEEP, NUS_WIDE_FILES, SHALLOW, SSGAH, TABLE3, WHOSE
from utils.paper.checks import check_bits
from utils.paper.experiments import EXPERIMENTS, figure1, figure3, figure4, figure5, imagenet, table2, table3
from utils.paper.rows import HIDDEN, KNOWN, NETWORKS, SPARED
from utils.paper.self_supervised import both


@pytest.mark.parametrize("given", [{}, {"known_classes": (1, 2)}])
def test_protocol_2_takes_the_mean_over_three_choices_of_classes(given):
    listed = table3([12, 48], 2, given)
    rows = {}
    for cell in listed:
        rows.setdefault(cell.row, []).append(cell.settings)
    baselines = [rows.pop(f"{method.upper()}, EfficientNet-Lite2's vectors") for method in TABLE3 if method != "ssgah"]
    *choices, mean, first, a, b, c, distilled, one, two, three, vectors = rows.values()
    assert [own[0]["known_classes"] for own in choices[3:]] == list(given.values())
    assert mean == sum(choices[:3], []) and len(mean) == 3 * 2 * 2
    assert {settings["n_CLASSES"] for settings in mean} == {7}
    assert len({settings["known_classes"] for settings in mean}) == 3
    assert {settings["known_classes"] for settings in first} == {choices[0][0]["known_classes"]}
    assert all(settings in distilled for settings in a + b + c)
    assert all(settings in vectors for settings in one + two + three)
    assert distilled == [{**settings, "ImagNet_pretrained_path": SPARED} for settings in mean]
    for each in (vectors, *baselines):
        assert len(each) == len(mean) and len({settings["embeddings"] for settings in each}) == 3


def test_an_f_distilled_with_the_class_that_every_choice_knows_saw_no_query_of_table_3():
    """The commands that make it say --protocol=2 --known_classes=[6]."""
    always, = set.intersection(*map(set, KNOWN))
    assert always == 6
    seen = cifar10.load(ROOT / "cifar10" / "sample", protocol=2, known_classes=(always,)).training
    queries = [cifar10.load(ROOT / "cifar10" / "sample", protocol=2, known_classes=known).query for known in KNOWN]
    assert len(seen) > 3000 and not np.isin(np.concatenate(queries), seen).any()


@pytest.mark.parametrize("figure", [figure1, figure3, figure4, figure5])
def test_a_figure_is_of_the_f_that_is_given(figure):
    taught, schedule = NETWORKS["modified VGG, taught F (beyond the paper)"]
    scratch, vectors, started = (figure([48], 1, given) for given in (
        {}, {"embeddings": "v.npz"}, {"ImagNet_pretrained_path": taught}))
    assert {cell.settings["ImagNet_pretrained_path"] for cell in scratch} == {""}
    assert [cell.row for cell in vectors] == [cell.row for cell in started]
    assert {row for row, _ in {cell[:2] for cell in scratch}} - {cell.row for cell in vectors} <= {"GPQ-F"}
    for cell in (*vectors, *started):
        assert not cell.settings.keys() & {"ImagNet_pretrained_path", "backbone"}
    assert all(cell.schedule == schedule for cell in started)
    assert all(cell.schedule["hidden"] == HIDDEN[48]["hidden"] for cell in vectors)
    joined = figure([48], 1, {"embeddings": "cifar10_lite0_lite1_lite2.npz"})
    assert all(cell.schedule["hidden"] == () for cell in joined)


def test_figure_4_weighs_the_same_in_both_forms():
    """What the release calls lam_1 is the paper's lambda_2."""
    for form, classification, entropy in (("release", "lam_2", "lam_1"), ("paper", "lam_1", "lam_2")):
        (cell,) = [cell for cell in figure4([12], 1, {"follow": form})
                   if (cell.row, cell.column) == ("12 bits, classification 0.001", "entropy 1")]
        assert (cell.settings[classification], cell.settings[entropy]) == (0.001, 1)


def test_a_classifier_alone_has_no_length_and_two_columns():
    alone = [cell for cell in table2([12, 24, 48], 2, {}) if cell.settings["method"] == "classifier"]
    assert {(cell.column, cell.measure) for cell in alone} == {
        ("by predicted class", "mAP"), ("by softmax inner product", "unquantised_mAP")}
    assert len(alone) == 3 * 2 * 2 and all(cell.settings.keys() == {"method", "ImagNet_pretrained_path", "seed"}
                                           for cell in alone)


def test_of_vectors_every_row_of_table_2_has_one_start():
    cells = table2([12, 48], 1, {"embeddings": "v.npz"})
    assert {"GPQ", "classifier alone", "ITQ"} <= {cell.row for cell in cells}
    assert not any("ImagNet_pretrained_path" in cell.settings for cell in cells)
    for cell in cells:
        assert config.METHODS[cell.settings["method"]](embeddings="v.npz", **cell.schedule, **cell.settings)


def test_imagenets_rows_have_seeds_and_schedules_of_their_own():
    rows = {}
    for cell in imagenet([12, 24, 48], 5, {}):
        rows.setdefault(cell.row, []).append(cell)
    assert len(rows) == 3 + 2 * 5
    rows = list(rows.values())
    vectors, networks, longest = rows[:3], rows[3:8], rows[8:]
    assert [len(cells) for cells in vectors] == [3 * 5] * 3 and [len(cells) for cells in networks] == [3 * 3] * 5
    for short, longer in zip(networks, longest, strict=True):
        assert [(cell.settings["n_book"], cell.settings["seed"]) for cell in longer] == [(3, 0), (12, 0)]
        for cell in longer:
            assert cell.settings in [each.settings for each in short]
            assert cell.schedule == {**short[0].schedule, "total_epochs": 5 * short[0].schedule["total_epochs"]}
    for cells, heads in zip(vectors, (HIDDEN, HIDDEN, dict.fromkeys((12, 24, 48), HIDDEN[12])), strict=True):
        for cell in cells:
            own = heads[{3: 12, 6: 24, 12: 48}[cell.settings["n_book"]]]
            assert {name: cell.schedule[name] for name in own} == own
            assert config.GPQ(**cell.settings).backbone == "embeddings"
    assert len({cell.settings["ImagNet_pretrained_path"] for cells in networks for cell in cells}) == 5
    given = imagenet([12], 1, {"embeddings": "mine.npz"})
    assert [cell.settings["embeddings"] for cell in given if "embeddings" in cell.settings] == ["mine.npz"]


@pytest.mark.parametrize("given, row", [({}, "ITQ, of GIST"), ({"embeddings": "v.npz"}, "ITQ"),
                                        ({"backbone": "embeddings", "embeddings": "v.npz"}, "ITQ"),
                                        ({"backbone": "cnn_f"}, None)])
def test_shallow_methods_take_gist_or_vectors(given, row):
    rows = {cell.row for cell in table2([12], 1, given) if cell.settings["method"] == "itq"}
    assert rows == ({row} if row else set())


def test_gpq_and_spq_side_by_side_are_of_pictures_or_of_the_same_vectors():
    for given, same in (({}, {}), ({"embeddings": "v.npz"}, {"dropout": 0.5})):
        gpq, spq = both([32], 1, given)
        assert (gpq.settings["method"], spq.settings["method"]) == ("gpq", "spq") and spq.settings["n_DB"] == 54_000
        assert spq.settings.get("protocol") == (None if given else 1) and same.items() <= spq.schedule.items()
        assert config.SPQ(**given, **spq.schedule, **spq.settings).n_bits == config.GPQ(**gpq.settings).n_bits == 32


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_a_cell_sets_its_method_has(name):
    experiment = EXPERIMENTS[name]
    for cell in experiment.cells(experiment.bits, experiment.seeds, {}):
        kind = config.METHODS[cell.settings["method"]]
        every = {**cell.schedule, **cell.settings}
        assert kind(**every) and every.keys() <= kind.model_fields.keys() and not cell.schedule.keys() & cell.settings
    columns = {cell.column for cell in experiment.cells(experiment.bits, 1, {})}
    columns |= {f"NUS-WIDE, {column}" for column in columns if name == "table2"}
    assert all(published.figures.keys() <= columns and published.source for published in experiment.published)


@pytest.mark.parametrize("given, start, hidden", [
    ({}, {"ImagNet_pretrained_path": "./models/ImageNet_pretrained.mat"}, None), ({"embeddings": "v.npz"}, {}, (512,))])
def test_deep_baselines_share_a_start_and_a_schedule(given, start, hidden):
    listed = [cell for cell in table2([12, 48], 2, given) if cell.settings["method"] in DEEP]
    assert {cell.settings["method"] for cell in listed} == DEEP.keys() and len(listed) == 4 * len(DEEP)
    for cell in listed:
        assert cell.settings.keys() - start.keys() == {"method", "n_bits", "seed"}
        assert {key: cell.settings[key] for key in start} == start
        assert cell.settings["n_bits"] == 12 or cell.schedule.get("hidden") == hidden
    assert len({str(cell.schedule) for cell in listed}) == (2 if hidden else 1)


def test_what_is_printed_of_a_baseline_says_whose_it_is():
    rows = {published.row: published for published in EXPERIMENTS["table2"].published}
    printed = {**SHALLOW, **DEEP, "ssgah": SSGAH}
    assert WHOSE.keys() == printed.keys() and len(printed) == 15
    for method, figures in printed.items():
        row = rows[f"{method.upper()}, the paper"]
        assert tuple(row.figures.values()) == figures and WHOSE[method] in row.source


def test_nus_wide_has_the_papers_rows_and_an_empty_one_that_names_its_files():
    rows = {row.row: row for row in EXPERIMENTS["table2"].published if "NUS-WIDE" in row.row}
    ours = rows.pop("ours on NUS-WIDE")
    assert set(ours.figures.values()) == {None} and all(file in ours.source for file in NUS_WIDE_FILES)
    assert len(rows) == 16 and all(row.figures.keys() == ours.figures.keys() for row in rows.values())
    assert rows["GPQ on NUS-WIDE, the paper"].figures["NUS-WIDE, 48 bits"] == 0.878


def test_a_length_that_is_asked_for_twice_is_refused():
    check_bits("table2", [12, 48])
    with pytest.raises(UserError, match="--bits is 12 48 12; name each length once"):
        check_bits("table2", [12, 48, 12])
