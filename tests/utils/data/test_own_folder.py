"""A user's own folder: classes, tables, the split that is made once, and mistakes."""
import os
import shutil
import unicodedata

import numpy as np
import pyarrow
import pytest
from made_up_pictures import jpeg
from pyarrow import parquet

from gpq import train
from gpq.utils.data import embeddings, lazy, own_folder, pictures
from gpq.utils.errors import UserError
from gpq.utils.reading import tables
from gpq.utils.retrieval import evaluation
from gpq.utils.settings import from_command_line
from gpq.utils.training.task import Task


@pytest.fixture
def photos(tmp_path):
    """Twelve cats, eight dogs of which two lie deeper, two pictures without a label and a broken dog."""
    folder = tmp_path / "photos"
    files = ([f"cat/{k:02}.jpg" for k in range(12)] + [f"dog/{k}.jpg" for k in range(6)]
             + ["dog/deep/6.jpg", "dog/deep/7.jpg", "loose.jpg", "unlabelled/also.jpg"])
    for number, file in enumerate(files):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(jpeg(50 + number, 40, number))
    (folder / "dog" / "broken.jpg").write_bytes(b"")
    return folder


def table(folder, *rows, columns="path,label,split,tags"):
    (folder / "labels.csv").write_text("\n".join([columns, *rows]) + "\n")
    return folder


def test_class_folders(photos, capsys):
    data = own_folder.load(photos, side=32)
    assert data.class_names == ("cat", "dog") and data.n_classes == 2
    assert data.labels.sum(0).tolist() == [12, 8] and len(data.names) == 22
    assert data.names[~data.labels.any(1)].tolist() == ["loose.jpg", "unlabelled/also.jpg"]
    assert data.names[data.labels[:, 1]].tolist()[-2:] == ["dog/deep/6.jpg", "dog/deep/7.jpg"]
    for place in (0, 21):
        np.testing.assert_array_equal(data.images[place], pictures.read(photos / data.names[place], 32))
    assert not set(data.query) & {*data.gallery, *data.labelled, *data.unlabelled}
    assert len(data.query) == 2 and data.labels[data.query].sum(0).tolist() == [1, 1]
    assert len(data.labelled) == 18 and len(data.gallery) == 20  # those without a label are searched too
    np.testing.assert_array_equal(data.gallery, data.training)
    said = capsys.readouterr().err
    assert "dog/broken.jpg cannot be read and is left out" in said and "1 of 23 pictures are left out" in said


def test_the_split_is_made_once(photos):
    first = own_folder.load(photos, seed=0, side=32)
    kept = (photos / "split.npz").read_bytes()
    again = own_folder.load(photos, seed=5, side=32)
    assert (photos / "split.npz").read_bytes() == kept
    assert first.query.tolist() == again.query.tolist() and first.source == again.source
    (photos / "split.npz").unlink()
    others = [own_folder.load(photos, seed, 32).query.tolist() for seed in (0, 0, 1)]
    assert others[0] == others[1] == first.query.tolist()
    (photos / "cat" / "new.jpg").write_bytes(jpeg())
    with pytest.raises(UserError, match="split.npz was made for other pictures or labels than .* move it away"):
        own_folder.load(photos, side=32)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_says_labels_tags_and_split(photos, kind):
    table(photos, "cat/00.jpg,007;grey,query,fur", "cat/01.jpg,007,labelled,fur; paw", "dog/0.jpg,grey,,",
          "dog/1.jpg,grey,unlabelled,paw", "loose.jpg,,,")
    if kind == "parquet":
        columns = tables.read(photos / "labels.csv")
        columns["path"] = [path for path, in columns["path"]]
        columns["split"] = [" ".join(split) or None for split in columns["split"]]
        parquet.write_table(pyarrow.table(columns), photos / "labels.parquet")
        (photos / "labels.csv").unlink()
    data = own_folder.load(photos, side=32)
    named = {role: data.names[getattr(data, role)].tolist() for role in own_folder.SPLIT}
    assert data.class_names == ("007", "grey") and named["query"] == ["cat/00.jpg"]
    assert named["labelled"] == ["cat/01.jpg", "dog/0.jpg"] and len(named["unlabelled"]) == 21
    assert data.labels.sum() == 5 and data.labels[data.query[0]].all() and not (photos / "split.npz").exists()
    raw = own_folder.raw_tags(photos, data)
    assert raw.names == ["fur", "paw"] and raw.words == photos / "words.npz"
    assert {data.names[row]: raw.tags[row].tolist() for row in np.flatnonzero(raw.tags.any(1))} == {
        "cat/00.jpg": [True, False], "cat/01.jpg": [True, True], "dog/1.jpg": [False, True]}


