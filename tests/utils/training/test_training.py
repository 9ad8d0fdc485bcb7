"""Trainings that need no other: held-back images, every choice of settings, numbers that are not finite, pretraining.
"""
import json
import re
import sys

import numpy as np
import pytest
from conftest import options, run_training, variables
from forgery import batch_bytes, published

from gpq import Demo, pretrain
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import pretrained
from gpq.utils.checkpoints.runs import newest
from gpq.utils.data import sets, splits
from gpq.utils.errors import UserError
from gpq.utils.retrieval import evaluation
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.training.logs import scalars


def test_training_reports_held_back_map_each_eval_term_and_at_the_end(data_dir, tmp_path, capsys):
    run_training(f"--data_dir={data_dir}", f"--model_save_path={tmp_path}", "--total_epochs=3", "--eval_term=2",
                 "--n_validation=10")
    about = json.loads((tmp_path / "3.ckpt.json").read_text())
    assert 0 < about["judged"] <= 1 and about["step"] == 12
    assert f"epoch: 3/3, held_back_mAP: {about['judged']:.4f}" in capsys.readouterr().out
    logged = scalars(tmp_path / "logs")["held_back_mAP"]
    assert sorted(logged) == [8, 12] and logged[12] == pytest.approx(about["judged"])


def test_a_run_of_every_choice_is_judged_without_the_queries(data_dir, tmp_path):
    """The same mAP comes of the checkpoint: its held-back images are the queries, every tenth of the gallery's images
    is searched."""
    choices = [f"--data_dir={data_dir}", f"--model_save_path={tmp_path}", "--total_epochs=2", "--eval_term=1",
               "--n_validation=20", "--augmentation=strong", "--decay=cosine",
               "--follow=paper"]
    run_training(*choices)
    about = json.loads((tmp_path / "2.ckpt.json").read_text())
    assert 0 < about["judged"] <= 1 and about["step"] == 6
    config = options(None, *choices)
    data = splits.hold_back(sets.load(config), config, "labelled")
    asked = evaluation.held_back_question(data, config)
    assert (len(asked.queries), len(asked.gallery)) == (20, 18) and not set(asked.queries) & set(data.query)
    with tf.Graph().as_default(), tf.Session() as session:
        encoder = Encoder(config, session, tmp_path / "12bits.ckpt")
        assert evaluation.held_back_map(encoder, data, config) == pytest.approx(about["judged"])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(data_dir, tmp_path):
    arguments = [f"--data_dir={data_dir}", f"--model_save_path={tmp_path}", "--save_term=1"]
    run_training(*arguments, "--total_epochs=1")
    before = variables(tmp_path / "1.ckpt")
    about = json.loads((tmp_path / "1.ckpt.json").read_text())
    about["settings"]["learning_rate"] = 1e30
    (tmp_path / "1.ckpt.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match="newest good checkpoint is .*1.ckpt; lower learning_rate"):
        run_training(*arguments, "--total_epochs=9", "--resume", "--learning_rate=1e30")
    assert newest(tmp_path) == str(tmp_path / "1.ckpt")
    after = variables(tmp_path / "1.ckpt")
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_pretraining_ends_with_an_f_that_training_starts_from(data_dir, tmp_path, monkeypatch, capsys):
    for split, count in {"train": 20, "test": 10}.items():
        (tmp_path / split).write_bytes(batch_bytes(published(split, count)))
    monkeypatch.setattr(sys, "argv", ["pretrain.py", f"--data_dir={tmp_path}", f"--model_save_path={tmp_path}",
                                      f"--out={tmp_path / 'F.mat'}", "--batch_size=10", "--total_epochs=2"])
    pretrain.main()
    said = capsys.readouterr().out
    of_training, of_file = re.findall(r"test_accuracy: ([01]\.\d{4})", said)[-2:]
    assert "epoch: 2/2, test_accuracy: 0." in said and f"--ImagNet_pretrained_path={tmp_path / 'F.mat'}" in said
    assert float(of_file) == pytest.approx(float(of_training), abs=0.1)  # of ten images, one may go another way
    about = json.loads((tmp_path / "CIFAR100_pretrained.ckpt.json").read_text())
    assert (about["step"], about["images"], about["data"]["name"]) == (4, 40, "CIFAR-100")

    with tf.Graph().as_default(), tf.Session() as session:
        Encoder(options(Demo.Options), session)
        session.run(tf.global_variables_initializer())
        assert pretrained.load_pretrained(session, tmp_path / "F.mat") == 40
        loaded = session.run({v.op.name: v for v in tf.trainable_variables("Fixed_VGG/") if "dense" not in v.name})
    trained = variables(tmp_path / "CIFAR100_pretrained.ckpt")
    for name, value in loaded.items():
        np.testing.assert_allclose(value, trained[name], rtol=5e-4, atol=1e-7, err_msg=name)
