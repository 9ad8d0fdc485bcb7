"""WSDHQ and WDHT from train.py to Demo, on made-up vectors and tags."""
import json
import shutil

import made_up
import numpy as np
import pytest
from conftest import variables

from gpq import Demo, train
from gpq.model.tf1 import tf
from gpq.utils.errors import UserError
from gpq.utils.retrieval import evaluation, metrics
from gpq.utils.retrieval.database import Database
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.settings import from_command_line, refuse_idle
from gpq.utils.training import task as tasks


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    _, labels = made_up.vectors()
    return [f"--embeddings={made_up.file(folder / 'v.npz')}", f"--tags={made_up.tags(folder / 't.npz', labels)}"]


def settings(files, folder, *others, own=train.Options, method="wsdhq"):
    small = ["--dimension=8", "--n_book=2", "--bn_word=4", "--batch_size=60", "--learning_rate=1e-2", "--save_term=2"]
    return from_command_line(own, [f"--method={method}", *files, *small, f"--model_save_path={folder}", *others])


def run(*arguments, **others):
    config = settings(*arguments, **others)
    refuse_idle(config)
    return train.train(tasks.Task(config))


@pytest.fixture(scope="module")
def trained(files, tmp_path_factory):
    """The folder of an uncut run of 8 epochs of 4 steps, with rounds after steps 11, 21 and 31."""
    folder = tmp_path_factory.mktemp("uncut")
    assert run(files, folder, "--iterations=32", "--hidden=[9]")
    return folder


def test_a_run_that_was_killed_and_resumed_ends_like_an_uncut_one(files, trained, tmp_path, monkeypatch):
    """Codes, codebooks and stored features too: it dies in epoch 7, after two rounds, and goes on from epoch 6."""
    def killed(task, step, draw=tasks.draw):
        if step == 25:
            raise RuntimeError("killed")
        return draw(task, step)

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="killed"):
        patched.setattr(tasks, "draw", killed)
        run(files, tmp_path, "--iterations=32", "--hidden=[9]")
    assert not (tmp_path / "interrupted.ckpt.json").exists()
    run(files, tmp_path, "--iterations=32", "--hidden=[9]", "--resume")
    uncut, resumed = variables(trained / "8.ckpt"), variables(tmp_path / "8.ckpt")
    assert uncut.keys() == resumed.keys() >= {f"wsdhq/{name}" for name in ("C", "G", "codes", "store", "started")}
    for name in uncut:
        np.testing.assert_array_equal(uncut[name], resumed[name], name)
    assert uncut["wsdhq/started"] and (uncut["wsdhq/codes"] >= 0).all() and uncut["wsdhq/store"].any(1).all()


def test_a_run_does_not_go_on_with_other_tags(files, trained, tmp_path):
    """Of the same file, made anew."""
    tags = made_up.tags(tmp_path / "t.npz", made_up.vectors()[1], seed=1)
    shutil.copytree(trained, tmp_path / "again")
    about = tmp_path / "again" / "8.ckpt.json"
    about.write_text(about.read_text().replace(files[1].removeprefix("--tags="), tags))
    with pytest.raises(UserError, match="8.ckpt was trained with other tags than these; put those back"):
        run([files[0], f"--tags={tags}"], tmp_path / "again", "--iterations=32", "--hidden=[9]", "--resume")


def test_a_finished_checkpoint_holds_what_retrieval_needs(trained):
    assert variables(trained / "wsdhq_8bits.ckpt").keys() == {
        "Embeddings/hidden1/kernel", "Embeddings/hidden1/bias", "wsdhq/fc8/kernel", "wsdhq/fc8/bias", "wsdhq/C",
        "wsdhq/G"}
    about = json.loads((trained / "wsdhq_8bits.ckpt.json").read_text())
    assert about["step"] == 32 and about["losses"]["quantization"] > 0


