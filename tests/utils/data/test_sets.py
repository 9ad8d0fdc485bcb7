"""The list of data sets, and the commands that get them, by their new name and their first ones."""
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from forgery import published
from split_rule import ORDER, SAMPLE

from utils.data import __main__ as command
from utils.data import archives, cifar10, sets


def test_cifar10_by_its_settings():
    config = SimpleNamespace(dataset="cifar10", backbone="modified_vgg", data_dir=SAMPLE, protocol=2, image_size=32,
                             known_classes=(1, 8))
    data = sets.load(config)
    assert data.source.name == "CIFAR-10" and np.unique(data.labels[data.labelled].argmax(1)).tolist() == [1, 8]
    assert len(data.validation) == 0 and set(data.positions) <= set(ORDER)


def test_cifar100_by_its_settings(tmp_path):
    for split, count in (("train", 7), ("test", 3)):
        (tmp_path / split).write_bytes(archives.batch_bytes(published(split, count)))
    data = sets.load(SimpleNamespace(dataset="cifar100", backbone="cnn_f", data_dir=tmp_path, image_size=32))
    assert data.source.name == "CIFAR-100" and len(data.labelled) == 7 and len(data.validation) == 3


@pytest.mark.parametrize("door, arguments, wanted", [
    (None, "fetch cifar10", ("cifar10", "cifar10")), (None, "fetch cifar100 --data_dir=x", ("cifar100", "x")),
    ("cifar10", "fetch", ("cifar10", "cifar10")), ("cifar10", "fetch --data_dir=x", ("cifar10", "x")),
    ("cifar100", "fetch", ("cifar100", "cifar100")), ("cifar10", "sample --data_dir=a --out=b", ("a", "b")),
    (None, "sample --data_dir=a --out=b", ("a", "b"))])
def test_what_a_command_line_asks_for(monkeypatch, door, arguments, wanted):
    asked = []
    for name, row in sets.SETS.items():
        monkeypatch.setitem(sets.SETS, name, row._replace(fetch=lambda folder, name=name: asked.append((name, folder))))
    monkeypatch.setattr(command, "make_sample", lambda *folders: asked.append(folders))
    monkeypatch.setattr(sys, "argv", ["", *arguments.split()])
    command.main(door)
    assert asked == [wanted]


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("module, arguments", [
    ("utils.data", "fetch cifar10 --data_dir={}/f/d"), ("utils.data", "fetch cifar100 --data_dir={}/f/d"),
    ("utils.cifar10", "fetch --data_dir={}/f/d"), ("utils.cifar10", "sample --data_dir=nowhere --out={}"),
    ("utils.cifar100", "fetch --data_dir={}/f/d")])
def test_command_ends_in_one_sentence(tmp_path, module, arguments, monkeypatch, capsys):
    (tmp_path / "f").write_text("")
    monkeypatch.chdir(cifar10.HOME.parent)
    monkeypatch.setattr(sys, "argv", [module, *arguments.format(tmp_path).split()])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert ("Cannot write" if "fetch" in arguments else "no folder nowhere") in said


def test_another_data_sets_command_is_refused(monkeypatch, capsys):
    for door, arguments in (("cifar100", ["sample"]), ("cifar10", ["fetch", "cifar100"]), (None, ["fetch", "mnist"])):
        monkeypatch.setattr(sys, "argv", ["", *arguments])
        with pytest.raises(SystemExit):
            command.main(door)
    assert "mnist" in capsys.readouterr().err
