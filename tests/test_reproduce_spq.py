"""reproduce.py spq: the whole path on a few images, and GPQ and SPQ side by side."""
import numpy as np
import pytest
from test_reproduce import kept, run
from test_reproduce_loop import stub, table_of  # noqa: F401  a fixture

from gpq.utils.paper import drawing


def test_spq_is_trained_searched_by_and_tabulated(tmp_path, few_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, few_dir, "spq", "--variant=spq", "--bn_after_eval=frozen", "--n_validation=10")
    (one,), table = kept("spq")
    assert one["training"]["step"] == 3 and one["training"]["measure"] == "held_back_mAP"
    found = one["evaluation"]
    assert found["queries"] == 13 and found["gallery"] == 47 and 0 < found["mAP"] < 1 and 0 < found["unquantised_mAP"]
    assert f"(release) |  | {found['mAP']:.4f} |" in table
    assert "| SPQ, printed |  | 0.768 |" in table and "from memory, unchecked" in table


@pytest.mark.usefixtures("stub")
def test_gpq_and_spq_in_one_figure(data_dir, monkeypatch):
    """On one protocol and with as many ranks, curves and t-SNE side by side."""
    def features(config, checkpoint, each):
        vectors = np.random.default_rng(len(config.method)).normal(size=(30, 4)).astype(np.float32)
        return vectors, np.arange(30) % 3, ("a", "b", "c")

    monkeypatch.setattr(drawing, "class_features", features)
    run(monkeypatch, data_dir, "both", "--n_validation=10")
    runs, text = kept("both")
    assert sorted(one["settings"]["method"] for one in runs) == ["gpq", "spq"]
    assert {(one["settings"]["protocol"], one["settings"]["n_DB"]) for one in runs} == {(1, 54_000)}
    assert "| GPQ, a tenth of the images labelled (" in text and "| SPQ, no labels (" in text
    table = table_of("both")
    assert table.with_suffix(".png").exists() and table.with_name(f"{table.stem}_tsne.png").exists()
