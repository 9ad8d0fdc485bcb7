"""Vectors of a user's own: read, refused in one sentence, split once."""
import mmap
import tracemalloc

import made_up
import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from gpq.config import GPQ
from gpq.utils.data import embeddings, pictures, sets
from gpq.utils.errors import UserError
from gpq.utils.training import task as tasks

N = 300
PARTS = {"query": np.arange(0, 30), "labelled": np.arange(30, 130), "unlabelled": np.arange(130, 300),
         "gallery": np.arange(130, 300)}


def as_folder(path, **arrays):
    path.mkdir()
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)
    return str(path)


def test_the_classes_to_learn_are_those_of_the_labelled_vectors(tmp_path):
    features, labels = made_up.vectors()
    two = np.flatnonzero(labels < 2)
    for roles, count in (({**PARTS, "labelled": two[two >= 30][:50]}, 2), (PARTS, 3), ({}, 3)):
        path = made_up.file(tmp_path / "v.npz", features=features, labels=labels, **roles)
        assert embeddings.load(path).n_classes == count


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("make", [lambda path, **arrays: made_up.file(path / "v.npz", **arrays),
                                  lambda path, **arrays: as_folder(path / "v", **arrays)])
def test_what_is_written_is_read(tmp_path, make, dtype):
    features, labels = made_up.vectors(dtype=dtype)
    labels[130:140] = -1
    names = np.array([f"{i}.png" for i in range(N)])
    data = embeddings.load(make(tmp_path, features=features, labels=labels, names=names, **PARTS))
    assert data.images.dtype == dtype and (data.images == features).all()
    np.testing.assert_array_equal(data.labels, labels[:, np.newaxis] == np.arange(3))
    for role, indices in PARTS.items():
        np.testing.assert_array_equal(getattr(data, role), indices)
    assert data.class_names == ("0", "1", "2") and data.names[7] == "7.png" and not len(data.validation)
    assert str(data.source).startswith(f"embeddings (v{'.npz' if data.folder == tmp_path else ''}, {np.dtype(dtype)}")


def test_several_labels_and_masks_are_taken_as_they_are(tmp_path):
    labels = np.random.default_rng(0).random((N, 5)) < 0.4
    labels[:130, 0] = True
    masks = {role: np.isin(np.arange(N), indices) for role, indices in PARTS.items()}
    data = embeddings.load(made_up.file(tmp_path / "v.npz", labels=labels, class_names=np.array(list("abcde")),
                                        **masks))
    np.testing.assert_array_equal(data.labels, labels)
    assert data.class_names == tuple("abcde") and all((getattr(data, role) == PARTS[role]).all() for role in PARTS)


def test_the_source_tells_apart_what_a_number_can_rest_on(tmp_path):
    features, labels = made_up.vectors()
    other = features.copy()
    other[200, 3] += 1
    digests = [embeddings.load(path).source.sha256 for path in (
        made_up.file(tmp_path / "1.npz", **PARTS), as_folder(tmp_path / "1", features=features, labels=labels, **PARTS),
        made_up.file(tmp_path / "2.npz", features=other, **PARTS), made_up.file(tmp_path / "3.npz", **{
            **PARTS, "query": PARTS["query"][:-1]}))]
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_a_split_is_made_once_from_the_seed_and_kept(tmp_path, capsys):
    labels = made_up.vectors()[1]
    labels[:40] = -1
    path = made_up.file(tmp_path / "v.npz", labels=labels)
    data, expected = embeddings.load(path, seed=3), embeddings.split(labels[:, np.newaxis] == np.arange(3), 3)
    assert f"kept in {tmp_path / 'v.split.npz'}" in capsys.readouterr().out
    again = embeddings.load(path, seed=4)
    assert not capsys.readouterr().out and again.source == data.source
    for role, indices in expected.items():
        np.testing.assert_array_equal(getattr(data, role), indices)
        np.testing.assert_array_equal(getattr(again, role), indices)
    made_up.file(tmp_path / "v.npz", labels=np.roll(labels, 1))
    with pytest.raises(UserError, match="v.split.npz was made for other vectors or labels .*move it away"):
        embeddings.load(path)
    (tmp_path / "v.split.npz").write_text("")
    with pytest.raises(UserError, match="v.split.npz is damaged or no split"):
        embeddings.load(path)


def test_a_tenth_of_each_class_asks_and_the_rest_is_known():
    labels = np.repeat([0, 1, 2, 3, -1], [2000, 200, 5, 1, 50])[:, np.newaxis] == np.arange(4)
    made = embeddings.split(labels, seed=0)
    assert labels[made["query"]].sum(0).tolist() == [100, 20, 1, 0]
    known = np.flatnonzero(labels.any(1))
    np.testing.assert_array_equal(made["labelled"], np.setdiff1d(known, made["query"]))
    np.testing.assert_array_equal(made["gallery"], made["labelled"])
    np.testing.assert_array_equal(made["unlabelled"], np.setdiff1d(np.arange(len(labels)), made["query"]))