@pytest.mark.parametrize("rows, says", [
    (["cat/00.jpg,a,,", "cat/00.jpg,b,,"], "labels.csv names cat/00.jpg twice; leave one row out"),
    (["cat/none.jpg,a,,", "cat/00.jpg,b,,"], "names cat/none.jpg, and .* has no such file; mend the path"),
    (["cat/00.jpg,a,test,", "cat/01.jpg,b,,"], "the split of cat/00.jpg .* is 'test'; it must be one of query, lab"),
    (["cat/00.jpg,a,labelled,", "cat/01.jpg,b,,"], "a split and no picture that is query; say which are"),
    (["cat/00.jpg,a,,", "cat/02.jpg,b,,", "cat/01.jpg,,query,"], "cat/01.jpg .* is query and has no label; give it"),
    (["cat/00.jpg,a,,", "cat/01.jpg,a,,"], "are of 1 classes; learning codes takes two or more"),
    ([",a,,"], "row 1 of .*labels.csv names 0 paths; give it one"),
    (["cat/00.jpg,a,,,,"], "labels.csv is damaged or no .*row 1 has 6 cells and the first line 4.; mend it")])
def test_a_table_that_does_not_fit(photos, rows, says):
    with pytest.raises(UserError, match=says):
        own_folder.load(table(photos, *rows), side=32)


def test_other_mistakes(photos, tmp_path):
    with pytest.raises(UserError, match="there is no folder .*nowhere; set data_dir to the folder of your pictures"):
        own_folder.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="known_classes is .*something is named twice"):
        from_command_line(None, ["--protocol=2", "--known_classes=[1,1]"])
    with pytest.raises(UserError, match="has the column 'file'; leave it out, or call it one of path, label, tags"):
        own_folder.load(table(photos, "a,b", columns="file,label"))
    (photos / "labels.parquet").write_bytes(b"no")
    with pytest.raises(UserError, match="has both labels.csv and labels.parquet; take one away"):
        own_folder.load(photos)
    (photos / "labels.csv").unlink()
    with pytest.raises(UserError, match="labels.parquet is damaged or no table"):
        own_folder.load(photos)


@pytest.mark.parametrize("more, side", [([], 32), (["--backbone=efficientnet_lite0"], 256), (["--method=spq"], 32),
                                        (["--method=itq"], 256), (["--image_size=64"], 64)])
def test_a_network_for_small_pictures_is_given_small_ones(photos, more, side):
    """Of 256 pixels a side a step of the paper's network would take tens of gigabytes."""
    assert from_command_line(train.Options, ["--dataset=folder", f"--data_dir={photos}", *more]).image_size == side


def test_from_a_folder_to_an_map(photos, tmp_path):
    """Found classes, a training of a shallow method, and retrieval from the pictures as they are decoded."""
    arguments = ["--method=itq", "--n_bits=8", "--dataset=folder", f"--data_dir={photos}", "--image_size=64",
                 f"--model_save_path={tmp_path}/m"]
    config = from_command_line(train.Options, arguments)
    task = Task(config)
    assert task.config.n_CLASSES == 2 and task.images.shape == (22, 64, 64, 3)
    assert train.train(task)
    found = evaluation.evaluate(config, str(config.final_checkpoint))
    assert 0 < found["mAP"] <= 1


