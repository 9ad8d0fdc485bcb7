import numpy as np
import pytest
from pages import gallery

from gpq.utils.page import atlas
from gpq.utils.retrieval.database import Database


@pytest.fixture(scope="module")
def database(sample):
    return gallery(sample, 90).database


def test_pictures_of_equal_code_share_a_point_and_others_do_not(database, tmp_path):
    places, points = atlas.atlas(database, tmp_path / "map.npz", 0)
    np.testing.assert_array_equal(places, np.arange(90))
    assert points.min(0).tolist() == [0, 0] and points.max(0).tolist() == [1, 1]
    equal = (database.codes[:, None] == database.codes).all(2)
    assert equal.sum() > 90  # some are
    np.testing.assert_array_equal((points[:, None] == points).all(2), equal)


def test_a_map_is_made_once_for_a_database(database, tmp_path, monkeypatch):
    path, made = tmp_path / "map.npz", []

    def tsne(vectors, seed):
        made.append(seed)
        return np.random.default_rng(seed).normal(size=(len(vectors), 2)).astype(np.float32)

    monkeypatch.setattr(atlas.tsne, "tsne", tsne)
    _, first = atlas.atlas(database, path, 0)
    _, again = atlas.atlas(database, path, 0)
    np.testing.assert_array_equal(first, again)
    assert made == [0]
    other = Database(database.codes, database.codebooks, database.labels, {"checkpoint": "another"})
    atlas.atlas(other, path, 0)
    atlas.atlas(other, path, 1)
    assert made == [0, 0, 1]
    path.write_bytes(path.read_bytes()[:100])
    atlas.atlas(other, path, 1)
    assert made == [0, 0, 1, 1]


def test_a_large_gallery_is_spread_evenly_over_the_map(database, tmp_path, monkeypatch):
    monkeypatch.setattr(atlas, "SHOWN", 10)
    monkeypatch.setattr(atlas.tsne, "tsne", lambda vectors, seed: vectors[:, :2])
    places, points = atlas.atlas(database, tmp_path / "map.npz", 0)
    assert points.shape == (10, 2) and places[0] == 0 and places[-1] == 89 and set(np.diff(places)) <= {9, 10}


def test_one_code_is_one_point_and_a_map_that_cannot_be_kept_is_shown(database, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    same = Database(database.codes[:1].repeat(5, 0), database.codebooks, database.labels[:5], {})
    _, points = atlas.atlas(same, tmp_path / "file" / "map.npz", 0)
    np.testing.assert_array_equal(points, np.zeros((5, 2)))
    assert "The map is not kept" in capsys.readouterr().out
