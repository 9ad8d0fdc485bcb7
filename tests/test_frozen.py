"""A frozen EfficientNet-Lite: its last layer is trained on features, and the checkpoint is a whole one."""
import json

import numpy as np
import pytest
from conftest import options, run_training, variables

from gpq import train
from gpq.model.backbone import Backbone
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import imagenet, torch_files
from gpq.utils.data import cifar10
from gpq.utils.errors import UserError
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.settings import refuse_idle
from gpq.utils.training.task import Task

LITE = ["--backbone=efficientnet_lite0", "--input_side=32"]


def frozen(data_dir, folder, *others):
    return [*LITE, "--freeze=true", f"--data_dir={data_dir}", f"--model_save_path={folder}", *others]


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
    """The folder of a training of 2 epochs, judged by held-back images."""
    try:
        imagenet.weight_file(0)
    except UserError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("frozen")
    run_training(*frozen(data_dir, folder, "--eval_term=2", "--n_validation=10", "--save_term=1", "--total_epochs=2"))
    return folder


def test_the_last_layer_alone_is_trained(trained):
    before = imagenet.variables(torch_files.read(imagenet.weight_file(0)), "EfficientNetLite0")
    early, late = variables(trained / "1.ckpt"), variables(trained / "12bits.ckpt")
    whole = {name for name in late if name.startswith("EfficientNetLite0/")}
    moved = {name for name in whole if (early[name] != late[name]).any()}
    assert moved == {"EfficientNetLite0/dense/kernel", "EfficientNetLite0/dense/bias"} and len(whole) > 250
    for name in whole - moved:
        np.testing.assert_array_equal(late[name], before[name].reshape(late[name].shape))
    assert {name for name in early if name.endswith("/Adam")} == {f"{name}/Adam" for name in (*moved, "Z", "C")}
    about = json.loads((trained / "12bits.ckpt.json").read_text())
    assert about["judged"] > 0.1 and about["initial"].startswith("ImageNet, efficientnet-lite0")


def test_the_checkpoint_encodes_pictures_as_the_training_saw_them(trained, data_dir, capsys):
    """By the settings of a training that is not frozen; the training's features are read from its folder."""
    task = Task(options(None, *frozen(data_dir, trained)))
    assert f"Features from {trained}/efficientnet_lite0.npy" in capsys.readouterr().out
    data, config = cifar10.load(data_dir), options(None, *LITE, f"--data_dir={data_dir}")
    found = []
    for images in (data.images[:50], task.images[:50]):
        with tf.Graph().as_default(), tf.Session() as session:
            found.append(Encoder(config, session, trained / "12bits.ckpt", like=images)(images))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-4)
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_what_it_sees_is_varied_as_other_vectors_are(data_dir, tmp_path):
    """Dropout has an effect on what is computed once, and none on pictures."""
    config = options(None, *frozen(data_dir, tmp_path, "--dropout=0.25"))
    refuse_idle(config)
    seen = np.random.default_rng(0).uniform(1, 2, (40, 1280)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        varied, _ = session.run(Backbone(config).views(tf.constant(seen), "labelled", 0))
    assert abs((varied == 0).mean() - 0.25) < 0.01
    with pytest.raises(UserError, match="dropout has no effect while backbone is modified_vgg and freeze is False"):
        refuse_idle(options(None, "--dropout=0.5"))


def test_what_has_no_meaning_is_refused(data_dir, tmp_path):
    (tmp_path / "F.mat").touch()
    for others, says in ((["--augmentation=strong"], "augmentation has no effect with freeze=true"),
                         ([f"--ImagNet_pretrained_path={tmp_path}/F.mat"], "and ImagNet_pretrained_path is .*F.mat")):
        with pytest.raises(UserError, match=says):
            Task(options(None, *frozen(data_dir, tmp_path, *others)))
    with pytest.raises(UserError, match="freeze has no effect while backbone is modified_vgg; set backbone to eff"):
        refuse_idle(options(train.Options, "--freeze=true"))
