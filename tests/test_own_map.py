"""The mAP of a data set's queries over a database of one's own: a file, a folder, and one that was a faiss index."""
import sys
from dataclasses import replace

import made_up
import numpy as np
import pytest
from conftest import ROOT, options
from made_up_pictures import jpeg

from gpq import Demo, encode, train
from gpq.utils import user_database
from gpq.utils.data import sets
from gpq.utils.errors import UserError
from gpq.utils.retrieval import cluster, evaluation, faiss
from gpq.utils.retrieval.database import Database
from gpq.utils.settings import from_command_line
from gpq.utils.training.task import Task


def fitted(method, *arguments):
    """The command line of a shallow method of 12 bits that has been fitted to the data of `arguments`."""
    given = [f"--method={method}", "--n_bits=12", *arguments]
    config = from_command_line(train.Options, given)
    assert train.train(Task(config))
    return given


def run(monkeypatch, script, *arguments):
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    script.main()


def scored(given, database):
    return user_database.evaluate_map(from_command_line(Demo.Options, [*given, f"--database={database}"]))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """(A folder of 90 photographs of 3 classes, 9 of them queries, and the command line of an ITQ of them)."""
    folder = tmp_path_factory.mktemp("mine") / "photos"
    for number in range(90):
        kind = folder / "abc"[number % 3]
        kind.mkdir(parents=True, exist_ok=True)
        (kind / f"{number:02}.jpg").write_bytes(jpeg(50, 40, number % 40))  # some twice
    given = ["--dataset=folder", f"--data_dir={folder}", "--image_size=32", f"--model_save_path={folder.parent}/models"]
    return folder, fitted("itq", *given)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """(`v.npz` of 300 vectors in a folder, and the command line of a LOPQ of them)."""
    folder = tmp_path_factory.mktemp("vectors")
    file = made_up.file(folder / "v.npz")
    return folder, fitted("lopq", f"--embeddings={file}", f"--model_save_path={folder}")


def test_pictures_known_by_their_names(photos, tmp_path, monkeypatch, capsys):
    """Queries in the database are left out, equal codes are there, and a folder's mAP is that of the file."""
    folder, given = photos
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, encode, *given, f"--images={folder}", "--out=codes.npz")
    monkeypatch.setattr(cluster, "FEWEST", 7)
    run(monkeypatch, encode, *given, f"--images={folder}", "--out=7/")
    whole = scored(given, "codes.npz")
    assert (whole.queries, whole.gallery, whole.left_out) == (9, 81, 9)
    assert scored(given, "7/") == whole
    config = from_command_line(train.Options, given)
    found = evaluation.evaluate(config, whole.checkpoint)
    assert found["distinct_codes"] < found["gallery"] == 81
    assert whole.means == {"mAP": pytest.approx(found["mAP"], abs=1e-7)}
    capsys.readouterr()
    run(monkeypatch, Demo, *given, "--database=7/")
    said = capsys.readouterr().out
    assert f"itq_12bits.ckpt, 7/ mAP: {found['mAP']:.4f}\n9 queries, 81 gallery images, 9 others left out" in said


def test_codes_that_were_a_faiss_index(photos, tmp_path, monkeypatch):
    folder, given = photos
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, encode, *given, f"--images={folder}", "--out=codes.npz")
    run(monkeypatch, faiss, "codes.npz", "codes.faiss")
    run(monkeypatch, faiss, "codes.faiss", "back.npz", "--like=codes.npz")
    assert scored(given, "back.npz") == scored(given, "codes.npz")
    run(monkeypatch, faiss, "codes.faiss", "bare.npz")
    with pytest.raises(UserError, match="bare.npz does not say what made its codes; read them .* with --like=DATABASE"):
        scored(given, "bare.npz")


def test_vectors_known_by_their_place(vectors, tmp_path, monkeypatch):
    """An array of all, and one of the gallery alone; codewords are added, so queries are searched by as codes too."""
    folder, given = vectors
    monkeypatch.chdir(tmp_path)
    data = sets.load(from_command_line(None, given))
    for name, rows in (("all", slice(None)), ("gallery", data.gallery), ("turned", data.gallery[::-1])):
        np.save(f"{name}.npy", data.images[rows])
        run(monkeypatch, encode, *given, f"--images={name}.npy", f"--out={name}.npz")
    whole, part = scored(given, "all.npz"), scored(given, "gallery.npz")
    assert (whole.gallery, whole.left_out, part.left_out) == (len(data.gallery), len(data.query), 0)
    assert whole.means == part.means
    found = evaluation.evaluate(from_command_line(train.Options, given), whole.checkpoint)
    assert whole.means == pytest.approx({name: found[name] for name in ("mAP", "symmetric_mAP")}, abs=1e-4)
    with pytest.raises(UserError, match="turned.npz is not of the gallery of embeddings, .* add --image=FILE"):
        scored(given, "turned.npz")


def test_the_database_that_demo_keeps(vectors, tmp_path, monkeypatch):
    folder, given = vectors
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, Demo, *given)
    kept = folder / "lopq_12bits.ckpt.database.npz"
    assert scored(given, kept).means["mAP"] > 0.75
    database = Database.load(kept)
    database.made_of["data"] = "other"
    database.save("other.npz")
    with pytest.raises(UserError, match="other.npz is of another data set, or another split of it, than embeddings"):
        scored(given, "other.npz")
    np.save("one.npy", made_up.vectors()[0][:1])
    with pytest.raises(UserError, match="is of a data set and not of pictures of your own; leave --database"):
        run(monkeypatch, Demo, *given, f"--database={kept}", "--image=one.npy")


def test_what_is_not_the_gallery_is_said(photos, tmp_path, monkeypatch):
    folder, given = photos
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, encode, *given, f"--images={folder}/a", "--out=part.npz")
    with pytest.raises(UserError, match="part.npz is not of the gallery of folder, whose queries mAP is measured by"):
        scored(given, "part.npz")
    run(monkeypatch, encode, *given, f"--images={folder}", "--out=codes.npz")
    database = Database.load("codes.npz")
    database = replace(database, names=np.array(["gone.jpg", *database.names[1:]]))
    database.save("codes.npz", over_input=True)
    with pytest.raises(UserError, match="lacks 1 of the 81 pictures of the gallery, a/.*jpg for one; make it again"):
        scored(given, "codes.npz")
    with pytest.raises(UserError, match="codes.npz was not made with"):
        user_database.evaluate_map(options(
            Demo.Options, f"--data_dir={ROOT}/cifar10/sample", "--follow=paper", "--len_code=12",
            f"--model_load_path={ROOT}/models/12bits_example.ckpt", "--database=codes.npz"))
