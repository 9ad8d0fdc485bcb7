"""The list of data sets, and the commands that get them, by their new name and their first ones."""
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from forgery import batch_bytes, published
from split_rule import ORDER, SAMPLE

from gpq import encode
from gpq.utils.data import __main__ as command
from gpq.utils.data import cifar10, sets
from gpq.utils.data.pictures import tell
from gpq.utils.errors import UserError
from gpq.utils.settings import from_command_line


def test_cifar10_by_its_settings():
    config = SimpleNamespace(dataset="cifar10", backbone="modified_vgg", data_dir=SAMPLE, protocol=2, image_size=32,
                             known_classes=(1, 8))
    data = sets.load(config)
    assert data.source.name == "CIFAR-10" and np.unique(data.labels[data.labelled].argmax(1)).tolist() == [1, 8]
    assert len(data.validation) == 0 and set(data.positions) <= set(ORDER)


def test_cifar100_by_its_settings(tmp_path):
    for split, count in (("train", 7), ("test", 3)):
        (tmp_path / split).write_bytes(batch_bytes(published(split, count)))
    data = sets.load(SimpleNamespace(dataset="cifar100", backbone="cnn_f", data_dir=tmp_path, image_size=32))
    assert data.source.name == "CIFAR-100" and len(data.labelled) == 7 and len(data.validation) == 3


@pytest.mark.parametrize("arguments, wanted", [
    ("fetch cifar10", ("cifar10", "cifar10")), ("fetch cifar100 --data_dir=x", ("cifar100", "x"))])
def test_what_a_command_line_asks_for(monkeypatch, arguments, wanted):
    asked = []
    for name, row in sets.SETS.items():
        monkeypatch.setitem(sets.SETS, name, row._replace(fetch=lambda folder, name=name: asked.append((name, folder))))
    monkeypatch.setattr(sys, "argv", ["", *arguments.split()])
    command.main()
    assert asked == [wanted]


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("arguments", [
    "fetch cifar10 --data_dir={}/f/d", "fetch cifar100 --data_dir={}/f/d"])
def test_command_ends_in_one_sentence(tmp_path, arguments, monkeypatch, capsys):
    (tmp_path / "f").write_text("")
    monkeypatch.chdir(cifar10.HOME.parent)
    monkeypatch.setattr(sys, "argv", ["gpq.utils.data", *arguments.format(tmp_path).split()])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("gpq.utils.data", run_name="__main__")
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert "Cannot write" in said


@pytest.mark.parametrize("arguments, size", [
    ([], 32), (["--backbone=efficientnet_lite0"], 256), (["--backbone=gist"], 256),
    (["--backbone=efficientnet_lite0", "--input_side=300"], 300), (["--method=spq"], 32),
    (["--backbone=cnn_f", "--image_size=32"], 32), (["--dataset=folder", "--backbone=gist"], 256),
    (["--image_size=48"], 48)])
def test_ones_own_pictures_are_prepared_for_the_network_that_sees_them(arguments, size, capsys):
    """By what the network takes, unless a size is known; a small one is said."""
    tell.cache_clear()
    config = sets.for_own_pictures(from_command_line(encode.Options, arguments))
    assert config.image_size == size
    said = capsys.readouterr().err
    assert ("detail is lost; set image_size=" in said) == (size < config.takes)


def test_an_array_of_ones_own_keeps_its_size(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 32, 32, 3), np.uint8))
    given = [f"--images={tmp_path}/a.npy", "--backbone=efficientnet_lite0"]
    assert sets.for_own_pictures(from_command_line(encode.Options, given)).image_size == 32


def test_another_data_sets_command_is_refused(monkeypatch):
    for arguments in ["fetch"], ["sample", "cifar100"], ["fetch", "mnist"]:
        monkeypatch.setattr(sys, "argv", ["", *arguments])
        with pytest.raises(UserError, match="; --help lists what can be asked for"):
            command.main()
