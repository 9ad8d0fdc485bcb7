"""F on vectors against numpy, and how training varies them."""
from types import SimpleNamespace

import numpy as np
import pytest
from xla import under_xla

from gpq.config import GPQ
from gpq.model.augmentation import view_of_vectors
from gpq.model.backbone import Backbone
from gpq.model.networks.embeddings import unit_scale, widths
from gpq.model.networks.layers import dropout
from gpq.model.tf1 import tf

B, D = 400, 24


@pytest.fixture(scope="module")
def vectors():
    """Each number with a mean and a deviation of its own."""
    generator = np.random.default_rng(0)
    return (generator.normal(size=(B, D)) * np.arange(1, D + 1) + generator.normal(size=D)).astype(np.float32)


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_the_network_is_dense_layers_with_relu_between(session, vectors, hidden):
    F = Backbone(GPQ(embeddings="v.npz", hidden=hidden), 3)
    raw, statistics = F.features(tf.constant(vectors), training=True)
    variables = {v.op.name: v for v in tf.global_variables() if v.op.name != "global_step"}
    for seed, variable in enumerate(variables.values()):
        variable.load(np.random.default_rng(seed).normal(size=variable.shape), session)
    found, weights = session.run([raw, variables])
    x = vectors
    names = [f"hidden{number}" for number in range(1, len(hidden) + 1)]
    for name in [*names, "dense"]:
        x = np.maximum(x, 0) if x is not vectors else x
        x = x @ weights[f"Embeddings/{name}/kernel"] + weights[f"Embeddings/{name}/bias"]
    np.testing.assert_allclose(found, x, rtol=1e-3, atol=1e-3)
    assert not statistics and len(weights) == 2 * len(hidden) + 2
    assert widths({name: value.shape for name, value in weights.items()}) == [D, *hidden]


def test_widths_of_another_network():
    assert widths({"Fixed_VGG/dense/kernel": [768, 144]}) == []


@pytest.mark.parametrize("dtype, scale", [(np.float16, 1e-3), (np.float16, 500), (np.float32, 1e-12),
                                          (np.float32, 1e15), (np.float32, 1e-30), (np.float32, 1e35)])
def test_the_scale_of_vectors_does_not_count(compute, vectors, dtype, scale):
    expected = vectors / np.sqrt(np.mean(vectors ** 2, axis=1, keepdims=True))
    found = compute(unit_scale, (vectors * np.float64(scale)).astype(dtype))
    np.testing.assert_allclose(found, expected, atol=0.02 if dtype == np.float16 else 1e-5)
    assert found.dtype == np.float32 and not compute(unit_scale, np.zeros([2, D], dtype)).any()


@pytest.mark.parametrize("rate", [0.2, 0.7])
def test_what_is_not_dropped_makes_up_for_it(compute, vectors, rate):
    found = compute(lambda x: dropout(x, rate, tf.constant([3, 4])), vectors)
    dropped = found == 0
    assert dropped.mean() == pytest.approx(rate, abs=0.02) and dropped.mean(0).std() < 0.04
    np.testing.assert_allclose(found[~dropped], (vectors / (1 - rate))[~dropped], rtol=1e-5)


def test_xla_draws_the_same(compute, vectors):
    """So that a training goes elsewhere as it would here. The step is fed, for XLA to make the seed of it."""
    config = SimpleNamespace(seed=1, dropout=0.3)

    def views(x, step):
        return tf.stack(view_of_vectors(x, "labelled", config, step, unit_scale))

    step = np.array(2, np.int32)
    np.testing.assert_allclose(compute(views, vectors, step), under_xla(views, vectors, step), atol=1e-4)


def test_views_differ_by_batch_step_and_seed_and_are_the_vectors_where_nothing_is_asked_for(compute, vectors):
    def views(x):
        configs = [SimpleNamespace(backbone="embeddings", seed=seed, dropout=0.5) for seed in (0, 1)]
        varied = [Backbone(config).views(x, batch, step) for config in configs for batch in ("labelled", "unlabelled")
                  for step in (0, 1)]
        plain = SimpleNamespace(backbone="embeddings", seed=0, dropout=0.0)
        return tf.concat(varied, 0), tf.stack([*Backbone(plain).views(x, "labelled", 0), unit_scale(x)])

    varied, (first, second, alone) = compute(views, vectors)
    dropped = varied.reshape(16, -1) == 0
    agree = (dropped[:, np.newaxis] == dropped).mean(2) - np.eye(16)
    assert np.abs(agree - 0.5)[~np.eye(16, dtype=bool)].max() < 0.03
    np.testing.assert_array_equal(first, alone)
    np.testing.assert_array_equal(second, alone)
