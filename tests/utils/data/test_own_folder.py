"""A user's own folder: classes, tables, the split that is made once, and mistakes."""
import numpy as np
import pytest
from made_up_pictures import jpeg

import train
from utils.data import own_folder, pictures, sets, tables
from utils.errors import UserError
from utils.retrieval import evaluation
from utils.settings import from_command_line
from utils.training.task import Task


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
    assert data.class_names == ("cat", "dog") and own_folder.n_classes(photos) == 2
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
    pytest.importorskip("pyarrow")
    table(photos, "cat/00.jpg,007;grey,query,fur", "cat/01.jpg,007,labelled,fur; paw", "dog/0.jpg,grey,,",
          "dog/1.jpg,grey,unlabelled,paw", "loose.jpg,,,")
    if kind == "parquet":
        import pyarrow
        from pyarrow import parquet
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
    (["cat/00.jpg,a,,,,"], "labels.csv cannot be read .*; mend it or take it away")])
def test_a_table_that_does_not_fit(photos, rows, says):
    pytest.importorskip("pyarrow")
    with pytest.raises(UserError, match=says):
        own_folder.load(table(photos, *rows), side=32)


def test_other_mistakes(photos, tmp_path):
    with pytest.raises(UserError, match="there is no folder .*nowhere; set data_dir to the folder of your pictures"):
        own_folder.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="known_classes is .*something is named twice"):
        from_command_line(None, ["--protocol=2", "--known_classes=[1,1]"])
    pytest.importorskip("pyarrow")
    with pytest.raises(UserError, match="has the column 'file'; leave it out, or call it one of path, label, tags"):
        own_folder.load(table(photos, "a,b", columns="file,label"))
    (photos / "labels.parquet").write_bytes(b"no")
    with pytest.raises(UserError, match="has both labels.csv and labels.parquet; take one away"):
        own_folder.load(photos)
    (photos / "labels.csv").unlink()
    with pytest.raises(UserError, match="labels.parquet cannot be read"):
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
    assert config.n_CLASSES == 2 and sets.load(config).images.shape == (22, 64, 64, 3)
    assert train.train(config, Task(config))
    found = evaluation.evaluate(config, str(config.final_checkpoint))
    assert 0 < found["mAP"] <= 1
