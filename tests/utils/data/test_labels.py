"""Labels as numbers do what a table of them does, from vectors to mAP, or end in a sentence."""
import made_up
import numpy as np
import pytest

from gpq.utils.data import embeddings, labels, relevance, splits
from gpq.utils.errors import UserError

NUMBERS = np.array([3, -1, 0, 3, 2, 2, -1, 0])


@pytest.fixture
def both():
    return labels.ClassNumbers(NUMBERS, 5), NUMBERS[:, np.newaxis] == np.arange(5)


def test_numbers_answer_as_their_table(both):
    numbers, table = both
    assert numbers.shape == table.shape and len(numbers) == len(table) and numbers.dtype == table.dtype
    np.testing.assert_array_equal(numbers, table)
    for axis in (0, 1):
        np.testing.assert_array_equal(numbers.any(axis), table.any(axis))
        np.testing.assert_array_equal(numbers.sum(axis), table.sum(axis))
    np.testing.assert_array_equal(numbers.argmax(1), table.argmax(1))
    for index in (3, 1, slice(2, 5), np.array([5, 1, 1]), np.arange(6).reshape(2, 3), NUMBERS > 0,
                  (slice(None), 2), (slice(None), np.array([2, 3])), (slice(None), np.arange(5) > 1)):
        np.testing.assert_array_equal(numbers[index], table[index])
    assert [row.tolist() for row in numbers] == table.tolist()


def test_relevance_and_training_labels_are_as_of_the_table(both, tmp_path):
    numbers, table = both
    one, other = (relevance.SharedLabels(each[[0, 1, 2]], each) for each in both)
    assert one.shape == other.shape
    for q in range(3):
        np.testing.assert_array_equal(one.places(q), other.places(q))
    data = embeddings.load(made_up.file(tmp_path / "v.npz", features=np.ones((8, 2), np.float32), labels=NUMBERS))
    np.testing.assert_array_equal(splits.training_labels(data, 4),
                                  splits.training_labels(data._replace(labels=labels.ClassNumbers(NUMBERS, 4)), 4))


def test_a_split_of_numbers_is_that_of_their_table(both):
    for seed in range(3):
        one, other = (embeddings.split(each, seed) for each in both)
        for role in embeddings.ROLES:
            np.testing.assert_array_equal(one[role], other[role])


def test_many_classes_are_read_as_numbers_and_a_table_of_them_is_a_sentence(tmp_path, monkeypatch):
    n = 400
    path = made_up.file(tmp_path / "v.npz", features=np.ones((n, 2), np.float32), labels=np.arange(n) // 2)
    table = embeddings.load(path)
    monkeypatch.setattr(labels, "LARGEST", 4000)
    monkeypatch.setattr(embeddings, "QUERIES", 50)
    (tmp_path / "v.split.npz").unlink()
    data = embeddings.load(path)
    assert isinstance(data.labels, labels.ClassNumbers) and data.n_classes == n // 2
    assert (len(table.query), len(data.query), len(data.gallery)) == (200, 50, 350)
    with pytest.raises(UserError, match="400 labels of 200 classes would take .*--method=pq"):
        np.asarray(data.labels)
    np.testing.assert_array_equal(data.labels[:3], table.labels[:3])


@pytest.mark.parametrize("kind, many", [("uint8", 256), ("int8", 128), ("uint8", 255), ("uint16", 300)])
def test_labels_of_small_types_do_not_wrap(tmp_path, kind, many):
    numbers = (np.arange(2 * many) % many).astype(kind)
    features = np.ones((2 * many, 2), np.float32)
    data = embeddings.load(made_up.file(tmp_path / "v.npz", features=features, labels=numbers))
    np.testing.assert_array_equal(data.labels.argmax(1), numbers)
    assert data.labels.any(1).all() and len(data.query) == len(data.labelled) == many
