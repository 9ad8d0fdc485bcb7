"""The tables made of runs."""
import json

import pytest

from gpq.utils.paper import report, runs
from gpq.utils.paper.experiment import Experiment, row

PAPER = "GPQ (Jang and Cho, CVPR 2020)"
EXPERIMENT = Experiment("Title", None, lambda path, grid: ["more"], (), published=((PAPER, "2", "CIFAR-10", "GPQ"),
                                                                                 (PAPER, "2", "NUS-WIDE", "SH")),
                        note="A note.")


def shown(mean_ap, bits=48, method="gpq", measure="mAP", start="random weights", sha256=None, data="CIFAR-10",
          **changes):
    (run,) = row("", method, [bits], 1, changes)
    found = runs.Evaluation(mAP=mean_ap, mAP_stable=0.2, unquantised_mAP=0.9, distinct_codes=77, queries=1, gallery=1,
                            class_mAP={}, ranks=[], precision=[], recall=[])
    training = runs.Training(step=10, images=1000, seconds=2.5, data=data, initial="", initial_sha256=sha256,
                             device="a machine", commit="abc")
    one = runs.FinishedRun(settings=json.loads(json.dumps({**run.settings, **changes})), start=start,
                           training=training, evaluation=found, curves={}, PFLOP=0.01)
    return report.Shown(one, None, measure)


def lines(path, grid, left=None):
    report.write(path, EXPERIMENT, "python x.py --draw", grid, left or {})
    return path.read_text().splitlines()


def test_a_table_has_means_deviations_and_empty_places(tmp_path):
    grid = {("GPQ", "12 bits"): [shown(0.5), shown(0.7, seed=1)], ("GPQ", "48 bits"): [],
            ("GPQ-T", "12 bits"): [shown(0.3, metric_loss="triplet")], ("GPQ-T", "48 bits"): []}
    found = lines(tmp_path / "t-0.1.md", grid)
    assert found[0] == "# Title" and "more" in found and "A note." in found
    assert "Drawn by `python x.py --draw` from the runs below." in found
    assert "| GPQ |  | 0.6000 ± 0.1414 (2) |  |" in found and "| GPQ-T |  | 0.3000 |  |" in found
    assert "| GPQ, printed |  | 0.858 | 0.883 |" in found and f"GPQ: {PAPER}, table 2; GPQ's own." in found
    assert "|  | starts from | NUS-WIDE, 12 bits | NUS-WIDE, 24 bits | NUS-WIDE, 32 bits | NUS-WIDE, 48 bits |" in found
    assert "| SH, NUS-WIDE, printed |  | 0.390 | 0.394 | 0.393 | 0.396 |" in found
    (last,) = [line for line in found if "metric_loss" in line]
    assert last.endswith("| 0.3000 | 0.2000 | 0.9000 | 77 | 10 | 1000 | 0.01 | 2.5 | a machine | abc | CIFAR-10 | "
                         "metric_loss=triplet method=gpq n_book=12 bn_word=4 seed=0 |")
    assert len(runs.read(tmp_path / "t-0.1.jsonl")) == 3


def test_runs_of_one_row_that_started_from_several_files_of_one_name_are_parted(tmp_path):
    """And a mean over files of several names is not."""
    path = {"ImagNet_pretrained_path": "F.mat"}
    one, other = shown(0.5, start="two looks", **path), shown(0.7, start="six looks", sha256="ab" * 32, seed=1, **path)
    data = {"name": "embeddings", "sha256": "c" * 64}
    mean = [shown(0.1, embeddings="u.npz", data=data),
            shown(0.2, embeddings="v.npz", data={**data, "sha256": "d" * 64})]
    found = lines(tmp_path / "a.md", {("GPQ", "48 bits"): [one, other], ("mean", "48 bits"): mean})
    assert "| GPQ (F A) | F A | 0.5000 |" in found and "| GPQ (F abababab) | F abababab | 0.7000 |" in found
    assert "| mean | vectors cccccccc; vectors dddddddd | 0.1500 ± 0.0707 (2) |" in found
    assert "F A, whose SHA-256 nobody noted: two looks." in found
    assert f"F abababab, whose SHA-256 is {32 * 'ab'}: six looks." in found


def test_rows_of_other_columns_stand_in_a_table_of_their_own(tmp_path):
    one = shown(0.4, method="classifier")
    grid = {("GPQ", "12 bits"): [], ("alone", "by class"): [one],
            ("alone", "by softmax"): [one._replace(measure="unquantised_mAP")]}
    found = lines(tmp_path / "a.md", grid)
    first, second = (found.index(f"|  | starts from | {columns} |") for columns in ("12 bits", "by class | by softmax"))
    assert found[first + 2:second] == ["| GPQ |  |  |", "| GPQ, printed |  | 0.858 |", ""]
    assert found[second + 2] == "| alone |  | 0.4000 | 0.9000 |"
    assert sum(line.startswith(f"| {one.run.id} |") for line in found) == 1


def test_the_spread_of_no_one_and_several_runs():
    assert report.spread([]) is None
    assert report.spread([shown(0.5)]) == (0.5, 0.0)
    assert report.spread([shown(v) for v in (0.1, 0.3)]) == pytest.approx((0.2, 0.1414), abs=1e-4)
