"""What settings were before there were such, and settings that would do nothing."""
import subprocess
import sys

import pytest
from conftest import ROOT
from pydantic import BaseModel, create_model

from gpq import Demo, config, encode, pretrain, train
from gpq.utils import settings
from gpq.utils.base_settings import Model
from gpq.utils.data import __main__ as data_command
from gpq.utils.data.tags import __main__ as tags_command
from gpq.utils.errors import UserError
from gpq.utils.training import pseudo_labels, soft_labels

KINDS = [*config.METHODS.values(), config.Pretraining]


def test_an_edited_default_leaves_what_lacks_the_setting_as_it_was():
    edited = create_model("GPQ", __base__=config.GPQ, hidden=(Model[tuple[int, ...]], (512,)))
    assert edited().hidden == (512,) and settings.completed({"alpha": 7.0}, edited)["hidden"] == []
    assert settings.completed({"hidden": [9]}, edited)["hidden"] == [9]


def refusal(*arguments, own=None, kind=None):
    with pytest.raises(UserError) as error:
        made = settings.from_command_line(own, arguments, kind)
        settings.refuse_idle(made)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_method_chooses_the_settings():
    made = settings.from_command_line(None, ["--method=classifier", "--total_epochs=3"])
    assert isinstance(made, config.Classifier) and made.total_epochs == 3 and made.n_bits == 4
    assert isinstance(settings.from_command_line(None, []), config.GPQ)
    assert isinstance(settings.from_command_line(None, ["--method", "classifier"]), config.Classifier)


def test_an_unknown_method():
    assert refusal("--method=spqr") == f"there is no method 'spqr'; the methods are {', '.join(config.METHODS)}"


def test_a_setting_of_another_method_is_refused_with_its_name():
    assert refusal("--method=classifier", "--n_book=6") == (
        "n_book is a setting of gpq and wsdhq and wdht and has no effect on classifier; leave it out, or set "
        "--method=gpq")


@pytest.mark.parametrize("argument, says", [
    ("--gpu_id=0", "gpu_id is no setting here; set CUDA_VISIBLE_DEVICES before the command"),
    ("--img_channels=3", "img_channels is no setting here; leave it out, since an image always has 3 channels"),
    ("--num_workers=12", "num_workers is no setting here; leave it out, since views are made in the graph"),
    ("--if_download=True", "if_download is no setting here; python -m utils.data fetch cifar10 downloads CIFAR-10"),
    ("--num_cls=10", "num_cls is called n_CLASSES here; write --n_CLASSES=value")])
def test_options_of_spqs_release_are_answered(argument, says):
    assert refusal("--method=spq", argument) == says


@pytest.mark.parametrize("side, width", [(64, 6), (224, 22)])
def test_a_picture_whose_blur_would_have_an_even_kernel_is_refused(side, width):
    said = refusal("--method=spq", "--dataset=folder", "--n_CLASSES=2", f"--image_size={side}")
    assert said.startswith(f"blur is 'kornia0510': value error, a tenth of image_size makes a kernel of {width} pixels,"
                           " and kornia's is odd; set blur=simclr, or another image_size.")
    assert config.SPQ(image_size=side, blur="simclr").blur == "simclr"
    assert config.SPQ(dataset="folder", image_size=256).blur == "kornia0510"


def test_pretraining_refuses_what_it_would_ignore():
    assert refusal("--n_book=6", kind=config.Pretraining) == (
        "n_book is a setting of gpq and wsdhq and wdht and has no effect on pretraining; leave it out")


@pytest.mark.parametrize("arguments, says", [
    (["--margin=0.3"], "margin has no effect while metric_loss is n_pair; set metric_loss to triplet, or leave margin"),
    (["--known_classes=[1,2]"], "known_classes has no effect while protocol is 1; set protocol to 2"),
    (["--decay=cosine", "--decay_steps=7"], "decay_steps has no effect while decay is cosine; set decay to staircase"),
    (["--n_validation=100"], "n_validation has no effect while eval_term is 0; set eval_term to above 0")])
def test_a_setting_without_effect_is_refused(arguments, says):
    assert refusal(*arguments).startswith(says)


@pytest.mark.parametrize("arguments", [
    ["--margin=0.3", "--metric_loss=triplet"], ["--known_classes=[1,2]", "--protocol=2"], ["--margin=0.1"],
    ["--n_validation=100", "--eval_term=1"]])
def test_a_setting_with_effect_is_taken(arguments):
    settings.refuse_idle(settings.from_command_line(None, arguments))


