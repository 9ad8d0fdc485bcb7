"""Merging of tags: by hand on a few vectors, against the slow way, and the counts of the release's logs."""
import numpy as np
import pytest
from published import folder

from gpq.utils.data.data import Data, Source
from gpq.utils.data.tags import merging, tagging
from gpq.utils.data.tags.merging import Thresholds
from gpq.utils.errors import UserError


def at(*degrees):
    """float32 [n, 2], vectors of several lengths at these angles."""
    angles = np.deg2rad(degrees)
    return (np.stack([np.cos(angles), np.sin(angles)], 1) * np.arange(1, len(degrees) + 1)[:, None]).astype(np.float32)


def test_enhancement_is_its_formula():
    vectors = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = []
    for i in range(30):
        cosines = {j: float(unit[i] @ unit[j]) for j in range(30) if j != i}
        near = [j for j in sorted(cosines, key=cosines.get, reverse=True)[:3] if cosines[j] >= 0.5]
        pulled = unit[i] + sum((cosines[j] * unit[j] for j in near), np.zeros(5))
        expected.append(pulled / np.linalg.norm(pulled))
    np.testing.assert_allclose(merging.enhanced(vectors, Thresholds(3, 0.5, 0)), expected, atol=1e-6)
    np.testing.assert_allclose(merging.enhanced(vectors, Thresholds(0, 0.5, 0)), unit, atol=1e-7)


def test_near_ones_merge_in_chains_and_the_others_stay():
    without = np.array([[np.nan, np.nan], [0, 0]], np.float32)
    vectors = np.concatenate([at(0, 90, 10, 180, 20), without])
    made = merging.merge(vectors, Thresholds(0, 0.6, 0.016))  # 1 - cos 10° = 0.0152: 0 and 20 meet through 10
    assert [group.tolist() for group in made.groups] == [[0, 2, 4], [1], [3]] and made.dropped.tolist() == [5, 6]
    np.testing.assert_allclose(made.vectors[0], np.cos(np.deg2rad([10, 80])) * (1 + 2 * np.cos(np.deg2rad(10))) / 3,
                               atol=1e-6)
    assert len(merging.merge(vectors, Thresholds(0, 0.6, 0)).groups) == 5


def test_no_tag_with_a_vector():
    with pytest.raises(UserError, match="none of the 2 tags has a word vector"):
        merging.merge(np.full((2, 3), np.nan, np.float32), Thresholds())


def test_tags_of_another_number_of_images_are_refused():
    raw, made = tagging.RawTags(np.ones((3, 2), bool), ["a", "b"]), merging.merge(at(0, 90), Thresholds())
    data = Data(np.zeros((4, 32, 32, 3), np.uint8), *[None] * 8)._replace(source=Source("mine"))
    with pytest.raises(UserError, match="mine has 3 rows of tags and 4 images; give a row for each image"):
        tagging.with_merged(data, raw, made)


def test_merged_tags_are_any_of_their_own():
    raw = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    assert merging.merged(raw, [np.array([0, 2]), np.array([1])]).tolist() == [[True, False], [True, False],
                                                                            [False, False]]
    assert merging.merged_names(["a", "b", "c"], [np.array([0, 2]), np.array([1])]).tolist() == ["a, c", "b"]


def test_the_mean_margin_is_that_of_all_pairs():
    generator = np.random.default_rng(1)
    tags, vectors = generator.random((6, 7)) < 0.3, generator.standard_normal((7, 4)).astype(np.float32)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    margins = [1 - unit[i] @ unit[j] for row in tags for i in np.flatnonzero(row) for j in np.flatnonzero(~row)]
    assert merging.mean_margin(tags, vectors) == pytest.approx(np.mean(margins), abs=1e-6)


def test_as_many_of_nus_wides_tags_are_left_as_the_releases_logs_say():
    file = np.load(folder("corel5k") / "nuswide_tags_glove300.npz")
    made = merging.merge(file["tag_vec"], Thresholds())
    assert len(made.groups) == 928 and len(made.dropped) == 0
    assert 0.88 < merging.mean_margin(np.eye(928, dtype=bool), made.vectors) < 0.91
