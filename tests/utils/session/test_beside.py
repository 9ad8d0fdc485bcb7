"""The JSON beside a checkpoint is as training wrote it, or one sentence names it."""
import json

import pytest
from conftest import ROOT
from damage import mutations, sentence

from utils.errors import UserError
from utils.session import beside, pretrained

GOOD = json.loads((ROOT / "models" / "48bits_example.ckpt.json").read_text())


@pytest.mark.parametrize("change", [
    {"step": -5}, {"step": 3.5}, {"step": "x"}, {"seconds": "x"}, {"data": None}, {"data": 5}, {"data": {}},
    {"data": {**GOOD["data"], "x": 1}}, {"data": {**GOOD["data"], "sha256": ["a"]}}, {"initial": [1]}, {"losses": []},
    {"settings": {**GOOD["settings"], "follow": "nope"}}, {"settings": {**GOOD["settings"], "alpha": "x"}},
    {"settings": {**GOOD["settings"], "method": "nope"}}, {"settings": 3}])
def test_what_training_never_wrote_is_refused(tmp_path, change):
    (tmp_path / "a.ckpt.json").write_text(json.dumps({**GOOD, **change}))
    (name, value), = change.items()
    assert name in (said := sentence(lambda: beside.read(tmp_path / "a.ckpt.json"))) and "move it and its" in said


def test_what_is_unknown_or_older_is_left_alone(tmp_path):
    older = {**GOOD, "data": "CIFAR-10, the sample", "settings": {**GOOD["settings"], "once": 1}, "more": None}
    del older["judged"], older["commit"], older["settings"]["backbone"]
    (tmp_path / "a.ckpt.json").write_text(json.dumps(older))
    assert beside.read(tmp_path / "a.ckpt.json") == older


def test_any_mutation_is_one_sentence_or_of_the_model(tmp_path):
    path = tmp_path / "a.ckpt.json"
    for content in mutations(json.dumps(GOOD).encode(), 200):
        path.write_bytes(content)
        try:
            found = beside.read(path)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert found["step"] >= 0 and isinstance(found["settings"], dict)


def test_files_that_say_they_come_of_each_other_end(tmp_path):
    for name, of in (("A", "B"), ("B", "A")):
        (tmp_path / f"{name}.mat.json").write_text(json.dumps({**GOOD, "initial": str(tmp_path / f"{of}.mat")}))
    assert pretrained.provenance(str(tmp_path / "A.mat")).startswith("A.mat, of which no more is known, then ")
