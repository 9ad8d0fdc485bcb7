"""follow="release" against the release itself, number for number, on its checkpoint of 250 steps."""
from types import SimpleNamespace

import numpy as np
import pytest

from gpq.config import GPQ
from gpq.model import gpq, training
from gpq.model.method import weighted
from gpq.model.networks.convolution import Direct, Winograd
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import store

# The reference's gradients are float32, and the norms of these two are 1.99e-4 and 1.83e-4 away from what a
# computation of the same batch in float64 gives. These are its norms; all the others agree with it to 1e-4.
FLOAT64_NORMS = {"Fixed_VGG/conv2d/kernel:0": 2.2284188165, "Fixed_VGG/conv2d_1/kernel:0": 5.5652466793}
STEP = 250  # the checkpoint's
BETA_2 = 0.999


def is_convolution_bias(name):
    """Batch normalisation cancels it: its exact gradient is 0, the release's is noise, ours is none."""
    return "/conv2d" in name and "/bias" in name


def as_rows(x):
    return x.reshape(len(x), -1)


@pytest.fixture(scope="module", params=[Direct(), Winograd()], ids=["direct", "winograd"])
def ours(request, reference, reference_checkpoint):
    """All of our numbers, from one graph: before a step, of the fixed batch, after the release's step."""
    config = GPQ(follow="release")
    with tf.Graph().as_default(), tf.Session() as session:
        names = ("source_input", "labels_onehot", "target_input")
        batch = [tf.constant(reference[f"train_{name}"]) for name in names]
        source, labels, target = batch
        method = gpq.GPQ(config, request.param)
        seen, unseen, averages = method.features(source, target)
        towers = method.towers(seen, unseen)
        losses = weighted(method.terms(towers, labels))
        step = training.training_graph(losses, averages, config, n_steps=1).step
        gradients = {v.name: g for g, v in training.gradients(losses["total"]) if g is not None}
        averaged = method.towers(*(method.F.features(images)[0] for images in (source, target)))
        evaluation = weighted(method.terms(averaged, labels))
        retrieval = method.retrieval(tf.constant(reference["test_images_uint8"]))
        variables = {v.name: v for v in tf.global_variables()}
        session.run(tf.global_variables_initializer())
        store.restore(session, reference_checkpoint, store.weights(), config)

        before = session.run(variables)
        losses, towers, values = session.run([losses, towers, gradients])
        found = SimpleNamespace(before=before, losses=losses, towers=towers, gradients=values,
                                eval_losses=session.run(evaluation), retrieval=session.run(retrieval))
        for name, value in state_before_step(reference, values).items():
            variables[name].load(value, session)
        session.run(step)
        found.after = session.run(variables)
        return found


def state_before_step(reference, gradients):
    """{name: value} of the optimiser before the reference's step, from its state after it and our gradients.

    m' = (m + g) / 2 and v' = 0.999 v + 0.001 g^2, solved for m and v, where m' and v' are known.
    """
    state = {"global_step:0": STEP, "beta1_power:0": 0,
             "beta2_power:0": reference["after:beta2_power:0"] / BETA_2}
    for name, g in gradients.items():
        m, v = slots(name)
        if f"after:{m}" in reference:
            state[m] = 2 * reference[f"after:{m}"] - g
            state[v] = (reference[f"after:{v}"] - (1 - BETA_2) * g ** 2) / BETA_2
    return state


def slots(name):
    return name.replace(":0", "/Adam:0"), name.replace(":0", "/Adam_1:0")


def moved(reference, gradients):
    """Names of the trained variables whose optimiser state the reference holds."""
    names = [name for name in gradients if f"after:{slots(name)[0]}" in reference]
    assert len(names) == 25  # Z, C, two kernels, ten pairs of beta and gamma, the dense bias
    return names


def test_features_and_codes(ours, reference):
    np.testing.assert_allclose(ours.retrieval.features, reference["feature_raw"], atol=1e-4)
    np.testing.assert_array_equal(ours.retrieval.codes, reference["codes"])


def test_distances_are_taken_to_z_as_stored(ours, reference):
    stored = reference["Z"].reshape(16, 12, 12)
    np.testing.assert_array_equal(ours.retrieval.codebooks, stored.swapaxes(0, 1))


@pytest.mark.parametrize("tower, name", [
    ("codewords", "Z_prime_soft_assigned"), ("labelled", "train_feature_S_intra"),
    ("unlabelled", "train_feature_T_intra"), ("quantized", "train_descriptor_S"),
    ("logits", "train_logits_S")])
def test_what_the_losses_are_made_of(ours, reference, tower, name):
    np.testing.assert_allclose(as_rows(getattr(ours.towers, tower)), reference[name], atol=2e-5)


def test_losses(ours, reference):
    theirs = [reference[f"loss_{name}"] for name in ("hash", "cls", "entropy", "total")]
    np.testing.assert_allclose(release_order(ours.losses), theirs, atol=1e-5, rtol=0)