@pytest.mark.parametrize("labels", [None, np.full(N, -1), np.zeros([N, 4], bool)])
def test_vectors_without_a_label_are_all_unlabelled(tmp_path, labels):
    path = made_up.file(tmp_path / "v.npz", labels=labels)
    data = embeddings.load(path)
    np.testing.assert_array_equal(data.unlabelled, np.arange(N))
    assert not len(data.query) + len(data.gallery) + len(data.labelled) and not data.labels.any()
    assert [file.name for file in tmp_path.iterdir()] == ["v.npz"] and data.n_classes >= 2


def with_nan():
    features, _ = made_up.vectors()
    features[17, 2] = np.nan
    return features


@pytest.mark.parametrize("arrays, says", [
    ({"features": with_nan()}, "vector 17 in .* holds a number that is not finite"),
    ({"features": np.zeros([N, 4])}, "is float64 .300, 4.; it must be float16 or float32"),
    ({"features": np.zeros([N, 4, 4], np.float32)}, r"is float32 \[300, 4, 4\]; it must be float16"),
    ({"features": np.zeros([0, 4], np.float32), "labels": np.zeros(0, int)}, r"are \[0, 4\]; they must be"),
    ({"features": None}, "has no features, which a file of vectors has"),
    ({"labels": np.zeros(N - 1, int)}, r"labels .* is int64 \[299\]; .*, N = 300"),
    ({"labels": np.zeros(N)}, r"labels .* is float64 \[300\]"), ({"labels": np.int64(3)}, r"labels .* is int64 \[\]"),
    ({"labels": np.full(N, -2)}, "labels .* go from -2 to -2; number the classes from 0"),
    ({"labels": np.full(N, 10 ** 9)}, "labels .* go from 1000000000"),
    ({"labels": np.zeros(N, int)}, "labels .* are of one class; give two or more, or none"),
    ({**PARTS, "labels": None}, "vector 0 .* is query and has no label"),
    ({"vectors": np.zeros(3)}, "has vectors, which is unknown in a file of vectors; leave it out, or call it one of"),
    ({"query": np.arange(3)}, "has the role query and no gallery; give all of"),
    ({**PARTS, "query": np.arange(31)}, "vector 30 .* is both query and labelled; take it out of one"),
    ({**PARTS, "query": np.array([290])}, "vector 290 .* is both query and unlabelled"),
    ({**PARTS, "query": np.array([0, 300])}, "query .* goes from 0 to 300, but the 300 vectors are numbered from 0"),
    ({**PARTS, "gallery": np.array([-1, 200])}, "gallery .* goes from -1"),
    ({**PARTS, "labelled": np.array([40, 40])}, "labelled .* names a vector twice"),
    ({**PARTS, "labelled": np.zeros(N, bool)}, "the role labelled .* is empty; it must be int indices"),
    ({**PARTS, "labelled": np.array([0.5])}, "labelled .* is float64"),
    ({**PARTS, "labels": np.repeat([0, -1, 1], [30, 100, 170])}, "vector 30 .* is labelled and has no label"),
    ({**PARTS, "labels": np.repeat([0, 1], [130, 170])}, "the labelled vectors .* are of one class"),
    ({"names": np.array(["a.png"])}, r"names .* is <U5 \[1\]; it must be str"),
    ({"class_names": np.arange(3)}, r"class_names .* is int64 \[3\]; it must be str"),
    ({"labels": np.array([object()] * N)}, r"labels .* holds Python objects .*np.array\(labels.tolist"),
    ({"labels": np.arange(N)}, "no class .* has two")])
def test_bad_input_ends_in_one_sentence(tmp_path, arrays, says):
    with pytest.raises(UserError, match=says) as error:
        embeddings.load(made_up.file(tmp_path / "v.npz", **arrays))
    assert "\n" not in str(error.value) and "v.npz" in str(error.value)


@pytest.mark.parametrize("path, says", [
    ("", "embeddings is empty; set embeddings to"), ("none.npz", "there is no file none.npz; set embeddings to"),
    (".", "has no features"), ("v.npy", "v.npy is float64 .3.; it must be")])
def test_what_is_no_file_of_vectors(tmp_path, monkeypatch, path, says):
    monkeypatch.chdir(tmp_path)
    np.save("../v.npy", np.zeros(3))
    with pytest.raises(UserError, match=says):
        embeddings.load(path.replace("v.npy", "../v.npy"))


