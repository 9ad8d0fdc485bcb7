"""train.py, Demo.py and encode.py, end to end on real images with a tiny schedule."""
import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, options, run_training, variables
from PIL import Image

from gpq import Demo, encode, train
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import store
from gpq.utils.data import cifar10
from gpq.utils.data.relevance import Matrix
from gpq.utils.errors import Stopped, UserError
from gpq.utils.retrieval import evaluation
from gpq.utils.retrieval.database import Database
from gpq.utils.retrieval.encoder import Encoder, made_of
from gpq.utils.training.logs import scalars


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
    """The folder of an uncut run of 4 epochs of 5 steps."""
    folder = tmp_path_factory.mktemp("uncut")
    run_training(f"--data_dir={data_dir}", f"--model_save_path={folder}",
                 "--total_epochs=4", "--save_term=2")
    return folder


def test_training_writes_what_demo_loads(trained):
    names = {file.name for file in trained.iterdir()}
    assert {f"{stem}.ckpt{part}" for stem in ("2", "4", "12bits")
            for part in (".data-00000-of-00001", ".index", ".json")} <= names
    assert not any(name.startswith(".unfinished") or name.endswith(".meta") for name in names)
    about = json.loads((trained / "12bits.ckpt.json").read_text())
    assert (about["step"], about["epoch"], about["images"]) == (20, 4, 400)
    assert about["settings"]["n_book"] == 3 and np.isfinite(about["losses"]["total"])
    assert not any(name.endswith(store.OPTIMISER) for name in variables(trained / "12bits.ckpt"))
    assert scalars(trained / "logs").keys() == {"n_pair", "classification", "entropy", "total",
                                                   "learning_rate"}


def test_a_run_cut_by_sigterm_and_resumed_ends_like_an_uncut_one(trained, data_dir, tmp_path, monkeypatch, capsys):
    def terminated(writer, step, write=train.write_scalars, **values):
        write(writer, step, **values)
        if step == 12:
            signal.raise_signal(signal.SIGTERM)

    arguments = [f"--data_dir={data_dir}", f"--model_save_path={tmp_path}", "--total_epochs=4", "--save_term=2"]
    with monkeypatch.context() as patched:
        patched.setattr(train, "write_scalars", terminated)
        with pytest.raises(Stopped, match="stopped; go on with --resume") as stopped:
            run_training(*arguments)
    assert stopped.value.number == signal.SIGTERM and "epoch: 2/4, iter: 10 " in capsys.readouterr().out
    assert json.loads((tmp_path / "interrupted.ckpt.json").read_text())["step"] == 12
    run_training(*arguments, "--resume")
    uncut, resumed = variables(trained / "4.ckpt"), variables(tmp_path / "4.ckpt")
    assert uncut.keys() == resumed.keys()
    for name in uncut:
        np.testing.assert_array_equal(uncut[name], resumed[name], name)


def test_training_lowers_the_loss(trained):
    losses = list(scalars(trained / "logs")["total"].values())
    assert len(losses) == 20 and np.mean(losses[15:]) < np.mean(losses[:5])


def test_a_fresh_run_never_mixes_with_an_earlier_one(trained, data_dir):
    with pytest.raises(UserError, match="--resume"):
        run_training(f"--data_dir={data_dir}", f"--model_save_path={trained}")


def test_pretrained_weights_are_used_where_there_are_some(trained, data_dir, tmp_path, capsys):
    import scipy.io
    arrays = {f"{name}:0": value for name, value in variables(trained / "12bits.ckpt").items()
              if name.startswith("Fixed_VGG") and "dense" not in name}
    scipy.io.savemat(tmp_path / "F.mat", arrays)
    run_training(f"--data_dir={data_dir}", f"--model_save_path={tmp_path}", "--total_epochs=1",
                 f"--ImagNet_pretrained_path={tmp_path / 'F.mat'}")
    assert "Loaded 40 pretrained variables" in capsys.readouterr().out
    assert json.loads((tmp_path / "1.ckpt.json").read_text())["initial"] == str(tmp_path / "F.mat")


def demo(trained, data_dir, *arguments):
    return options(Demo.Options, f"--data_dir={data_dir}", f"--model_save_path={trained}",
                   f"--model_load_path={trained}/12bits.ckpt", *arguments)


@pytest.mark.parametrize("follow", ["release", "paper"])
def test_demo_prints_the_map_of_a_plain_search(trained, data_dir, tmp_path, monkeypatch, capsys, follow):
    monkeypatch.chdir(tmp_path)
    config = demo(trained, data_dir, "--query=3", f"--follow={follow}")
    Demo.evaluate(config)
    out = capsys.readouterr().out
    printed = float(out.split("12bits.ckpt mAP: ")[1].split()[0])
    assert "distinct codes of 12 bits" in out and "seconds: data" in out
    with Image.open("retrieval_result_3.png") as figure:
        assert figure.width > 500

    data = cifar10.load(data_dir)
    with tf.Graph().as_default(), tf.Session() as session:
        encoder = Encoder(config, session, config.checkpoint)
        queries, _ = encoder(data.images[data.query])
        _, codes = encoder(data.images[data.gallery])
        books = encoder.codebooks()
    table = np.einsum("qmd,mkd->qmk", queries.reshape(10, 3, 4), books).astype(np.float64)
    distances = 3 - sum(table[:, m, codes[:, m]] for m in range(3))
    distances = np.round(distances, 5)  # equal codes tie; rounding makes the plain way agree on that
    expected = []
    for distance, label in zip(distances, data.labels[data.query], strict=True):
        good = data.labels[data.gallery][:, label.argmax()]
        shuffled = []
        for seed in range(200):
            order = np.lexsort((np.random.default_rng(seed).permutation(180), distance))
            ranks = np.flatnonzero(good[order]) + 1
            shuffled.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
        expected.append(np.mean(shuffled))
    assert printed == pytest.approx(np.mean(expected), abs=2e-3)


