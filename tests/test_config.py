"""The settings: the release's names and defaults, and one sentence for every wrong value."""
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pydantic
import pytest

from gpq import Demo, encode, pretrain, train
from gpq.config import GPQ, METHODS, WSDHQ, Backbone
from gpq.model.backbone import NETWORKS
from gpq.utils.data.tags import __main__ as tags_command
from gpq.utils.errors import UserError
from gpq.utils.settings import combined, from_command_line
from gpq.utils.training import pseudo_labels, soft_labels

ROOT = Path(__file__).parents[1]
RELEASE = dict(
    data_dir="./cifar10",
    model_save_path="./models/", cifar10_label_sim_path="./cifar10/cifar10_Similarity.mat", n_CLASSES=10,
    image_size=32, n_DB=54000, total_epochs=300, batch_size=500, save_term=20,
    len_code=12, n_book=12, bn_word=4, intn_word=16, n_bits=48, alpha=20, beta=4, lam_1=0.1, lam_2=0.1)


def refusal(*arguments, kind=GPQ):
    with pytest.raises(UserError) as error:
        from_command_line(None, arguments, kind)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_defaults_of_the_release():
    config = from_command_line(arguments=[])
    assert {name: getattr(config, name) for name in RELEASE} == RELEASE
    assert config.follow == "release"
    assert Path(config.checkpoint) == Path("models/48bits_example.ckpt")


def test_overriding():
    config = from_command_line(arguments=["--n_book=6", "--total_epochs", "40", "--lam_1=1e-2",
                                          "--freeze=false", "--follow=paper", "--data_dir=a b=c"])
    assert (config.n_book, config.total_epochs, config.lam_1, config.follow) == (6, 40, 0.01, "paper")
    assert config.freeze is False and config.data_dir == "a b=c"


def test_computed_settings_follow():
    config = from_command_line(arguments=["--n_book=6", "--bn_word=5"])
    assert (config.n_bits, config.intn_word, config.checkpoint) == (30, 32, "./models/30bits_example.ckpt")
    assert from_command_line(arguments=["--model_load_path=a/{b}.ckpt"]).checkpoint == "a/{b}.ckpt"


@pytest.mark.parametrize("name, value", [
    ("bn_word", "0"), ("bn_word", "9"), ("bn_word", "four"), ("bn_word", "4.5"), ("bn_word", ""),
    ("bn_word", "nan"), ("n_book", "0"), ("len_code", "-12"), ("n_CLASSES", "1"), ("image_size", "31"),
    ("n_DB", "0"), ("total_epochs", "0"), ("batch_size", "1"), ("save_term", "0"),
    ("alpha", "0"), ("alpha", "nan"), ("alpha", "inf"), ("beta", "-inf"), ("beta", "text"),
    ("lam_1", "-0.1"), ("lam_2", "nan"),
    ("augmentation", "weak"), ("follow", "both"), ("protocol", "4"),
    ("learning_rate", "0"), ("decay_rate", "0"), ("decay_rate", "1.01"), ("decay_steps", "0"), ("seed", "-1"),
    ("seed", "null"), ("seed", str(2 ** 31)), ("eval_term", "-1"), ("n_validation", "0"),
    ("freeze", "perhaps")])
def test_a_wrong_value_names_its_setting(name, value):
    message = refusal(f"--{name}={value}")
    assert message.startswith(f"{name} is ")
    assert GPQ.model_fields[name].description.split()[0] in message  # and says what is meant


@pytest.mark.parametrize("arguments, says", [
    (["--n_CLASSES=2147483648"], "n_CLASSES is '2147483648': value error, it may be 10,000,000 at most, since more"),
    (["--len_code=4294967296"], "len_code is '4294967296': value error, it may be 65,536 at most"),
    (["--n_book=1000", "--len_code=1000"], "len_code is '1000': value error, with n_book=1000 a feature has"),
    (["--total_epochs=10000000"], "total_epochs is '10000000': value error, it may be 1,000,000 at most"),
    (["--alpha=1e31"], "alpha is '1e31': value error, it may be 1e+30 at most"),
    (["--backbone=vgg"], "backbone is 'vgg': input should be 'modified_vgg', 'cnn_f', "),
    (["--data_dir=" + 300 * "x"], "data_dir is 'xxx")])
def test_a_number_has_an_upper_bound_that_says_what_it_would_take(arguments, says):
    assert refusal(*arguments).startswith(says)


@pytest.mark.parametrize("kind", METHODS.values(), ids=METHODS)
def test_every_number_is_bounded(kind):
    for name, field in kind.model_fields.items():
        if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
            with pytest.raises(pydantic.ValidationError):
                kind(**{name: 10 ** 12 if isinstance(field.default, int) else 1e31})


