"""Corel5k, made up and true: roles, themes and keywords, tags, and what is broken."""
import numpy as np
import pytest
from made_up_pictures import corel
from published import folder

from gpq.config import WSDHQ
from gpq.utils.data import corel5k, sets
from gpq.utils.data.tags import __main__ as command
from gpq.utils.data.tags import merging
from gpq.utils.errors import UserError


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    return corel(tmp_path_factory.mktemp("corel"))


def config(data_dir, **settings):
    return WSDHQ(**{"dataset": "corel5k", "data_dir": str(data_dir), "image_size": 32, **settings})


def test_themes(made_up):
    data = sets.load(config(made_up), tags=True)
    assert data.images.shape == (36, 32, 32, 3) and data.class_names == ("CD 1", "CD 2")
    assert [len(role) for role in (data.query, data.gallery, data.labelled, data.unlabelled)] == [6, 30, 20, 10]
    assert (data.labels.sum(1) == 1).all() and data.labels[data.labelled].sum(0).tolist() == [10, 10]
    assert not np.intersect1d(data.labelled, data.unlabelled).size and data.names[data.query[0]] == "test/1050.jpeg"
    assert data.tag_names.tolist() == ["sea, wave", "boat", "tree", "leaf", "moss"]  # without those of no vector
    assert len(data.tagged) == 28 and data.tag_vectors.shape == (5, 8)  # one picture of each CD has no such tag
    by_name = dict(zip(data.names, data.tags, strict=True))
    assert by_name["train/1003.jpeg"].tolist() == by_name["train/1002.jpeg"].tolist() == [1, 0, 0, 0, 0]


def test_keywords_that_are_the_truth_are_no_tags(made_up):
    data = corel5k.load(made_up, "keywords", 32)
    raw = corel5k.raw_tags(made_up, data, "keywords")
    assert len(data.class_names) == 10 and not set(data.class_names) & set(raw.names)
    assert len(raw.names) == 2 and data.labels.any(1).all()


def test_a_broken_picture_is_left_out(tmp_path, capsys):
    data = sets.load(config(corel(tmp_path, broken=("train/2003.jpeg",))), tags=True)
    assert len(data.images) == len(data.tags) == len(data.labels) == 35 and len(data.gallery) == 29
    assert "train/2003.jpeg cannot be read" in capsys.readouterr().err
    assert data.names[data.query[-1]] == "test/2052.jpeg"


@pytest.mark.parametrize("file, text, message", [
    ("words", None, "there is no file .*words"), ("training_label", "1000 99\n", "1 to 12"),
    ("test_label", "1000 0\n", "1 to 12"),
    ("training_label", "a 1\n", "picture's number"), ("images.tar", None, "tar archive")])
def test_broken_files(tmp_path, file, text, message):
    (corel(tmp_path) / file).unlink()
    if text:
        (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=message):
        corel5k.load(tmp_path, side=32)


def test_the_command_prints_and_keeps_what_it_merged(made_up, tmp_path, monkeypatch, capsys):
    def run(*more):
        monkeypatch.setattr("sys.argv", ["", "--dataset=corel5k", f"--data_dir={made_up}", "--image_size=32", *more])
        command.main()
        return capsys.readouterr().out

    said = run(f"--out={tmp_path / 'kept'}")
    assert said.startswith("sea, wave\n") and "no vector: zzz, word0" in said
    assert "12 tags: 6 without a vector, 2 merged into 1, 5 left, of 8 numbers" in said
    one, other = (sets.load(config(made_up, tags=tags), tags=True) for tags in ("", str(tmp_path / "kept")))
    assert np.array_equal(one.tags, other.tags)
    np.testing.assert_allclose(one.tag_vectors, other.tag_vectors, rtol=1e-6)
    assert "6 left" in run("--eps=0")
    for control, n in (("orthogonal", 5), ("labels", 2)):
        run(f"--control={control}", f"--out={tmp_path / control}.npz")
        data = sets.load(config(made_up, tags=str(tmp_path / f"{control}.npz")), tags=True)
        np.testing.assert_allclose(data.tag_vectors @ data.tag_vectors.T, np.eye(n), atol=1e-6)
    assert np.array_equal(data.tags, data.labels)
    for more, message in ((["--tags=c.npz"], "tags is c.npz, but this command makes such tags"),
                          (["--control=labels", "--out=folder"], "a control is kept in a .npz file")):
        with pytest.raises(UserError, match=message):
            run(*more)


def test_the_true_ones_counts(monkeypatch):
    where = folder("corel5k")
    data = sets.load(config(where), tags=True)
    assert [len(role) for role in (data.query, data.gallery, data.labelled)] == [499, 4500, 500]
    assert len(data.class_names) == 50 and set(data.labels.sum(0)) == {99, 100}
    assert data.tag_vectors.shape == (300, 300) and len(data.tagged) == 4497
    assert 0.85 < merging.mean_margin(data.tags[data.tagged], data.tag_vectors) < 0.87
    raw = corel5k.raw_tags(where, data)
    assert raw.tags.sum(1).mean() == pytest.approx(3.5, abs=0.05)
    monkeypatch.setattr(corel5k.lazy, "readable", lambda stored, *_: np.ones(len(stored), bool))  # it was checked
    other = corel5k.load(where, "keywords", 32)
    assert corel5k.raw_tags(where, other, "keywords").tags.any(1).sum() == 3710
