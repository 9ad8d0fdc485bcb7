"""The .npy files of WSDHQ's release: read without trust, and what lies beside them."""
import io
import os
import pickle
import shlex

import numpy as np
import pytest
from conftest import ROOT
from made_up_pictures import lists

from gpq.config import WSDHQ
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import pretrained, store, wsdhq_release
from gpq.utils.errors import UserError
from gpq.utils.methods import METHODS
from gpq.utils.settings import from_command_line


def released(generator, trained=True):
    """What the release's checkpoints hold, with few channels."""
    made = {f"conv{n}": [generator.normal(size=(3, 3, 2, n + 1)).astype(np.float32), np.ones(n + 1, np.float32)]
            for n in range(1, 6)}
    made |= {f"fc{n}": [generator.normal(size=(4, n)).astype(np.float32), np.zeros(n, np.float32)] for n in (6, 7)}
    if trained:
        made |= {"fc8": [np.asfortranarray(generator.normal(size=(7, 5)).astype(np.float32)), np.ones(5)],
                 "C": generator.normal(size=(32, 5)).astype(np.float32)}
    return made


def npy(path, content, pickled):
    """A .npy file of the object `content` with `pickled` in its place."""
    whole = io.BytesIO()
    np.save(whole, np.array(content, object))
    header = 10 + int.from_bytes(whole.getvalue()[8:10], "little")
    path.write_bytes(whole.getvalue()[:header] + pickled)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_every_form_that_numpy_wrote_is_read(tmp_path, protocol):
    made = released(np.random.default_rng(0))
    npy(tmp_path / "x.npy", made, pickle.dumps(np.array(made, object), protocol))
    found = wsdhq_release.read(tmp_path / "x.npy")
    assert found.keys() == {"wsdhq/C", *(f"{'wsdhq' if layer == 'fc8' else 'AlexNet'}/{layer}/{kind}"
                                         for layer in made if layer != "C" for kind in ("kernel", "bias"))}
    np.testing.assert_array_equal(found["wsdhq/fc8/kernel"], made["fc8"][0])
    np.testing.assert_array_equal(found["AlexNet/conv2/kernel"], made["conv2"][0])
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_hostile_or_damaged_file_is_refused_and_not_run(tmp_path):
    made = released(np.random.default_rng(0))
    npy(tmp_path / "hostile.npy", made, pickle.dumps(np.array({"conv1": Hostile(tmp_path / "made")}, object)))
    npy(tmp_path / "objects.npy", made, pickle.dumps(np.array({"C": np.array([made], object)}, object)))
    npy(tmp_path / "short.npy", made, pickle.dumps(np.array(made, object))[:-300])
    np.save(tmp_path / "plain.npy", np.ones(3))
    (tmp_path / "text.npy").write_text("no array")
    for name in ("hostile", "objects", "short", "plain", "text"):
        with pytest.raises(UserError, match=f"{name}.npy is damaged or no .npy of WSDHQ's release"):
            wsdhq_release.read(tmp_path / f"{name}.npy")
    assert not (tmp_path / "made").exists()
    with pytest.raises(UserError, match="there is no file .*none.npy"):
        wsdhq_release.read(tmp_path / "none.npy")


