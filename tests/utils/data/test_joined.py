"""Features of a data set's images become a file of embeddings."""
import sys

import numpy as np
import pytest
from split_rule import SAMPLE

from gpq.utils.data import __main__ as command
from gpq.utils.data import cifar10, embeddings, joined
from gpq.utils.errors import UserError


@pytest.fixture
def features(tmp_path, monkeypatch):
    """Features of the sample by two models, f.npy and g.npy, of very different scale."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    made = {"f.npy": generator.random((6000, 5)).astype(np.float16),
            "g.npy": 1000 * generator.random((6000, 3)).astype(np.float16)}
    for name, array in made.items():
        np.save(name, array)
    return made


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    command.main()


@pytest.mark.parametrize("arguments", [(), ("--protocol=2", "--known_classes=[1,2]")])
def test_features_get_the_labels_and_the_split_of_their_data_set(features, monkeypatch, arguments):
    data = cifar10.load(SAMPLE, *((2, (1, 2)) if arguments else ()))
    run(monkeypatch, "embeddings", "--features=f.npy", f"--data_dir={SAMPLE}", "--out=v.npz", *arguments)
    found = embeddings.load("v.npz")
    for name in ("labels", *embeddings.ROLES):
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name))
    assert (found.images == features["f.npy"]).all() and found.class_names == data.class_names
    assert found.source.part == "the sample"


def test_several_are_joined_at_one_scale(features, monkeypatch):
    run(monkeypatch, "embeddings", "--features", "f.npy", "g.npy", f"--data_dir={SAMPLE}", "--out=v.npz")
    parts = np.split(embeddings.load("v.npz").images.astype(float), [5], axis=1)
    for part, before in zip(parts, features.values(), strict=True):
        before = before.astype(float)
        np.testing.assert_allclose(np.mean(part ** 2, axis=1), 1, atol=1e-2)
        cosines = np.sum(part * before, 1) / np.linalg.norm(part, axis=1) / np.linalg.norm(before, axis=1)
        np.testing.assert_allclose(cosines, 1, atol=1e-5)


def test_numbers_whose_squares_float32_has_not_are_joined_too(features):
    wanted = joined.join(["f.npy", "f.npy"]).astype(float)
    for scale in (1e-30, 1e25):
        np.save("large.npy", features["f.npy"] * np.float32(scale))
        np.testing.assert_allclose(joined.join(["large.npy", "large.npy"]), wanted, atol=2e-3)


def test_what_does_not_fit_is_said(features, monkeypatch):
    with pytest.raises(UserError, match=r"the features are \[7, 5\], but there are 6000 images"):
        joined.write("w.npz", features["f.npy"][:7], cifar10.load(SAMPLE))
    np.save("short.npy", features["g.npy"][:7])
    with pytest.raises(UserError, match="short.npy holds 7 vectors and f.npy 6000; make both of the same images"):
        joined.join(["f.npy", "short.npy"])
    with pytest.raises(UserError, match="unrecognized arguments: --protocol=2; --help lists"):
        run(monkeypatch, "fetch", "cifar10", "--data_dir=a", "--protocol=2")


def test_the_first_of_each_class_may_be_labelled(features, monkeypatch):
    """SPQ's protocol has no labelled images; GPQ needs some."""
    data = cifar10.load(SAMPLE, 3)
    run(monkeypatch, "embeddings", "--features=f.npy", f"--data_dir={SAMPLE}", "--protocol=3", "--labelled=7",
        "--out=v.npz")
    found = embeddings.load("v.npz")
    assert (found.labels[found.labelled].sum(0) == 7).all() and not len(data.labelled)
    for role in ("query", "gallery", "training"):
        np.testing.assert_array_equal(getattr(found, role), getattr(data, role))
    for column in data.labels.T:
        np.testing.assert_array_equal(found.labelled[column[found.labelled]],
                                      data.training[column[data.training]][:7])
    for count in (0, 5000):
        with pytest.raises(UserError, match=f"{count} labelled images of each class are asked for, and CIFAR-10 has"):
            run(monkeypatch, "embeddings", "--features=f.npy", f"--data_dir={SAMPLE}", "--protocol=3",
                f"--labelled={count}", "--out=v.npz")
