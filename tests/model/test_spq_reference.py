"""SPQ's network, loss, gradients, Adam step and codes against the same computation in PyTorch, float64.

benchmarks/torch_spq.py made the reference numbers, and makes here the weights and images that they are of.
"""
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import DATA, arrays

from benchmarks import torch_spq
from gpq.config import SPQ
from gpq.model import spq
from gpq.model.networks.convolution import Winograd
from gpq.model.tf1 import tf

KINDS = {"bn": {"weight": "gamma", "bias": "beta"}, "other": {"weight": "kernel", "bias": "bias", "C": "C"}}


def ours(name):
    """Our name of a parameter of the release's files."""
    number, *outer, kind = name.split(".")
    of_bn = "bn" in name or "shortcut.1" in name
    return "/".join([("resnet18", "spq")[int(number)], *outer, KINDS["bn" if of_bn else "other"][kind]])


def as_ours(name, value):
    """PyTorch's [outputs, inputs, height, width] as [height, width, inputs, outputs]; [outputs, inputs] the other way
    round, but for the codebooks."""
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value if name == "1.C" else value.T


@pytest.fixture(scope="module")
def reference():
    found = SimpleNamespace(**arrays(DATA / "reference_spq.npz"))
    names = list(map(str, found.names))
    shapes = {name: tuple(shape[shape > 0]) for name, shape in zip(names, found.shapes, strict=True)}
    found.weights = {ours(name): as_ours(name, value) for name, value in torch_spq.weights(shapes).items()}
    found.names = list(map(ours, names))
    return found


@pytest.fixture(scope="module")
def trained(reference):
    """One step of ours, by Winograd's method: what it gives, and what it leaves."""
    config = SPQ(N_books=torch_spq.BOOKS, total_epochs=1)
    with tf.Graph().as_default(), tf.Session() as session:
        views = [tf.constant(view) for view in torch_spq.images()]
        method = spq.SPQ(config, Winograd())
        graph = method.optimise(*method.loss_graph(*views), n_steps=1)
        retrieval = method.retrieval(255 * views[0])
        variables = {v.op.name: v for v in tf.trainable_variables()}
        gradients = tf.gradients(graph.losses["total"], [variables[name] for name in reference.names])
        moving = {v.op.name: v for v in tf.global_variables() if "moving" in v.op.name}
        session.run(tf.global_variables_initializer())
        session.run([v.initializer for v in variables.values()],
                    {v.initializer.inputs[1]: reference.weights[name] for name, v in variables.items()})
        found = SimpleNamespace(names=variables.keys())
        found.gradients, found.loss = session.run([gradients, graph.losses["total"]])
        session.run(graph.step)
        after, found.moving, found.retrieval = session.run([variables, moving, retrieval])
        found.moved = {name: value - reference.weights[name] for name, value in after.items()}
        return found


def test_parameters_are_those_of_the_release(trained, reference):
    assert sorted(trained.names) == sorted(reference.names)


def test_loss(trained, reference):
    assert trained.loss == pytest.approx(float(reference.loss), rel=1e-5)


def test_gradients(trained, reference):
    norms = [np.linalg.norm(gradient) for gradient in trained.gradients]
    np.testing.assert_allclose(norms, reference.gradients, rtol=1e-4)


def test_an_adam_step(trained, reference):
    norms = [np.linalg.norm(trained.moved[name]) for name in reference.names]
    np.testing.assert_allclose(norms, reference.moved, rtol=1e-3)
    np.testing.assert_allclose(trained.moved["spq/C"], reference.moved_C, atol=2e-6)


def test_running_statistics_after_two_passes(trained, reference):
    for name in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(trained.moving[f"resnet18/layer3/0/shortcut/1/{name}"], getattr(reference, name),
                                   rtol=1e-4, atol=1e-6)


def test_retrieval_after_the_step(trained, reference):
    np.testing.assert_allclose(trained.retrieval.features, reference.x, atol=2e-3 * np.abs(reference.x).max())
    np.testing.assert_array_equal(trained.retrieval.codes, reference.codes)