def test_demo_uses_its_database_again_only_for_the_same_checkpoint_and_settings(
        trained, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (trained / "12bits.ckpt.database.npz").unlink(missing_ok=True)
    again = "Retrieval database from"
    Demo.evaluate(demo(trained, data_dir))
    first = capsys.readouterr().out
    Demo.evaluate(demo(trained, data_dir))
    second = capsys.readouterr().out
    Demo.evaluate(demo(trained, data_dir, "--follow=paper"))
    third = capsys.readouterr().out
    Demo.evaluate(demo(trained, data_dir, f"--model_load_path={trained}/2.ckpt", "--follow=paper"))
    assert again not in first and again in second and again not in third + capsys.readouterr().out
    assert first.split("mAP: ")[1][:6] == second.split("mAP: ")[1][:6]


def test_a_database_is_good_for_the_settings_that_decide_its_codes(trained, data_dir):
    others = (["--follow=paper"], ["--alpha=5"], ["--n_book=6", "--len_code=2"], ["--n_book=4", "--len_code=3"])
    made = [made_of(demo(trained, data_dir, *other), f"{trained}/4.ckpt")
            for other in ([], ["--lam_1=0.2"], *others)]
    assert made[0] == made[1] and all(made[0] != each for each in made[2:])


def test_demo_honours_the_similarity_file(trained, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation.relevance, "similarity", lambda path, data: Matrix(np.ones((10, 180), bool)))
    config = demo(trained, data_dir)
    Demo.evaluate(config)
    assert "mAP: 1.0000" in capsys.readouterr().out
    assert evaluation.evaluate(config, config.checkpoint)["mAP"] == pytest.approx(1)  # there is one way to an mAP


def test_demo_takes_what_was_trained_and_says_so(trained, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Demo.evaluate(options(Demo.Options, f"--data_dir={data_dir}", f"--model_save_path={trained}"))
    said = capsys.readouterr().out
    assert f"Searching by {trained}/12bits.ckpt, the newest finished training" in said
    assert f"{trained}/12bits.ckpt mAP: 0." in said


def test_demo_refuses_a_checkpoint_of_another_protocol(trained, data_dir):
    with pytest.raises(UserError, match="12bits.ckpt was trained with protocol=1 and the settings say 2"):
        Demo.evaluate(demo(trained, data_dir, "--protocol=2"))


def test_demo_refuses_a_query_out_of_range(trained, data_dir):
    with pytest.raises(UserError, match="query is 10, but the queries are 0 to 9"):
        Demo.evaluate(demo(trained, data_dir, "--query=10"))


def test_any_picture_can_be_searched_for(trained, data_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGBA", (50, 20), (255, 0, 0, 100)).save("see through.png")
    Demo.evaluate(demo(trained, data_dir, "--image=see through.png"))
    assert Path("retrieval_result_see through.png").exists()


def test_own_pictures_are_encoded_and_searched(trained, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = cifar10.load(data_dir)
    Path("mine").mkdir()
    for i in range(20):
        Image.fromarray(data.images[data.gallery[i * 8]]).save(f"mine/{i:02}.png")
    np.save("mine.npy", data.images[data.gallery[:160:8]])
    Path("mine/sub").mkdir()
    Path("mine/07.png").rename("mine/sub/07.png")
    Path("mine/19.png").rename("mine/sub/19.png")
    Path("mine/empty.png").touch()
    # With both sides normalised a picture's own code is the nearest there can be.
    common = [*SMALL, "--follow=paper", f"--model_load_path={trained}/12bits.ckpt"]
    for source, out in (("mine", "a.npz"), ("mine.npy", "b.npz")):
        monkeypatch.setattr(sys, "argv", ["encode", *common, f"--images={source}", f"--out={out}"])
        encode.main()
    with np.load("a.npz") as a, np.load("b.npz") as b:
        assert a["features"].shape == (20, 12) and a["features"].dtype == np.float32
        assert a["codes"].shape == (20, 3) and a["codes"].dtype == np.uint8
        order = [*range(7), *range(8, 19), 7, 19]
        assert [Path(name).stem for name in a["names"]] == [f"{i:02}" for i in order]
        np.testing.assert_array_equal(a["codes"], b["codes"][order])
        np.testing.assert_array_equal(Database.load("a.npz").codes, a["codes"])
    said = capsys.readouterr().err
    assert "mine/empty.png cannot be read and is left out" in said and "mine: 1 of 21 pictures are left out" in said
    assert {file.name for file in Path().iterdir()} == {"mine", "mine.npy", "a.npz", "b.npz"}
    for database, name in (("a.npz", "sub/07.png"), ("b.npz", "7")):
        Demo.search_own(options(Demo.Options, *common, f"--database={database}", "--image=mine/sub/07.png"))
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 16
        nearest = lines[0].split()[0]
        assert name in [line.split()[1] for line in lines[:15] if line.split()[0] == nearest]
    np.save("mine.npy", np.load("mine.npy")[:1])  # what is gone cannot be shown
    Demo.search_own(options(Demo.Options, *common, "--database=b.npz", "--image=mine/sub/07.png"))
    for other in ("follow=release", "alpha=5.0"):
        with pytest.raises(UserError, match=f"was not made with {other}"):
            Demo.search_own(options(Demo.Options, *common, f"--{other}", "--database=a.npz", "--image=mine/sub/07.png"))
    with pytest.raises(UserError, match="a.npz is not of the gallery of CIFAR-10, whose queries mAP is measured by"):
        Demo.search_own(options(Demo.Options, *common, "--database=a.npz", f"--data_dir={data_dir}"))
