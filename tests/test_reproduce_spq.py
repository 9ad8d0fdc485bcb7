"""reproduce.py spq: its cells, what is published, the whole path on a few images, and GPQ and SPQ side by side."""
import json
from pathlib import Path

import numpy as np
import pytest
from test_reproduce import run
from test_reproduce_loop import asked, stub  # noqa: F401  a fixture

import reproduce
from utils.errors import UserError
from utils.paper import drawing


def test_spq_is_trained_searched_by_and_tabulated(tmp_path, few_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, few_dir, "spq", "--variant=spq", "--bn_after_eval=frozen", "--n_validation=10",
        "--ImagNet_pretrained_path=")
    (file,) = Path("results/smoke/cells").iterdir()
    assert file.name == "spq-16bits-seed0-batch_size_10-n_validation_10-total_epochs_1.json"
    cell = json.loads(file.read_text())
    assert cell["training"]["step"] == 3 and cell["training"]["measure"] == "held_back_mAP"
    found = cell["evaluation"]
    assert found["queries"] == 13 and found["gallery"] == 47 and 0 < found["mAP"] < 1 and 0 < found["unquantised_mAP"]
    table = Path("results/smoke/spq-batch_size_10-n_validation_10.md").read_text()
    assert f"(release) | {found['mAP']:.4f} |" in table
    assert "| the paper | 0.768 |" in table and "0.768 from memory, unchecked" in table


def test_every_row_has_cells_of_its_own():
    names = {name for _, name in reproduce.plan(asked("spq"), {}).places}
    brief = "-bn_after_eval_train-decay_cosine-eval_term_1-precision_bfloat16-total_epochs_"
    rows = ("", "-bn_after_eval_train", "-variant_spq_c", "-variant_spq_h", f"{brief}4",
            f"-ImagNet_pretrained_path_ImageNet_resnet18{brief}2")
    assert names == {*(f"spq-{bits}bits-seed0{row}" for bits in (16, 32, 64) for row in rows),
                     "spq-8bits-seed0-variant_spq_q"}


@pytest.mark.usefixtures("stub")
def test_gpq_and_spq_in_one_figure(data_dir, monkeypatch):
    """On one protocol and with as many ranks, curves and t-SNE side by side."""
    def features(config, checkpoint, each):
        vectors = np.random.default_rng(len(config.method)).normal(size=(30, 4)).astype(np.float32)
        return vectors, np.arange(30) % 3, ("a", "b", "c")

    monkeypatch.setattr(drawing, "class_features", features)
    run(monkeypatch, data_dir, "both", "--n_validation=10")
    kept = [json.loads(file.read_text())["training"]["settings"] for file in Path("results/smoke/cells").iterdir()]
    assert sorted(each["method"] for each in kept) == ["gpq", "spq"]
    assert {(each["protocol"], each["n_DB"]) for each in kept} == {(1, 54_000)}
    (table,) = Path("results/smoke").glob("both-*.md")
    assert "GPQ, a tenth of the images labelled (32bits-seed0" in table.read_text()
    assert "SPQ, no labels (spq-32bits-seed0" in table.read_text()
    assert table.with_suffix(".png").exists() and table.with_name(f"{table.stem}_tsne.png").exists()


@pytest.mark.parametrize("what, bits", [("spq", 12), ("table2", 16), ("both", 64)])
def test_a_length_that_an_experiment_has_not_is_refused(what, bits, few_dir, monkeypatch):
    with pytest.raises(UserError, match=f"--bits is {bits}, but {what} has codes of .* bits; ask for some of these"):
        run(monkeypatch, few_dir, what, "--bits", str(bits))
