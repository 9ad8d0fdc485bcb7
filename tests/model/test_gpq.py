"""GPQ's graph: the signs of the mini-max, the choices that settings give, and how a step varies its batches."""
from types import SimpleNamespace

import numpy as np
import pytest

from config import GPQ
from model import backbones, gpq, quantizer
from model.augmentation import view
from model.tf1 import tf
from model.training import Batch

M, D, C = 4, 3, 5
FORMS = ("release", "paper")


@pytest.fixture(scope="module", params=FORMS)
def network(request):
    """The loss graph of 4 + 4 random images with unequal weights: what it gives, and a Session."""
    config = GPQ(follow=request.param, lam_1=0.3, lam_2=0.7, lam_u=0.5, confidence=0.01, n_book=M, len_code=D,
                    n_CLASSES=C)
    images = np.random.default_rng(0).standard_normal((3, 4, 32, 32, 3), dtype=np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        labelled, unlabelled, distorted = map(tf.constant, images)
        values, _, _ = gpq.loss_graph(labelled, tf.one_hot([0, 1, 1, 3], C), unlabelled, config, distorted=distorted)
        session.run(tf.global_variables_initializer())
        yield SimpleNamespace(config=config, session=session, losses=values,
                              variables={v.op.name: v for v in tf.trainable_variables()})


def test_total_weighs_the_losses(network):
    """The paper's lambda_1 belongs to classification; the release's lam_1, 0.3 here, to entropy."""
    found = network.session.run(network.losses)
    on_classes, on_entropy = (0.7, 0.3) if network.config.follow == "release" else (0.3, 0.7)
    expected = found.n_pair + on_classes * found.classification - on_entropy * found.entropy + 0.5 * found.pseudo_labels
    assert found.total == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("what, name, sign", [("entropy", "Fixed_VGG/dense/bias", -1), ("entropy", "C", 1),
                                              ("pseudo_labels", "Fixed_VGG/dense/bias", 1)])
def test_features_minimise_the_entropy_that_prototypes_maximise_and_learn_pseudo_labels(network, what, name, sign):
    """Against the slope of the loss itself, which reversal leaves alone, along its graph's gradient."""
    session, variable, loss = network.session, network.variables[name], getattr(network.losses, what)
    start, gradient = session.run([variable, tf.gradients(loss, variable)[0]])
    length = np.linalg.norm(gradient)
    step = 0.01 * gradient / length
    values = []
    for moved in (start + step, start - step):
        variable.load(moved, session)
        values.append(float(session.run(loss)))
    variable.load(start, session)
    slope = (values[0] - values[1]) / 0.02
    assert slope == pytest.approx(sign * length, rel=0.02)


def choice_of(**settings):
    """Losses, labelled and unlabelled sub-vectors and new moving averages of 4 + 4 random images, under a setting."""
    config = GPQ(n_book=M, len_code=D, n_CLASSES=C, **settings)
    images = np.random.default_rng(0).standard_normal((3, 4, 32, 32, 3), dtype=np.float32)
    images[1] = 2 * images[1] + 1  # the unlabelled have statistics of their own
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        labelled, unlabelled, distorted = map(tf.constant, images)
        labels = tf.one_hot([0, 1, 1, 3], C)
        values, towers, averages = gpq.loss_graph(labelled, labels, unlabelled, config, distorted=distorted)
        both = backbones.features("modified_vgg", tf.concat([labelled, unlabelled], 0), M * D, training=True)
        whole = quantizer.intra_normalise(quantizer.split(both.raw, M))
        moving = {v.op.name: v for v in tf.global_variables() if "moving" in v.op.name}
        session.run(tf.global_variables_initializer())
        found = SimpleNamespace(losses=session.run(values), towers=session.run([towers.labelled, towers.unlabelled]),
                                whole=session.run(whole),
                                statistics=session.run({norm.moving_mean.op.name: seen
                                                        for norm, *seen in both.statistics}))
        session.run(averages)
        found.moving = session.run(moving)
        return found


@pytest.fixture(scope="module")
def usual():
    return choice_of()


def test_joint_statistics_normalise_both_batches_as_one(usual):
    joint = choice_of(batch_statistics="joint")
    np.testing.assert_allclose(np.concatenate(joint.towers), joint.whole, atol=1e-5)
    assert np.abs(np.concatenate(usual.towers) - joint.whole).max() > 0.1
    for name, (mean, variance) in joint.statistics.items():
        np.testing.assert_allclose(joint.moving[name], mean, rtol=1e-3, atol=1e-5)
        name = name.replace("moving_mean", "moving_variance")
        np.testing.assert_allclose(joint.moving[name], 0.9 + 0.1 * variance, rtol=1e-4)


def test_pseudo_labels_are_added_and_leave_the_moving_averages_alone(usual):
    found = choice_of(lam_u=0.5, confidence=0.01)
    assert usual.losses.pseudo_labels == 0 and found.losses.pseudo_labels > 0.1
    assert found.losses.total > usual.losses.total
    for name, value in found.moving.items():
        np.testing.assert_allclose(value, usual.moving[name], atol=1e-6, err_msg=name)


def test_codewords_learn_from_n_pair_alone(network):
    z = network.variables["Z"]
    assert tf.gradients(network.losses.n_pair, z) != [None]
    assert tf.gradients([network.losses.classification, network.losses.entropy], z) == [None]


def views(monkeypatch, *steps, **settings):
    """What the losses are made of at some steps of grey images: float32 [steps, 3, 50, 32, 32, 3], the labelled, the
    unlabelled and the distorted."""
    made = []

    def stand_in(labelled, labels, unlabelled, config, spatial, distorted):
        made[:] = labelled, unlabelled, distorted
        assert labels.dtype == tf.float32
        return None, None, None

    monkeypatch.setattr(gpq, "loss_graph", stand_in)
    with tf.Graph().as_default(), tf.Session() as session:
        batch = Batch(tf.fill([50, 32, 32, 3], np.uint8(200)), tf.zeros([50, 10], tf.bool))
        step = tf.placeholder(tf.int32, [])
        gpq.training_losses({"labelled": batch, "unlabelled": batch}, GPQ(**settings), step)
        return np.array([session.run(made, {step: each}) for each in steps])


def test_each_batch_is_distorted_in_its_own_way(monkeypatch):
    """Of grey images distortion leaves the brightness."""
    brightness = views(monkeypatch, 0, 1, 2, augmentation="strong")[:, :2].max(axis=(3, 4, 5)).reshape(6, 50)
    assert np.abs(np.corrcoef(brightness) - np.eye(6)).max() < 0.6


def test_pseudo_labels_are_of_undistorted_images(monkeypatch):
    (plain,), (strong,), (both,) = (views(monkeypatch, 4, **settings) for settings in (
        {}, {"augmentation": "strong"}, {"augmentation": "strong", "lam_u": 1}))
    assert (np.abs(strong[:2] - plain[:2]).max(axis=(2, 3, 4)) > 0).all()
    assert len(np.unique(plain[:2])) <= 4  # one number a channel, and the crop's zeros
    np.testing.assert_array_equal(both, [strong[0], plain[1], strong[1]])


def test_a_step_is_the_loss_of_its_varied_batches(compute):
    """And the labels of the unlabelled are never looked at."""
    def graph(images, labels):
        batches = {"labelled": Batch(images[0], labels), "unlabelled": Batch(images[1], tf.zeros_like(labels))}
        config = GPQ(seed=5, n_book=M, len_code=D, n_CLASSES=C)
        found, _ = gpq.training_losses(batches, config, 3)
        varied = [view(each, role, config, 3)[0] for each, role in zip(tf.unstack(images), batches, strict=True)]
        expected, *_ = gpq.loss_graph(varied[0], tf.cast(labels, tf.float32), varied[1], config)
        return found, expected

    images = np.random.default_rng(0).integers(0, 256, (2, 4, 32, 32, 3), np.uint8)
    found, expected = compute(graph, images, np.eye(C, dtype=bool)[[0, 1, 1, 3]])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