def test_what_is_no_class(photos, capsys):
    """Hidden folders, what macOS leaves in an archive, and a folder none of whose pictures can be read."""
    shutil.copytree(photos / "cat", photos / ".ipynb_checkpoints")
    shutil.copytree(photos / "cat", photos / "__MACOSX" / "cat")
    (photos / "cat" / "._00.jpg").write_bytes(b"macOS")
    (photos / "broken").mkdir()
    (photos / "broken" / "1.jpg").write_bytes(b"no")
    os.mkfifo(photos / "broken" / "2.jpg")
    pictures.tell.cache_clear()
    data, said = own_folder.load(photos, side=32), capsys.readouterr()
    assert data.class_names == ("cat", "dog") and len(data.names) == 22
    assert f"{photos}: 22 pictures, 2 of them without a label, 2 classes: cat 12, dog 8\n" in said.out
    for line in (f"{photos}/.ipynb_checkpoints is hidden and is left out", f"{photos}/__MACOSX is hidden and is left",
                 "broken/2.jpg cannot be read and is left out: it is a folder, a pipe or a device",
                 f"{photos}: 3 of 25 pictures are left out"):
        assert said.err.count(line) == 1
    assert "._00.jpg" not in said.err


@pytest.mark.parametrize("parts, roles", [
    (("train", "valid", "test"), {"labelled": 20, "validation": 20, "query": 20, "gallery": 42, "unlabelled": 22}),
    (("train", "val"), {"labelled": 20, "validation": 0, "query": 20, "gallery": 22, "unlabelled": 22}),
    (("train",), {"labelled": 18, "validation": 0, "query": 2, "gallery": 20, "unlabelled": 20})])
def test_folders_that_are_splits(photos, tmp_path, capsys, parts, roles):
    """The classes are the folders in them; what lies beside them, or in them without a class, has no label."""
    for part in parts:
        for kind in "cat", "dog":
            shutil.copytree(photos / kind, tmp_path / "all" / part / kind)
    shutil.copytree(photos / "unlabelled", tmp_path / "all" / "unlabelled")
    shutil.copy(photos / "loose.jpg", tmp_path / "all" / parts[-1])
    pictures.tell.cache_clear()
    data = own_folder.load(tmp_path / "all", side=32)
    assert data.class_names == ("cat", "dog") and data.n_classes == 2
    assert {role: len(getattr(data, role)) for role in roles} == roles
    assert not set(data.query) & {*data.gallery, *data.training, *data.validation}
    assert not set(data.validation) & set(data.training)
    if len(parts) > 1:
        assert {name.split("/")[0] for name in data.names[data.query]} == {parts[-1]}
    assert f"{', '.join(sorted(parts))} are taken for splits and not for classes" in capsys.readouterr().err
    (tmp_path / "all" / "plane").mkdir()
    (tmp_path / "all" / "split.npz").unlink(missing_ok=True)
    shutil.copy(photos / "loose.jpg", tmp_path / "all" / "plane")
    assert own_folder.load(tmp_path / "all").class_names == tuple(sorted(["plane", *parts]))


@pytest.mark.parametrize("form", ["{name}", "./{name}", "{folder}/{name}", "../{folder.name}/{name}", "dog/../{name}",
                                  "linked/{name}", "bare"])