def test_losses_with_the_moving_averages(ours, reference):
    theirs = reference["losses_eval_mode"]
    np.testing.assert_allclose(release_order(ours.eval_losses), theirs, atol=1e-5, rtol=0)


def release_order(losses):
    """hash, cls, ent (negative), total."""
    return [losses["n_pair"], losses["classification"], -losses["entropy"], losses["total"]]


def test_norm_of_every_gradient(ours, reference):
    theirs = dict(zip(map(str, reference["grad_names"]), reference["grad_l2"], strict=True))
    compared = {name for name in theirs if not is_convolution_bias(name)}
    assert compared == set(ours.gradients)
    norms = {name: np.linalg.norm(g.astype(np.float64)) for name, g in ours.gradients.items()}
    for name in compared - FLOAT64_NORMS.keys():
        assert norms[name] == pytest.approx(theirs[name], rel=1e-4), name
    for name, exact in FLOAT64_NORMS.items():
        assert norms[name] == pytest.approx(exact, rel=5e-5), name
        assert norms[name] == pytest.approx(theirs[name], rel=3e-4), name


def test_learning_rates(reference, compute):
    rates = compute(lambda steps: [training.learning_rate(step, GPQ(), n_steps=1) for step in tf.unstack(steps)],
                    reference["lr_steps"].astype(np.int64))
    np.testing.assert_allclose(rates, reference["lr_values"], rtol=1e-6)


def test_moves_of_one_adam_step(ours, reference):
    for name in moved(reference, ours.gradients):
        move = np.linalg.norm(ours.after[name].astype(np.float64) - ours.before[name])
        assert move == pytest.approx(float(reference[f"delta_l2:{name}"]), rel=1e-5), name
        for moving in (name, *slots(name)):
            np.testing.assert_allclose(ours.after[moving], reference[f"after:{moving}"], atol=2e-7, rtol=0)


def test_moves_of_adams_slots(ours, reference):
    """The slots' moves, m' - m = g - m' and v' - v = 0.001 / 0.999 (g^2 - v'), need no earlier state."""
    for name in moved(reference, ours.gradients):
        m, v = slots(name)
        g = ours.gradients[name].astype(np.float64)
        move_m = np.linalg.norm(g - reference[f"after:{m}"])
        move_v = np.linalg.norm(g ** 2 - reference[f"after:{v}"]) * (1 - BETA_2) / BETA_2
        assert move_m == pytest.approx(float(reference[f"delta_l2:{m}"]), rel=1e-3), name
        assert move_v == pytest.approx(float(reference[f"delta_l2:{v}"]), rel=1e-3), name


def test_convolution_biases_stay(ours):
    biases = [name for name in ours.before if is_convolution_bias(name)]
    assert len(biases) == 10
    for name in biases:
        np.testing.assert_array_equal(ours.after[name], ours.before[name])


def test_step_and_decay_powers_move(ours, reference):
    assert ours.after["global_step:0"] == STEP + 1
    assert ours.after["beta1_power:0"] == reference["after:beta1_power:0"]
    assert ours.after["beta2_power:0"] == pytest.approx(reference["after:beta2_power:0"])


def test_moving_averages_of_both_towers(ours, reference):
    """In the reference's run the unlabelled tower came first; the other order would be up to 9e-3 away."""
    names = [name for name in ours.after if "/moving_" in name]
    assert len(names) == 40
    for name in names:
        theirs = reference[f"after:{name}"]
        np.testing.assert_allclose(ours.after[name], theirs, atol=1e-5, rtol=0, err_msg=name)
        if name.endswith("local_step:0"):
            assert (ours.before[name], ours.after[name]) == (500, 502)


def test_retrieval_restores_what_the_releases_demo_does(release_variables):
    with tf.Graph().as_default():
        gpq.GPQ(GPQ()).retrieval(tf.placeholder(tf.uint8, [None, 32, 32, 3]))
        assert shapes(store.weights()) == release_variables["DEMO"]


def test_variables_of_the_releases_training(release_variables):
    with tf.Graph().as_default():
        batch = training.Batch(tf.placeholder(tf.uint8, [2, 32, 32, 3]), tf.placeholder(tf.bool, [2, 10]))
        method = gpq.GPQ(GPQ())
        method.optimise(*method.losses(dict.fromkeys(method.roles, batch), 0), n_steps=1)
        mine, demo = shapes(tf.global_variables()), shapes(store.weights())
    assert mine.pop("global_step") == []
    without = {name for name in release_variables["TRAIN"] if is_convolution_bias(name) and "/Adam" in name}
    assert len(without) == 20
    assert mine == {name: shape for name, shape in release_variables["TRAIN"].items() if name not in without}
    assert demo == release_variables["DEMO"]


def shapes(variables):
    return {v.op.name: v.shape.as_list() for v in variables}
