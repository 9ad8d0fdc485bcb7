"""What is held back, what training may know, and what must fit."""
from types import SimpleNamespace

import numpy as np
import pytest
from split_rule import SAMPLE

from gpq.utils.data import cifar10, splits
from gpq.utils.data.data import Data, Source
from gpq.utils.errors import UserError


def data_of(classes, labelled, gallery=(), n_classes=4, validation=()):
    roles = [np.array(role, np.int32) for role in ((), labelled, gallery, gallery, validation)]
    return Data(np.zeros((len(classes), 1, 1, 1), np.uint8), np.eye(n_classes, dtype=bool)[classes], *roles,
                tuple("abcd"), Source("tiny"))


def holding(n):
    return SimpleNamespace(n_validation=n)


def test_held_back_are_the_last_of_each_class_in_the_order_of_labelled():
    classes, labelled = np.tile([0, 1, 3], 10), np.random.default_rng(0).permutation(24)
    data = data_of(classes, labelled, range(24, 30))
    rest = splits.hold_back(data, holding(6))
    wanted = [[i for i in labelled if classes[i] == c][-2:] for c in (0, 1, 3)]
    assert rest.validation.tolist() == sum(wanted, []) and rest.validation.dtype == rest.labelled.dtype == np.int32
    assert sorted([*rest.labelled, *rest.validation]) == list(range(24)) and len(rest.labelled) == 18
    np.testing.assert_array_equal(rest.unlabelled, data.unlabelled)


def test_held_back_of_the_sample():
    data = cifar10.load(SAMPLE)
    rest = splits.hold_back(data, holding(100))
    assert rest.validation.tolist() == data.labelled.reshape(10, 50)[:, -10:].ravel().tolist()
    assert rest.labelled.tolist() == sorted(data.labelled.reshape(10, 50)[:, :-10].ravel())
    assert rest.unlabelled.tolist() == data.unlabelled.tolist()  # in their order, by which batches are drawn
    assert splits.held_back_gallery(data).tolist() == [data.gallery[i] for i in range(0, 5400, 10)]


@pytest.mark.parametrize("protocol", [1, 3])
def test_held_back_where_labels_are_not_learned_from(protocol):
    """Training images as queries, all others of these their gallery; the data set's queries are in neither."""
    data = cifar10.load(SAMPLE, protocol)
    rest = splits.hold_back(data, holding(100), "training")
    gallery = splits.held_back_gallery(rest, "training")
    assert data.labels[rest.validation].sum(0).tolist() == [10] * 10
    assert gallery.tolist() == rest.training.tolist()
    assert sorted([*gallery, *rest.validation]) == data.training.tolist() == sorted(set(range(6000)) - {*data.query})
    np.testing.assert_array_equal(rest.gallery, data.gallery)


def test_an_image_whose_class_nobody_knows_is_not_held_back():
    data = data_of([0, 1] * 8, [], range(16))
    data.labels[4:] = False
    assert sorted(splits.hold_back(data, holding(2), "training").validation) == [2, 3]


def test_it_says_so_where_not_as_many_can_be_held_back(capsys):
    data = cifar10.load(SAMPLE)
    splits.hold_back(data, holding(100))
    assert capsys.readouterr().out == ""
    assert len(splits.hold_back(data, holding(105)).validation) == 100
    assert capsys.readouterr().out == "n_validation is 105: 100 are held back, 10 of each of 10 classes\n"


def test_a_validation_set_of_its_own_stays():
    data = data_of([0, 1, 0, 1], [0, 1], validation=[2, 3])
    assert splits.hold_back(data, holding(1)) is data


def test_too_few_or_too_many_held_back():
    """Half of the rarest class at most, and one of each at least."""
    data = data_of(np.tile([0, 1, 2], 8), range(24))
    with pytest.raises(UserError, match="and as many labelled images of each of 3 classes .* set 3 or more"):
        splits.hold_back(data, holding(2))
    for asked in (12, 24, 1000):
        assert len(splits.hold_back(data, holding(asked)).validation) == 12


def test_no_class_is_held_back_whole():
    """Or the known classes would be others, and be numbered otherwise."""
    with pytest.raises(UserError, match="at most half; a has 1: give it more, or set eval_term to 0"):
        splits.hold_back(data_of([0, 1, 1, 1, 1], range(5)), holding(2))


def test_training_knows_the_labels_of_labelled_images_alone():
    classes = np.array([3, 1, 0, 1, 3, 2])
    data = data_of(classes, [4, 1, 3], range(6))
    labels = splits.training_labels(data, 5)
    assert splits.known_classes(data).tolist() == [1, 3]
    assert labels.shape == (6, 5) and labels.dtype == bool
    assert labels[[1, 3, 4]].argmax(1).tolist() == [0, 0, 1]  # class 1 is the first that is known, 3 the second
    assert labels.sum(1).tolist() == [0, 1, 0, 1, 1, 0]


def test_training_labels_keep_every_known_class_of_an_image():
    data = data_of([0, 1, 2], [0, 2])
    data.labels[0] = [True, False, True, False]
    assert splits.training_labels(data, 2).tolist() == [[True, True], [False, False], [False, True]]


def test_known_classes_under_protocol_2():
    data = cifar10.load(SAMPLE, 2, (9, 2, 4))
    labels = splits.training_labels(data, 10)
    for number, label in enumerate((2, 4, 9)):
        role = data.labelled[data.labels[data.labelled, label]]
        assert len(role) == 300 and labels[role, number].all() and (labels[role].sum(1) == 1).all()
    assert labels.sum() == 900


def test_a_batch_must_fit_the_data():
    splits.check_batch(5, 5, "labelled")
    with pytest.raises(UserError, match="batch_size is 6, but there are 5 unlabelled images; set batch_size to 5"):
        splits.check_batch(6, 5, "unlabelled")


def test_there_must_be_images_to_learn_from():
    data = cifar10.load(SAMPLE, protocol=3)
    for attempt in (lambda: splits.check_batch(6, 0, "labelled"), lambda: splits.hold_back(data, holding(100))):
        with pytest.raises(UserError, match="there are no labelled images to learn from; set another protocol"):
            attempt()


def test_there_must_be_a_prototype_a_class():
    splits.check_classes(4, SimpleNamespace(n_CLASSES=4))
    with pytest.raises(UserError, match="n_CLASSES is 3, but the labelled images are of 4 classes; set n_CLASSES to 4"):
        splits.check_classes(4, SimpleNamespace(n_CLASSES=3))
