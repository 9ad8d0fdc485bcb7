"""Data sets in the released program's files, made up; and the published labels of NUS-WIDE and MIRFlickr."""
import numpy as np
import pytest
from made_up_pictures import jpeg, lists
from published import folder

from gpq.config import WSDHQ
from gpq.utils.data import flickr, sets
from gpq.utils.errors import UserError
from gpq.utils.training.task import Task


def config(root, **settings):
    return WSDHQ(**{"dataset": "flickr25k", "data_dir": str(root), "image_size": 32, **settings})


def test_the_released_programs_files(tmp_path):
    data = sets.load(config(lists(tmp_path)), tags=True)
    assert data.query.tolist() == [0, 1] and data.gallery.tolist() == [2, 3, 4, 5]
    assert data.tagged.tolist() == [3, 4, 5] and not len(data.labelled)  # the last has no merged tag, as in the release
    assert data.labels.astype(int).tolist() == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 1], [0, 1]]
    assert data.tags.astype(int).tolist() == [[0, 0], [0, 0], [0, 0], [1, 0], [1, 1], [0, 0]]
    assert data.tag_names.tolist() == ["sun, suns", "rain"] and data.tag_vectors.tolist() == [[1, 0], [0, 2]]
    assert data.images[data.tagged].shape == (3, 32, 32, 3)


def test_an_absent_picture_is_left_out_of_every_role(tmp_path, capsys):
    (lists(tmp_path) / "datasets/flickr25k/im/3.jpg").unlink()
    data = sets.load(config(tmp_path), tags=True)
    assert data.gallery.tolist() == [2, 3, 4] and data.unlabelled.tolist() == data.tagged.tolist() == [3, 4]
    assert data.tags.astype(int).tolist()[3] == [1, 1]
    assert "im/3.jpg cannot be read and is left out: No such file or directory" in capsys.readouterr().err


def test_a_training_picture_without_a_tag_is_trained_on_and_coded(tmp_path):
    task = Task(config(lists(tmp_path), dimension=2, batch_size=3))
    assert task.roles[0].tolist() == [3, 4, 5] and task.labels[3:].any(1).tolist() == [True, True, False]


@pytest.mark.parametrize("file, text, message", [
    ("train_tag.txt", "1 0 0 0\n", "for each of 3 pictures, but has 1 lines"),
    ("train_tag.txt", "1 0 0\n" * 3, "has 3 columns, but common_tags.txt has 4"),
    ("test_label.txt", "1 0\n0 2\n", "0 and 1 and nothing else"), ("test_label.txt", "1\n0\n", "as many"),
    ("database_img.txt", None, "there is no"), ("tags/FinalTagEmbs.txt", None, "there is no")])
def test_files_that_do_not_fit(tmp_path, file, text, message):
    path = lists(tmp_path) / "data/flickr25k" / file
    path.unlink()
    if text:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        sets.load(config(tmp_path), tags=True)


@pytest.mark.parametrize("arrays, message", [
    ({"tags": np.ones((5, 2), bool)}, "must be bool .N, T., N = 6"), ({"tag_vectors": np.ones((3, 2))}, "T = 2"),
    ({"tag_vectors": np.zeros((2, 2))}, "is 0 or holds"), ({"tags": np.zeros((6, 2), bool)}, "has a tag"),
    ({"tags": np.ones((6, 0), bool), "tag_vectors": np.ones((0, 2))}, "one tag and one number at least"),
    ({"tags": None}, "has no tags"), ({"tag_names": np.array(["a"])}, "must be str .T., T = 2")])
def test_a_file_of_tags_that_does_not_fit(tmp_path, arrays, message):
    arrays = {"tags": np.ones((6, 2), bool), "tag_vectors": np.ones((2, 2)), **arrays}
    np.savez(tmp_path / "t.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(UserError, match=message):
        sets.load(config(lists(tmp_path), tags=str(tmp_path / "t.npz")), tags=True)


def test_published_labels_of_nus_wide():
    found = flickr.nuswide_labels(folder("labels") / "nuswide_labels81.npz")
    counts = found.labels.sum(0)
    assert found.labels.shape == (269648, 81) and found.labels.any(1).sum() == 209347
    order = np.argsort(-counts, kind="stable")
    assert tuple(found.names[order[:21]]) == flickr.CONCEPTS and counts[order[:3]].tolist() == [74190, 54087, 51577]
    assert [int(found.labels[:, order[:n]].any(1).sum()) for n in (21, 10)] == [195834, 186577]


def test_gpqs_division_of_nus_wide(tmp_path, capsys):
    source = folder("labels")
    listed = {role: flickr.read_list(source / f"nuswide_21_m_{role}.txt") for role in ("train", "test")}
    assert [len(paths) for paths, _ in listed.values()] == [10500, 2100]
    assert all(labels.any(1).all() for _, labels in listed.values())
    whole = flickr.nuswide_labels(source / "nuswide_labels81.npz")
    columns = [whole.names.tolist().index(name) for name in flickr.CONCEPTS]
    listed_numbers = {flickr._number(path.split("/")[1]) for paths, _ in listed.values() for path in paths}
    other = next(row for row in np.flatnonzero(whole.labels[:, columns].any(1))
                 if tuple(whole.numbers[row].tolist()) not in listed_numbers)
    (tmp_path / "images").mkdir()
    (tmp_path / "nuswide_labels81.npz").symlink_to(source / "nuswide_labels81.npz")
    for role, (paths, labels) in listed.items():
        rows = [f"{path} {' '.join(map(str, row))}\n"
                for path, row in zip(paths[:3], labels[:3].astype(int), strict=True)]
        (tmp_path / f"nuswide_21_m_{role}.txt").write_text("".join(rows))
        for path in paths[:3]:
            (tmp_path / path).write_bytes(jpeg())
    (tmp_path / "images" / f"{whole.numbers[other, 0]}_{whole.numbers[other, 1]}_x_m.jpg").write_bytes(jpeg())
    data = sets.load(config(tmp_path, dataset="nus-wide"))
    assert "1 gallery images" in capsys.readouterr().err
    assert [len(role) for role in (data.query, data.labelled, data.gallery)] == [3, 3, 1]
    assert np.array_equal(data.labels[data.gallery[0]], whole.labels[other, columns])


def test_published_labels_of_mirflickr(tmp_path):
    source = folder("labels")
    found = flickr.mirflickr_labels(source / "mirflickr25k_labels38.npz")
    assert found.labels.shape == (25000, 38) and found.labels.any(1).sum() == 24581
    assert [int((found.split == part).sum()) for part in ("test", "train", "database")] == [1000, 4000, 20000]
    (tmp_path / "mirflickr").mkdir()
    for number in (1, 2):
        (tmp_path / "mirflickr" / f"im{number}.jpg").write_bytes(jpeg())
    np.savez(tmp_path / "mirflickr25k_labels38.npz", labels=np.packbits(found.labels[:3], axis=1), names=found.names,
             split=np.array(["test", "database", "train"]))
    data = sets.load(config(tmp_path))  # the lists of the released program are not there
    assert [len(role) for role in (data.query, data.gallery, data.labelled)] == [1, 1, 0]
    assert np.array_equal(data.labels, found.labels[:2])