def test_mapped_vectors_are_never_loaded_whole(tmp_path):
    """Reading 64 MiB and making batches of it takes a small part of that."""
    features = np.lib.format.open_memmap(tmp_path / "features.npy", "w+", np.float16, (2 ** 17, 256))
    for rows in range(0, 2 ** 17, 2 ** 14):
        features[rows:rows + 2 ** 14] = 1
    del features
    np.save(tmp_path / "labels.npy", np.arange(2 ** 17) % 4)
    embeddings.load(tmp_path)  # makes the split
    tracemalloc.start()
    task = tasks.Task(GPQ(embeddings=str(tmp_path), n_CLASSES=4, batch_size=100))
    images, *_ = tasks.draw(task, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert images.shape == (2, 100, 256) and isinstance(task.images.base, mmap.mmap) and peak < 16 * 2 ** 20


def test_pictures_of_vectors_are_shown_where_there_are_files(tmp_path):
    names = np.array([f"{i}.png" for i in range(N)])
    data = embeddings.load(made_up.file(tmp_path / "v.npz", names=names))
    Image.new("RGB", (40, 40), "red").save(tmp_path / "3.png")
    there, absent = pictures.of(data, [3, 4], 32)
    assert there.shape == (32, 32, 3) and there[0, 0].tolist() == [255, 0, 0] and absent is None
    assert pictures.of(data._replace(names=None), [3], 32) == [None]


def test_vectors_and_their_network_belong_together(tmp_path):
    path = made_up.file(tmp_path / "v.npz")
    assert GPQ(embeddings=path).backbone == GPQ(embeddings=path).dataset == GPQ(backbone="embeddings").dataset
    for settings in ({"embeddings": path, "backbone": "cnn_f"}, {"embeddings": path, "dataset": "cifar10"}):
        with pytest.raises(UserError, match="vectors and a network on vectors belong together"):
            sets.load(GPQ(**settings))


def test_the_same_vectors_are_read_once_and_changed_ones_anew(tmp_path):
    labels = made_up.vectors()[1]
    path = made_up.file(tmp_path / "v.npz", **PARTS)
    first, again = (sets.load(GPQ(embeddings=path, seed=seed)) for seed in (0, 1))
    assert again is first
    made_up.file(tmp_path / "v.npz", labels=(labels + 1) % 3, **PARTS)
    assert (sets.load(GPQ(embeddings=path)).labels != first.labels).any()

    alone = made_up.file(tmp_path / "w.npz")
    split = tmp_path / "w.split.npz"
    drawn = sets.load(GPQ(embeddings=alone, seed=0))
    assert split.exists() and sets.load(GPQ(embeddings=alone, seed=1)) is drawn
    split.unlink()
    assert (sets.load(GPQ(embeddings=alone, seed=1)).query != drawn.query).any() and split.exists()


def test_a_npy_file_is_vectors_alone(tmp_path):
    features, _ = made_up.vectors()
    np.save(tmp_path / "v.npy", features)
    data = embeddings.load(tmp_path / "v.npy")
    np.testing.assert_array_equal(data.images, features)
    np.testing.assert_array_equal(data.unlabelled, np.arange(N))
    assert data.n_classes == 2 and data.names is None
    made_up.file(tmp_path / "v.npz")
    with pytest.raises(UserError, match=r"is a .npz of features, labels, .* save it by np.save\('v.npy', np.load"):
        embeddings.read_vectors(tmp_path / "v.npz")


@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_of_clip_retrieval(tmp_path, inside):
    features, _ = made_up.vectors()
    place = tmp_path / "img_emb" if inside else tmp_path
    for folder in (place, tmp_path / "metadata"):
        folder.mkdir(exist_ok=True)
    cuts = {0: slice(0, 100), 2: slice(100, 120), 10: slice(120, N)}
    for number, rows in cuts.items():
        np.save(place / f"img_emb_{number}.npy", features[rows])
    data = embeddings.load(tmp_path)
    assert data.images.shape == features.shape and data.images.dtype == features.dtype and data.names is None
    for index in (7, slice(90, 130), np.array([[299, 0], [110, 100]]), np.arange(N) % 7 == 0):
        np.testing.assert_array_equal(data.images[index], features[index])
    for number, rows in cuts.items():
        paths = [f"{i}.jpg" for i in range(N)[rows]]
        parquet.write_table(pyarrow.table({"image_path": paths, "caption": paths}),
                            tmp_path / "metadata" / f"metadata_{number}.parquet")
    assert embeddings.load(tmp_path).names.tolist() == [f"{i}.jpg" for i in range(N)]
    np.save(place / "img_emb_2.npy", features[100:119])
    with pytest.raises(UserError, match="metadata_2.parquet has 20 rows, and its .npy file 19"):
        embeddings.load(tmp_path)
    np.save(place / "img_emb_2.npy", features[100:120, :3])
    with pytest.raises(UserError, match="img_emb_2.npy is float32 .20, 3. and .* give files of one model"):
        embeddings.load(tmp_path)