def test_demo_ranks_by_inner_products_with_sums_of_words(files, trained, tmp_path, monkeypatch, capsys):
    """AQD, SQD and the features' own, each against a plain product."""
    monkeypatch.chdir(tmp_path)
    config = settings(files, trained, "--hidden=[9]", own=Demo.Options)
    Demo.evaluate(config)
    said = capsys.readouterr().out
    found = evaluation.evaluate(config, str(config.final_checkpoint))
    assert f"mAP: {found['mAP']:.4f}" in said and f"(SQD): {found['symmetric_mAP']:.4f}" in said

    data = tasks.Task(settings(files, trained, "--hidden=[9]"))._data
    with tf.Graph().as_default(), tf.Session() as session:
        encoder = Encoder(config, session, str(config.final_checkpoint), like=data.images)
        queries, query_codes = encoder(data.images, rows=data.query)
        features, codes = encoder(data.images, rows=data.gallery)
        books = encoder.codebooks()

    def plain(asking, searched):
        scores = np.round(asking.astype(np.float64) @ searched.T.astype(np.float64), 6)
        relevant = (data.labels[data.query][:, None] & data.labels[data.gallery]).any(2)
        each = []
        for score, right in zip(scores, relevant, strict=True):
            shuffled = []
            for seed in range(50):
                order = np.lexsort((np.random.default_rng(seed).permutation(len(score)), -score))
                ranks = np.flatnonzero(right[order]) + 1
                shuffled.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
            each.append(np.mean(shuffled))
        return np.mean(each)

    reconstructed, asked = (books[[0, 1], code].sum(1) for code in (codes, query_codes))
    assert found["mAP"] == pytest.approx(plain(queries, reconstructed), abs=2e-3)
    assert found["symmetric_mAP"] == pytest.approx(plain(asked, reconstructed), abs=2e-3)
    assert found["unquantised_mAP"] == pytest.approx(plain(queries, features), abs=2e-3)
    assert found["mAP"] > 0.9


def test_the_length_of_a_query_does_not_count_and_that_of_a_reconstruction_does(files):
    """Acceptance check 10."""
    books = np.zeros((1, 4, 2), np.float32)
    books[0, :3] = [[1, 0.2], [0.9, 0.5], [0.1, 1]]
    query, codes = np.array([[1, 0.1]], np.float32), np.array([[2], [1], [0]], np.uint8)

    def ranking(query, books):
        from gpq.utils.retrieval.search import search
        return search(Database(codes, books, None, {}, added=True), query, 3)[1].tolist()

    longer = books.copy()
    longer[0, 1] *= 3
    assert ranking(query, books) == ranking(7 * query, books) == [[2, 1, 0]]
    assert ranking(query, longer) == [[1, 2, 0]]


@pytest.mark.parametrize("others", [["--normalize=paper", "--n_book=6"],
                                    ["--margin_rule=fixed", "--n_book=1"]])
def test_every_variant_learns(files, tmp_path, others):
    run(files, tmp_path, "--iterations=24", "--eval_term=6", "--n_validation=30", *others)
    assert json.loads((tmp_path / "6.ckpt.json").read_text())["judged"] > 0.8


def test_wdht_learns(files, tmp_path):
    run(files, tmp_path, "--iterations=24", "--eval_term=6", "--n_validation=30", method="wdht")
    about = json.loads((tmp_path / "wdht_8bits.ckpt.json").read_text())
    assert about["judged"] > 0.8 and about["settings"]["method"] == "wdht"


@pytest.mark.parametrize("others, says", [
    (["--total_epochs=3"], "total_epochs has no effect while method is wsdhq"),
    (["--margin=0.3"], "margin has no effect while margin_rule is adaptive; set margin_rule to fixed"),
    (["--gamma=2", "--margin_rule=fixed"], "gamma has no effect while margin_rule is fixed; set margin_rule to adapt"),
    (["--dimension=300"], "dimension is 300, but the tags have vectors of 8 numbers; set dimension=8"),
    (["--iterations=10"], "iterations is 10, but codebooks are first fitted after step 11"),
    (["--batch_size=900"], "batch_size is 900, but there are 27. tagged images")])
def test_a_mistake_ends_in_one_sentence(files, tmp_path, others, says):
    with pytest.raises(UserError, match=says):
        run(files, tmp_path, *(["--iterations=32"] + others))


def test_without_tags_there_is_nothing_to_learn_from(files, tmp_path):
    with pytest.raises(UserError, match="has no tags to learn from; give a .npz file of them by --tags"):
        run(files[:1], tmp_path)


def test_wdht_has_no_other_margin(files, tmp_path):
    with pytest.raises(UserError, match="gamma has no effect while method is wdht"):
        run(files, tmp_path, "--gamma=2", method="wdht")


def test_a_query_without_hits_is_left_out(files):
    """Acceptance check 9."""
    database = Database(np.arange(4, dtype=np.uint8)[:, np.newaxis], np.eye(4, dtype=np.float32)[np.newaxis], None, {},
                        added=True)
    queries, relevant = np.eye(4, dtype=np.float32)[:2], evaluation.relevance.Matrix(np.eye(4, dtype=bool)[[0, 3]])
    found = {way: metrics.mean_average_precision(database, queries, relevant, 1, "stable", way)
             for way in ("drop", "zero")}
    assert found == {"drop": 1, "zero": 0.5}
