"""The README's Python example, run as it stands in the repository's folder."""
import json
import re

import numpy as np
import pytest
from conftest import ROOT

from gpq.model.tf1 import tf
from gpq.utils.data.relevance import SharedLabels
from gpq.utils.paper import runs
from gpq.utils.retrieval import metrics


def test_the_example_finds_images_of_the_querys_class(monkeypatch):
    """And by the shipped checkpoint the mAP on the sample is the one that stands there."""
    readme = (ROOT / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(ROOT)
    made = {}
    with tf.Graph().as_default():
        exec(f"{example}    database = encoder.database(codes)\n", made)

    data, distances, places = made["data"], made["distances"], made["places"]
    for array, shape, dtype in ((made["queries"], (100, 144), np.float32), (made["codes"], (5400, 12), np.uint8),
                                (places, (100, 5), np.int64), (distances, (100, 5), np.float32)):
        assert array.shape == shape and array.dtype == dtype
    assert (np.diff(distances, axis=1) >= 0).all()
    right = (data.labels[data.gallery[places]] & data.labels[data.query][:, np.newaxis]).any(2)
    assert right.mean() > 0.6  # by chance 0.1
    found = metrics.mean_average_precision(
        made["database"], made["queries"], SharedLabels(data.labels[data.query], data.labels[data.gallery]), 54_000)
    said = float(re.search(r"On the sample it prints mAP (0\.\d{4})", readme)[1])
    assert found == pytest.approx(said, abs=5e-4)  # processors round differently


def test_every_link_of_the_documents_leads_to_a_file():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "models").glob("*.md"))]
    links = [(page.parent, link) for page in pages for link in re.findall(r"\]\(([^)]+)\)", page.read_text())]
    assert len(links) > 20
    assert [link for folder, link in links if not (folder / link).is_file()] == []


@pytest.mark.parametrize("bits", [12, 48])
def test_a_shipped_checkpoints_card_says_what_its_run_measured(bits):
    made = json.loads((ROOT / "models" / f"{bits}bits_example.ckpt.json").read_text())
    (run,) = [run for run in runs.read(ROOT / "results" / "imagenet.jsonl") if run.training.losses == made["losses"]]
    card = (ROOT / "models" / f"{bits}bits_example.md").read_text()
    for what in ("mAP", "unquantised_mAP"):
        assert f"{getattr(run.evaluation, what):.4f}" in card
    assert f"{run.evaluation.distinct_codes:,}" in card and f"{made['step']:,} steps" in card
    assert all(made["settings"][name] == value for name, value in run.settings.items())
