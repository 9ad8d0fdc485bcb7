"""Tables that people wrote: what they may hold, and whatever is wrong with one is a sentence."""
import os

import pyarrow as pa
import pytest
from damage import mutations, sentence
from pyarrow import parquet as pq

from gpq.utils.errors import UserError
from gpq.utils.reading import tables

PATHS = ["a.png", "b;c.png", "d.png"]


def of_text(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    return tables.read(tmp_path / "labels.csv")


def of_columns(tmp_path, **columns):
    pq.write_table(pa.table({"path": PATHS, **columns}), tmp_path / "labels.parquet")
    return tables.read(tmp_path / "labels.parquet")


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separators_and_encodings(tmp_path, separator, encoding, end):
    rows = ["path", "label", "tags"], ["a.png", '"sea;s\u00e4nd"', ""], ['"b;c.png"', " 007 ", '"x y;z"'], [""]
    found = of_text(tmp_path, end.join(map(separator.join, rows)).encode(encoding))
    assert found == {"path": [["a.png"], ["b;c.png"]], "label": [["sea", "s\u00e4nd"], ["007"]],
                     "tags": [[], ["x y", "z"]], "split": [[], []]}


@pytest.mark.parametrize("content, says", [
    (b"", "it is empty"), (b"a,b\n", "has the column 'a'; leave it out, or call it one of path"),
    (b"label\nx\n", "has no column path"), (b"path,label,label\na,b,b\n", "has the column 'label' twice; leave one"),
    (b"path,label\na\n", "row 1 has 1 cells and the first line 2"), (b"path,libell\xe9\na,b\n", "is damaged or no"),
    ("path,label\na,b\n".encode("utf-16-le"), "there is a null in it"), (b'path,label\n"a,b\n', "unexpected end"),
    (b"path,label\na," + b"x" * 200_000, "field larger than field limit")])
def test_a_text_that_is_no_table(tmp_path, content, says):
    with pytest.raises(UserError, match=f"^{tmp_path}/labels.csv .*{says}"):
        of_text(tmp_path, content)


@pytest.mark.parametrize("column, words", [
    (pa.array(["x; y", None, ""]), [["x", "y"], [], []]), (pa.array([7, None, 8]), [["7"], [], ["8"]]),
    (pa.array([0.0, float("nan"), 2.5]), [["0"], [], ["2.5"]]),
    (pa.array([b"x", "\u00e4".encode(), None]), [["x"], ["\u00e4"], []]),
    (pa.array([["x", None], [None], None]), [["x"], [], []]), (pa.array([[3, 5], [4], []]), [["3", "5"], ["4"], []]),
    (pa.array([[1, 0, 0], [0, 1, 1], None]), [["class 0"], ["class 1", "class 2"], []]),
    (pa.array([[True, False], [False, False], [False, True]]), [["class 0"], [], ["class 1"]]),
    (pa.array([[0], [1], [1]]), [["0"], ["1"], ["1"]]),
    (pa.array(["x", "y", "x"]).dictionary_encode(), [["x"], ["y"], ["x"]]),
    (pa.array([{"label": "x"}, None, {"label": None}]), [["x"], [], []]), (pa.nulls(3), [[], [], []])])
def test_what_a_label_may_be(tmp_path, column, words):
    assert of_columns(tmp_path, label=column) == {"path": [[path] for path in PATHS], "label": words,
                                                  "tags": [[]] * 3, "split": [[]] * 3}


@pytest.mark.parametrize("column", [
    pa.array(range(3), pa.timestamp("ns")), pa.array([2 ** 62] * 3, pa.timestamp("ms")),
    pa.array([[True], [True, False], None]), pa.array([{"a": 1, "b": 2}] * 3), pa.array([[["x"]]] * 3),
    pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int64()))])
def test_what_a_label_may_not_be(tmp_path, column):
    assert "its column label" in sentence(lambda: of_columns(tmp_path, label=column))


def test_paths_may_be_bytes_and_text_must_be_utf_8(tmp_path):
    pq.write_table(pa.table({"path": [path.encode() for path in PATHS]}), tmp_path / "labels.parquet")
    assert tables.read(tmp_path / "labels.parquet")["path"] == [[path] for path in PATHS]
    ends = pa.array(["xx"] * 3).buffers()[1]
    text = pa.Array.from_buffers(pa.string(), 3, [None, ends, pa.py_buffer(b"\xff\xfe" * 3)])
    assert "is damaged or no table" in sentence(lambda: of_columns(tmp_path, label=text))


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    assert "is a folder, a pipe or a device" in sentence(lambda: tables.read(tables.find(tmp_path)))
    (tmp_path / "labels.parquet").mkdir()
    assert "take one away" in sentence(lambda: tables.find(tmp_path))


def test_damaged_tables_are_read_or_refused(tmp_path):
    text = "path,label,tags\n" + "".join(f"{k}.png,{k % 3},x;y\n" for k in range(9))
    pq.write_table(pa.table({"path": [f"{k}.png" for k in range(40)], "label": [[k % 3] for k in range(40)]}),
                   tmp_path / "good.parquet", write_page_checksum=True)
    refused = 0
    for name, good in ("labels.csv", text.encode()), ("labels.parquet", (tmp_path / "good.parquet").read_bytes()):
        for content in mutations(good, 200):
            (tmp_path / name).write_bytes(content)
            try:
                assert len({len(cells) for cells in tables.read(tmp_path / name).values()}) == 1
            except UserError as error:
                assert str(error).count("\n") == 0 and name in str(error)
                refused += 1
    assert refused > 150