@pytest.mark.parametrize("own, arguments, says", [
    (train, ["--embeddings=v", "--image_size=64"], "image_size has no effect while embeddings is v; set embeddings to"),
    (train, ["--model_load_path=x"], "model_load_path has no effect here; leave it out"),
    (train, ["--n_DB=64"], "n_DB has no effect while eval_term is 0; set eval_term to above 0, or leave n_DB out"),
    (pretrain, ["--without_hits=drop", "--eval_term=0"], "without_hits has no effect while eval_term is 0"),
    (Demo, ["--host=::1"], "host has no effect while serve is False; set serve to True, or leave host out"),
    (Demo, ["--port=80"], "port has no effect while serve is False"),
    (Demo, ["--token=a"], "token has no effect while serve is False"),
    (Demo, ["--ray=auto"], "ray has no effect while database is ''; set database, or leave ray out"),
    (Demo, ["--query=3", "--image=a.png"], "query has no effect while image is a.png; set image to nothing, or"),
    (Demo, ["--query=3", "--database=c.npz", "--tag=dog"], "query has no effect while tag is dog and database is"),
    (Demo, ["--query=3", "--database=c.npz"], "query has no effect while database is c.npz; set database to nothing"),
    (Demo, ["--tag=cat", "--database=c.npz"], "tag has no effect while database is c.npz; set database to nothing"),
    (Demo, ["--image=a.png", "--serve"], "image has no effect while serve is True; set serve to False"),
    (Demo, ["--embeddings=v", "--image_size=64"], "image_size has no effect while embeddings is v"),
    (Demo, ["--n_DB=9", "--database=c", "--image=a.png"], "n_DB has no effect while database is c and image is a."),
    (encode, ["--mirrored"], "mirrored has no effect while features_only is False; set features_only to True"),
    (encode, ["--n_DB=64"], "n_DB has no effect here"),
    (encode, ["--pseudo_confidence=0.9"], "pseudo_confidence has no effect while pseudo_labels is ''; set pseudo_")])
def test_every_script_refuses_what_has_no_effect(own, arguments, says):
    kind = config.Pretraining if own is pretrain else None
    assert refusal(*arguments, own=own.Options, kind=kind).startswith(says)


@pytest.mark.parametrize("own, arguments", [
    (Demo, ["--n_DB=9", "--serve", "--host=::1", "--port=80"]), (Demo, ["--query=3", "--n_DB=9", "--tag="]),
    (Demo, ["--database=c", "--n_DB=9"]), (train, ["--eval_term=1", "--n_DB=9"]), (encode, ["--total_epochs=3"]),
    (Demo, ["--dataset=folder", "--n_CLASSES=3", "--image_size=64", "--batch_size=7", "--learning_rate=1"]),
    (pseudo_labels, ["--features=f", "--out=o", "--pseudo_confidence=0.9"])])
def test_a_script_takes_what_has_an_effect_or_tells_how_a_checkpoint_was_trained(own, arguments):
    settings.refuse_idle(settings.from_command_line(own.Options, arguments))


def test_a_command_about_data_refuses_what_its_data_do_not_depend_on(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpq.utils.data", "embeddings", "--features=f", "--out=o", "--learning_rate=1"])
    with pytest.raises(UserError, match="learning_rate has no effect here; leave it out"):
        data_command.main()
    for module, line in ((tags_command, ["--alpha=3"]), (pseudo_labels, ["--features=f", "--out=o", "--n_book=3"]),
                         (soft_labels, ["--features=f", "--out=o", "--teacher=efficientnet_lite0", "--n_DB=3"])):
        monkeypatch.setattr(sys, "argv", [module.__name__, *line])
        with pytest.raises(UserError, match="no effect"):
            module.main()


def test_reading_a_command_line_opens_no_data():
    """Nor does it import what only the data need."""
    code = ("import sys; from gpq.utils import settings; "
            "found = settings.from_command_line(None, ['--embeddings=nowhere.npz', '--hidden=[64]']); "
            "assert found.dataset == 'embeddings' and found.hidden == (64,); "
            "print(sorted({'sklearn', 'tensorflow', 'numpy'} & sys.modules.keys()))")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True).stdout == "[]\n"


def test_a_script_cannot_set_a_method_s_setting_anew():
    class Own(BaseModel):
        n_book: int = 3

    with pytest.raises(TypeError, match="Own sets .'n_book'. of GPQ anew"):
        settings.combined(config.GPQ, Own)
    both = settings.combined(config.Pretraining, train.Options)()
    assert both.resume is False and both.batch_size == config.Pretraining().batch_size == 125


@pytest.mark.parametrize("follow, names", [("release", ("lam_2", "lam_1")), ("paper", ("lam_1", "lam_2"))])
def test_the_two_lambdas_are_resolved_once(follow, names):
    made = config.GPQ(follow=follow, lam_1=0.25, lam_2=0.5)
    assert config.GPQ.lambdas(follow) == names
    assert (made.lam_classification, made.lam_entropy) == tuple(getattr(made, name) for name in names)