PATHS = {"data_dir", "ImagNet_pretrained_path", "model_save_path", "model_load_path", "cifar10_label_sim_path",
         "embeddings", "pseudo_labels", "soft_labels", "tags", "image", "database", "images", "out", "export",
         "features", "words"}


@pytest.mark.parametrize("own", [train, Demo, encode, pretrain, pseudo_labels, soft_labels, tags_command])
def test_a_tilde_is_the_home_folder(monkeypatch, own):
    monkeypatch.setenv("HOME", "/home/somebody")
    kind = combined(WSDHQ, own.Options)
    needed = {name: "x" for name, field in kind.model_fields.items() if field.is_required()}
    needed |= {"teacher": "efficientnet_lite0"} if "teacher" in needed else {}
    for name in PATHS & kind.model_fields.keys():
        made = kind(**{**needed, name: "~/x"})
        assert getattr(made, name) == "/home/somebody/x", name


def test_every_backbone_of_the_settings_is_a_network():
    assert set(get_args(Backbone)) == NETWORKS.keys()


@pytest.mark.parametrize("argument, near", [
    ("--n_boks=6", "n_book"), ("--n-book=6", "n_book"), ("--lam1=1", "lam_1"),
    ("--total_epoch=1", "total_epochs")])
def test_an_unknown_name_gets_a_suggestion(argument, near):
    assert refusal(argument).endswith(f"did you mean {near}?")


def test_a_name_near_none():
    assert refusal("--zzzz=1") == "there is no setting zzzz; --help lists them all"


@pytest.mark.parametrize("name", ["n_bits", "intn_word"])
def test_what_cannot_be_set_says_what_can(name):
    message = refusal(f"--{name}=16")
    assert message.startswith(f"{name} follows from other settings") and "set n_book or bn_word" in message


@pytest.mark.parametrize("arguments", [["--bn_word"], ["bn_word=3"], ["-n=3"], ["--bn_word=3", "4"]])
def test_a_wrong_form_says_the_right_one(arguments):
    assert "write settings as --name=value" in refusal(*arguments)


def test_a_wrong_value_written_into_the_file():
    class Edited(GPQ):
        bn_word: pydantic.conint(ge=1, le=8) = 0
        """Bits."""

    assert refusal(kind=Edited).startswith("bn_word is 0: ")


def test_every_setting_is_described(capsys):
    with pytest.raises(SystemExit) as left:
        from_command_line(arguments=["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    for name, field in GPQ.model_fields.items():
        assert field.description and f"--{name}" in shown


@pytest.mark.parametrize("kind", METHODS.values(), ids=METHODS)
def test_the_f_that_training_starts_from_is_in_the_repository(kind):
    """Or the method needs none, or must not see labels."""
    start = kind().ImagNet_pretrained_path
    assert (ROOT / start).is_file() if start else kind.__name__ in ("SPQ", "WSDHQ", "WDHT") or kind().backbone == "gist"


@pytest.mark.parametrize("given", [{"backbone": "cnn_f"}, {"backbone": "gist"}, {"protocol": 2}, {"protocol": 3},
                                   {"embeddings": "v.npz"}])
def test_where_the_shipped_f_fits_not_none_is_implied(given):
    assert GPQ(**given).ImagNet_pretrained_path == "" and GPQ().ImagNet_pretrained_path
    assert GPQ(**given, ImagNet_pretrained_path="F.mat").ImagNet_pretrained_path == "F.mat"


def test_settings_cannot_be_changed_later():
    with pytest.raises(pydantic.ValidationError):
        GPQ().n_book = 3


def test_the_environment_does_not_count(monkeypatch):
    monkeypatch.setenv("n_book", "3")
    monkeypatch.setenv("N_BOOK", "3")
    assert GPQ().n_book == from_command_line(arguments=[]).n_book == 12


def test_importing_does_nothing(tmp_path):
    check = ("import os, sys; before = dict(os.environ); import config; "
             "print(dict(os.environ) == before, {'tensorflow', 'numpy', 'model'} & sys.modules.keys())")
    done = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, check=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True set()\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", GPQ.model_fields)
def test_every_setting_can_be_given_on_the_command_line(name):
    usual = getattr(GPQ(), name)
    text = json.dumps(usual) if isinstance(usual, (tuple, bool)) else usual
    assert getattr(from_command_line(None, [f"--{name}={text}"]), name) == usual


def test_the_second_protocol_and_its_classes():
    config = from_command_line(None, ["--protocol=2", "--known_classes=[9,1,3]"])
    assert config.protocol == 2 and config.known_classes == (9, 1, 3)
    with pytest.raises(UserError, match="known_classes"):
        from_command_line(None, ["--known_classes=[10]"])
