"""Demo.py searches by a word, and its ranked lists show tags."""
import numpy as np
import pytest
from PIL import Image
from test_wsdhq_training import files, settings, trained  # noqa: F401  fixtures

from gpq import Demo
from gpq.model.tf1 import tf
from gpq.utils.data import sets
from gpq.utils.data.data import Data
from gpq.utils.errors import UserError
from gpq.utils.retrieval import by_tag
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.settings import from_command_line


def demo(files, trained, *others):  # noqa: F811
    return settings(files, trained, "--hidden=[9]", *others, own=Demo.Options)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """What ranked_list is asked to draw, [(path, query, query's title, images, titles, right)]; it is drawn too."""
    monkeypatch.chdir(tmp_path)
    calls, draw = [], Demo.figures.ranked_list
    monkeypatch.setattr(Demo.figures, "ranked_list", lambda *given: [calls.append(given), draw(*given)])
    return calls


def test_a_tag_finds_the_images_whose_codes_its_vector_is_nearest_to(files, trained, drawn, capsys):  # noqa: F811
    config = demo(files, trained, "--tag=4")
    Demo.evaluate(config)
    ((path, query, title, _, titles, right),) = drawn
    assert query is None and title == "tag\n4"
    with Image.open(path) as figure:
        assert path == "retrieval_result_4.png" and figure.width > 500

    data = sets.load(config, tags=True)
    with tf.Graph().as_default(), tf.Session() as session:
        encoder = Encoder(config, session, str(config.final_checkpoint), like=data.images)
        codes, books = encoder.codes(data.images, rows=data.gallery), encoder.codebooks()
    scores = books[[0, 1], codes].sum(1) @ data.tag_vectors[4]
    found = [int(title.split(":")[0]) for title in titles]
    place = {image: row for row, image in enumerate(data.gallery)}
    np.testing.assert_allclose([scores[place[i]] for i in found], np.sort(scores)[::-1][:15], atol=1e-4)
    classes = data.labels[found].argmax(1)
    assert (classes == 4 // 3).mean() > 0.9  # three words a class
    assert right == [bool(data.tags[i, 4]) for i in found]
    assert f"tag 4: {sum(right)} of the 15 nearest images have it" in capsys.readouterr().out


def test_the_ranked_list_of_a_query_shows_tags(files, trained, drawn):  # noqa: F811
    config = demo(files, trained, "--query=3")
    Demo.evaluate(config)
    data = sets.load(config, tags=True)
    ((_, _, title, _, titles, right),) = drawn
    for i, said in ((data.query[3], title.split("\n")[1:]), *((int(t.split(":")[0]), t.split("\n")[:2])
                                                             for t in titles)):
        assert said == [said[0], ", ".join(data.tag_names[data.tags[i]])] and data.tags[i].any()
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("others, says", [
    (["--tag=44"], "embeddings has no tag 44; the nearest are 4, "),
    (["--tag=4", "--image=v.npy"], "tag is 4 and image v.npy; search for one of them")])
def test_a_word_that_cannot_be_searched_for_is_said(files, trained, others, says):  # noqa: F811
    with pytest.raises(UserError, match=says):
        Demo.evaluate(demo(files, trained, *others))


def test_a_method_without_tags_takes_no_tag(data_dir):
    with pytest.raises(UserError, match="tag is cat, but gpq learns from no tags; set --method=wsdhq"):
        Demo.evaluate(from_command_line(Demo.Options, [f"--data_dir={data_dir}", "--tag=cat"]))


def test_tags_that_cannot_be_had_are_missed_only_by_who_asks_for_one(files, tmp_path, capsys):  # noqa: F811
    config = settings(files[:1], tmp_path, own=Demo.Options)
    assert by_tag.loaded(config).tags is None
    assert "The ranked list shows no tags: embeddings has no tags to learn from" in capsys.readouterr().out
    with pytest.raises(UserError, match="has no tags to learn from"):
        by_tag.loaded(settings(files[:1], tmp_path, "--tag=4", own=Demo.Options))


def test_a_merged_tag_is_found_by_each_of_its_names():
    data = Data(*[None] * 9)._replace(tag_names=np.array(["cat", "Boat, ship", "steam ship"]))
    words = ["CAT", "boat", "Ship", "boat, ship", "steam ship"]
    assert [by_tag.number(data, word) for word in words] == [0, 1, 1, 1, 2]


def test_long_tags_are_cut():
    names = np.array([f"word{number}" for number in range(9)])
    data = Data(*[None] * 9)._replace(
        labels=np.array([[True, True]]), class_names=("a", "b"), tags=np.ones((1, 9), bool), tag_names=names)
    first, second = by_tag.described(data, 0).split("\n")
    assert first == "a, b" and second.startswith("word0, word1") and second.endswith("...") and len(second) <= 20
    assert by_tag.described(data._replace(tags=~data.tags), 0) == "a, b"


def test_a_page_asks_by_a_word_as_the_ranked_list_does(files, trained):  # noqa: F811
    data = sets.load(demo(files, trained), tags=True)
    feature, right = by_tag.asking(data)("4")
    np.testing.assert_array_equal(feature, by_tag.feature(data, 4))
    assert right.dtype == bool and (right == data.tags[data.gallery, 4]).all() and right.any()
    assert by_tag.asking(data._replace(tags=None)) is None