def test_a_checkpoint_codes_by_the_tag_vectors_beside_it(tmp_path):
    np.save(tmp_path / "x.npy", np.array(released(np.random.default_rng(0)), object))
    with pytest.raises(UserError, match="there is no file .*FinalTagEmbs.txt; copy the one by which .*x.npy codes"):
        store.reader(tmp_path / "x.npy")
    np.savetxt(tmp_path / "FinalTagEmbs.txt", np.ones((3, 4)))
    with pytest.raises(UserError, match="has vectors of 4 numbers and .*x.npy words of 5"):
        store.reader(tmp_path / "x.npy")
    w = np.random.default_rng(1).normal(size=(3, 5))
    np.savetxt(tmp_path / "FinalTagEmbs.txt", w)
    reader = store.reader(str(tmp_path / "x.npy"))
    np.testing.assert_allclose(reader.get_tensor("wsdhq/G"), w.T @ w, rtol=1e-5, atol=1e-6)
    shapes = reader.get_variable_to_shape_map()
    fits = {"dimension": 5, "n_book": 2, "bn_word": 4, "backbone": "alexnet"}
    METHODS["wsdhq"](WSDHQ(**fits)).check("x.npy", shapes)
    for wrong, says in (({"dimension": 300}, "set dimension=5"), ({"bn_word": 3}, "set n_book=4"),
                        ({"backbone": "modified_vgg"}, "set backbone=alexnet")):
        with pytest.raises(UserError, match=says):
            METHODS["wsdhq"](WSDHQ(**{**fits, **wrong})).check("x.npy", shapes)
    assert len(store.fingerprint(tmp_path / "x.npy")) == 64


def test_tag_vectors_are_found_where_the_release_has_them_and_decide_the_fingerprint(tmp_path):
    np.save(tmp_path / "x.npy", np.array(released(np.random.default_rng(0)), object))
    config = WSDHQ(dataset="flickr25k", data_dir=str(tmp_path / "root"))
    folder = tmp_path / "root" / "data" / "flickr25k" / "tags"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match="there is no file .*FinalTagEmbs.txt"):
        store.reader(tmp_path / "x.npy", config)
    np.savetxt(folder / "FinalTagEmbs.txt", 2 * np.eye(5))
    assert store.reader(tmp_path / "x.npy", config).get_tensor("wsdhq/G").tolist() == (4 * np.eye(5)).tolist()
    before = store.fingerprint(tmp_path / "x.npy", config)
    np.savetxt(tmp_path / "FinalTagEmbs.txt", np.eye(5))  # beside the checkpoint comes first
    assert store.reader(tmp_path / "x.npy", config).get_tensor("wsdhq/G").tolist() == np.eye(5).tolist()
    assert store.fingerprint(tmp_path / "x.npy", config) != before


def test_alexnet_starts_from_its_file(session, tmp_path):
    np.save(tmp_path / "alexnet.npy", np.array(released(np.random.default_rng(0), trained=False), object))
    for name, array in wsdhq_release.read(tmp_path / "alexnet.npy").items():
        tf.get_variable(name, array.shape)
    assert pretrained.load_pretrained(session, tmp_path / "alexnet.npy") == 14
    kernel = next(v for v in tf.global_variables() if v.op.name == "AlexNet/fc7/kernel")
    expected = np.load(tmp_path / "alexnet.npy", allow_pickle=True).item()["fc7"][0]
    np.testing.assert_array_equal(session.run(kernel), expected)


def test_the_lines_of_the_document_read_flickr_s(tmp_path, monkeypatch):
    """A checkpoint with few channels; searching itself takes 58 million weights."""
    text = (ROOT / "docs" / "wsdhq.md").read_text().replace("\\\n", "")
    lines = [shlex.split(line) for line in text.splitlines() if line.startswith("    python") and "NAME.npy" in line]
    (searching,) = (line[line.index("Demo.py") + 1:] for line in lines)
    monkeypatch.chdir(lists(tmp_path))
    generator = np.random.default_rng(0)
    words = generator.normal(size=(1024, 300)).astype(np.float32)
    made = {"conv1": [np.ones((3, 3, 3, 2), "f"), np.ones(2, "f")], "fc8": [np.ones((4, 300), "f"), np.ones(300, "f")]}
    np.save("NAME.npy", np.array({**made, "C": words}, object))
    np.savetxt("data/flickr25k/tags/FinalTagEmbs.txt", np.eye(2, 300))
    config = from_command_line(None, searching)
    found = store.reader(config.checkpoint, config)
    METHODS["wsdhq"](config).check(config.checkpoint, found.get_variable_to_shape_map())
    np.testing.assert_array_equal(found.get_tensor("wsdhq/C"), words)
