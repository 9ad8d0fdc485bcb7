"""utils/reading/documents.py: what a JSON or text file says is as its model, or there is one sentence."""
import json

import numpy as np
import pydantic
import pytest
from damage import mutations, sentence

from gpq.utils.errors import UserError
from gpq.utils.reading import documents


class Model(pydantic.BaseModel):
    step: pydantic.NonNegativeInt
    seconds: float
    names: list[str] = []


GOOD = {"step": 3, "seconds": 1, "names": ["a", "ä"], "more": None}


def test_json_is_as_it_was_written(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(GOOD, ensure_ascii=False), encoding="utf-8-sig")
    assert documents.read_json(tmp_path / "a.json", Model, "result") == GOOD


@pytest.mark.parametrize("content", [
    b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"step": ' + b"1" * 9999 + b"}", b"\xff\xfe{\x00}\x00",
    b'{"a": "\xe9"}',
    *(json.dumps({**GOOD, **change}).encode() for change in ({"step": -5}, {"step": 3.5}, {"step": "3"}, {"step": True},
                                                             {"step": None}, {"seconds": "x"}, {"names": {"a": 1}}))])
def test_other_json_is_one_sentence(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert "a.json" in sentence(lambda: documents.read_json(tmp_path / "a.json", Model, "result"))


def test_a_folder_a_long_file_and_none_are_one_sentence(tmp_path, monkeypatch):
    assert "folder" in sentence(lambda: documents.read_json(tmp_path, Model, "result"))
    assert "there is no file" in sentence(lambda: documents.lines(tmp_path / "a.txt", "list of names"))
    monkeypatch.setattr(documents, "LARGEST", 9)
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    assert "longer than 9 bytes" in sentence(lambda: documents.read_json(tmp_path / "a.json", Model, "result"))


def test_any_mutation_of_json_is_one_sentence_or_of_the_model(tmp_path):
    path = tmp_path / "a.json"
    for content in mutations(json.dumps(GOOD).encode(), 300):
        path.write_bytes(content)
        try:
            found = documents.read_json(path, Model, "result")
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert type(found["step"]) is int and found["step"] >= 0


def test_text(tmp_path):
    (tmp_path / "a.txt").write_bytes("b \r\nä\n".encode())
    assert documents.lines(tmp_path / "a.txt", "list of names") == ["b", "ä"]
    (tmp_path / "a.txt").write_bytes(b"\xe9\n")
    assert "utf-8" in sentence(lambda: documents.lines(tmp_path / "a.txt", "list of names"))
    (tmp_path / "n.txt").write_bytes(b"1 2.5\n3 -4e-1\n")
    np.testing.assert_array_equal(documents.numbers(tmp_path / "n.txt", "table"), np.float32([[1, 2.5], [3, -.4]]))
    for content in (b"", b"\n\n", b"1 2\n3\n", b"1 x\n", b"\xff\n", b"nan 1\n", b"1e99 1\n"):
        (tmp_path / "n.txt").write_bytes(content)
        assert "n.txt" in sentence(lambda: documents.numbers(tmp_path / "n.txt", "table"))
