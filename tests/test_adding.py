"""The examples of docs/adding.md, each trained for a few steps as it stands there."""
import re
import runpy
import sys

import numpy as np
import pytest
from conftest import ROOT
from made_up import file

from gpq import config, train
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import store
from gpq.utils.data import sets
from gpq.utils.methods import METHODS
from gpq.utils.retrieval import evaluation
from gpq.utils.settings import from_command_line

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "adding.md").read_text(), re.DOTALL)


@pytest.fixture
def added(tmp_path, monkeypatch):
    """added(name, *arguments): run an example with train.py's arguments. Returns (settings, path of the checkpoint)."""
    before = [(kept, kept.copy()) for kept in (config.METHODS, METHODS, sets.SETS)]
    monkeypatch.setattr(config, "DATASETS", config.DATASETS.copy())

    def run(name, *arguments):
        (source,) = (block for block in BLOCKS if block.startswith(f'"""{name}: '))
        assert source.count("\n") < 40
        (tmp_path / name).write_text(source)
        runpy.run_path(str(tmp_path / name))
        arguments = [*arguments, "--batch_size=20", "--total_epochs=2", f"--model_save_path={tmp_path}/m"]
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        train.main()
        made = from_command_line(None, arguments)
        return made, str(made.final_checkpoint)

    yield run
    for kept, was in before:
        kept.clear()
        kept.update(was)


def test_a_loss_is_trained_logged_and_drawn(added, tmp_path, capsys):
    added("spread.py", f"--embeddings={file(tmp_path / 'v.npz')}", "--n_CLASSES=3", "--lam_spread=0.5")
    logged = re.search(r"\(Batch\) loss: .*, ent: \S+, spread: (\d\.\d+), lr", capsys.readouterr().out)
    assert float(logged[1]) > 0
    (events,) = (tmp_path / "m" / "logs").glob("events*")
    assert "spread" in {value.tag for event in tf.train.summary_iterator(str(events)) for value in event.summary.value}


def test_a_method_is_trained_and_retrieves(added, tmp_path):
    made, checkpoint = added("csq.py", "--method=csq", f"--embeddings={file(tmp_path / 'v.npz')}", "--n_CLASSES=3",
                             "--learning_rate=1e-2", "--n_bits=12")
    assert evaluation.evaluate(made, checkpoint)["mAP"] > 0.6
    assert "csq/bits/kernel" in store.reader(checkpoint).get_variable_to_shape_map()


def test_a_data_set_of_pictures_with_several_labels_each(added, tmp_path):
    generator = np.random.default_rng(0)
    labels = np.eye(4, dtype=bool)[generator.integers(0, 4, 200)] | (generator.random((200, 4)) < 0.1)
    pictures = generator.integers(0, 60, (200, 32, 32, 3), np.uint8)
    for label in range(4):  # stripes in a quarter of the picture
        top, left = 16 * (label % 2), 16 * (label // 2)
        pictures[labels[:, label], top:top + 16:4, left:left + 16] = 200
    np.save(tmp_path / "pictures.npy", pictures)
    np.save(tmp_path / "labels.npy", labels)
    made, checkpoint = added("arrays.py", "--dataset=arrays", f"--data_dir={tmp_path}", "--backbone=gist",
                             "--method=dqn", "--learning_rate=1e-2", "--n_bits=12")
    assert evaluation.evaluate(made, checkpoint)["mAP"] > 0.6
