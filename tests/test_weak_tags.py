"""WSDHQ from pictures and tags on disk to an mAP, by the scripts' own way."""
import json
import sys
import tarfile

import numpy as np
import pytest
from conftest import ROOT, arrays
from made_up_pictures import corel

from gpq import Demo, encode, train
from gpq.config import WSDHQ
from gpq.model.tf1 import tf
from gpq.utils import user_database
from gpq.utils.checkpoints import runs
from gpq.utils.data import __main__ as command
from gpq.utils.data import joined, sets
from gpq.utils.errors import UserError
from gpq.utils.retrieval import evaluation
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.settings import from_command_line
from gpq.utils.training.task import Task


def test_a_training_on_pictures_and_their_tags(tmp_path, monkeypatch):
    """And the same pictures as a user's own, which are prepared as those that it was trained on."""
    config = from_command_line(train.Options, [
        "--method=wsdhq", "--dataset=corel5k", f"--data_dir={corel(tmp_path)}", "--image_size=32", "--dimension=8",
        "--batch_size=14", "--iterations=5", "--n_book=1", "--bn_word=2", "--update_epochs=1",
        f"--model_save_path={tmp_path / 'models'}", "--ImagNet_pretrained_path="])
    task = Task(config)
    data = sets.load(config, tags=True)
    rows = task.indices(0)[0]
    assert np.isin(rows, data.tagged).all() and np.array_equal(task.labels[rows], data.tags[rows])
    assert train.train(task)
    found = evaluation.evaluate(config, str(config.final_checkpoint))
    assert found["queries"] == 6 and found["gallery"] == 30 and 0 < found["mAP"] <= 1
    with tarfile.open(tmp_path / "images.tar") as archive:
        archive.extractall(tmp_path / "own", filter="data")
    small = ["--method=wsdhq", "--dimension=8", "--n_book=1", "--bn_word=2",
             f"--model_load_path={config.final_checkpoint}"]
    monkeypatch.setattr(sys, "argv", ["", *small, f"--images={tmp_path}/own", f"--out={tmp_path}/codes.npz"])
    encode.main()
    own, row = arrays(tmp_path / "codes.npz"), {name: row for row, name in enumerate(data.names)}
    assert own["names"].tolist() == sorted(row) and json.loads(str(own["made_of"]))["prepared"] == "squashed"
    with tf.Graph().as_default(), tf.Session() as session:
        features, codes = Encoder(config, session, str(config.final_checkpoint))(data.images)
    places = [row[name] for name in own["names"]]
    np.testing.assert_allclose(own["features"], features[places], atol=1e-5)
    np.testing.assert_array_equal(own["codes"], codes[places])
    asked = from_command_line(Demo.Options, [*small, f"--image={tmp_path}/own/test/1050.jpeg"])
    np.testing.assert_array_equal(user_database.read_query(runs.chosen(asked)[1]), data.images[row["test/1050.jpeg"]])


@pytest.mark.parametrize("method, has_tags", [("wsdhq", True), ("gpq", False)])
def test_the_command_gives_vectors_their_tags_for_a_method_that_learns_from_them(tmp_path, monkeypatch, method,
                                                                                 has_tags):
    np.save(tmp_path / "f.npy", np.random.default_rng(0).standard_normal((36, 5), np.float32))
    monkeypatch.setattr(sys, "argv", ["", "embeddings", "--features", str(tmp_path / "f.npy"), "--dataset=corel5k",
                                      f"--data_dir={corel(tmp_path)}", f"--method={method}",
                                      f"--out={tmp_path / 'e.npz'}"])
    command.main()
    with np.load(tmp_path / "e.npz") as made:
        assert made["labels"].shape == (36, 2) and ("tags" in made.files) == has_tags


def test_vectors_with_their_pictures_tags(tmp_path):
    data = sets.load(WSDHQ(dataset="corel5k", data_dir=str(corel(tmp_path)), image_size=32), tags=True)
    features = np.random.default_rng(0).standard_normal((36, 5)).astype(np.float32)
    joined.write(tmp_path / "e.npz", features, data)
    found = sets.load(WSDHQ(embeddings=str(tmp_path / "e.npz"), dimension=8), tags=True)
    for name in ("labels", "tags", "tag_vectors", "tag_names", "tagged", "query", "gallery"):
        assert np.array_equal(getattr(found, name), getattr(data, name)), name
    joined.write(tmp_path / "without.npz", features, data._replace(tags=None))
    with pytest.raises(UserError, match="embeddings has no tags to learn from"):
        sets.load(WSDHQ(embeddings=str(tmp_path / "without.npz")), tags=True)


def test_the_shipped_sample_trains_wsdhq_with_nothing_else():
    task = Task(from_command_line(None, ["--method=wsdhq", f"--data_dir={ROOT / 'cifar10'}"]))
    assert task.labels.shape == (6000, 262) and task.epoch_steps > 20