def test_a_row_is_of_one_picture_however_it_is_written(photos, tmp_path, form):
    """In the folder, behind a link to a folder, or without an ending: training, encoding and search agree."""
    (photos / "linked").symlink_to(photos)
    names = [f"cat/{k:02}.jpg" for k in range(8)]
    if form == "bare":
        for name in names:
            (photos / name).rename(photos / name[:-4])
        names, form = [name[:-4] for name in names], "{name}"
    table(photos, *(f"{form.format(name=name, folder=photos)},{'ab'[k % 2]}" for k, name in enumerate(names)),
          columns="path,label")
    data = own_folder.load(photos, side=32)
    assert len(data.names) == 22 and data.names[data.labels.any(1)].tolist() == names
    assert pictures.listed(photos)[0].tolist() == sorted([*data.names, "dog/broken.jpg"])
    assert lazy.read_all(photos, 32)[1].tolist() == pictures.listed(photos)[0].tolist()
    table(photos, f"{photos}/{names[0]},a", f"{names[0]},b", columns="path,label")
    with pytest.raises(UserError, match=f"labels.csv names {names[0]} twice; leave one row out"):
        own_folder.load(photos)


def test_a_table_names_pictures_that_lie_elsewhere(photos, tmp_path):
    """Behind a link, or by a path: each is one picture, and has the name that the table gives it."""
    for name in "one", "two":
        shutil.copytree(photos / "cat", tmp_path / name)
    (photos / "link").symlink_to(tmp_path / "one")
    table(photos, "link/00.jpg,a", "../one/01.jpg,b", f"{tmp_path}/two/00.jpg,a", "cat/00.jpg,b", columns="path,label")
    data = own_folder.load(photos, side=32)
    assert data.names[data.labels.any(1)].tolist() == sorted(
        ["link/00.jpg", "../one/01.jpg", f"{tmp_path}/two/00.jpg", "cat/00.jpg"])
    found = dict(zip(data.names.tolist(), data.images[:], strict=True))
    np.testing.assert_array_equal(found["link/00.jpg"], found["cat/00.jpg"])
    with pytest.raises(UserError, match="names link/01.jpg twice"):
        own_folder.load(table(photos, "../one/01.jpg,b", "link/01.jpg,a", columns="path,label"))


def test_composed_and_decomposed_names_are_the_same(photos):
    """A class of two folders, as after archives from macOS and elsewhere; and a table written on another machine."""
    composed, apart = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    (photos / "cat").rename(photos / composed)
    shutil.copytree(photos / "dog", photos / apart)
    data = own_folder.load(photos, side=32)
    assert data.class_names == (composed, "dog") and data.labels.sum(0).tolist() == [20, 8]
    (photos / "split.npz").unlink()
    table(photos, f"{composed}/0.jpg,{composed}", f"{composed}/1.jpg,{apart}", f"{composed}/00.jpg,b",
          f"{composed}/01.jpg,b", columns="path,label")
    data = own_folder.load(photos, side=32)
    assert data.class_names == ("b", composed) and f"{apart}/0.jpg" in data.names[data.labels[:, 1]]


def test_a_name_that_is_no_utf_8_and_one_as_long_as_may_be(photos):
    os.rename(photos / "cat" / "00.jpg", os.fsencode(photos / "cat") + b"/caf\xe9.jpg")
    (photos / "dog" / "0.jpg").rename(photos / "dog" / f"{'x' * 251}.jpg")
    data = own_folder.load(photos, side=32)
    assert {"cat/caf\udce9.jpg", f"dog/{'x' * 251}.jpg"} <= set(data.names) and data.images[:].any((1, 2, 3)).all()


def test_where_nothing_can_be_written_the_split_is_kept_beside_the_checkpoints(photos, tmp_path, monkeypatch):
    whole = embeddings.files.whole

    def guarded(path):
        if path.parent == photos:
            raise UserError("a read-only disk")
        return whole(path)

    monkeypatch.setattr(embeddings.files, "whole", guarded)
    with pytest.raises(UserError, match="read-only"):
        own_folder.load(photos)
    first = own_folder.load(photos, save=tmp_path / "m")
    assert (tmp_path / "m" / "split.npz").exists() and not (photos / "split.npz").exists()
    assert own_folder.load(photos, seed=5, save=tmp_path / "m").query.tolist() == first.query.tolist()
