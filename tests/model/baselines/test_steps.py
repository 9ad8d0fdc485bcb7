"""The losses of a whole step of each deep baseline on vectors, against numpy, from the network's numbers to the total.

Three labelled vectors, two of one class, leave nothing of the triplets to chance.
"""
import numpy as np
import pytest

from gpq import config
from gpq.model.baselines import bgdh, ssdh
from gpq.model.networks.embeddings import SCOPE, unit_scale
from gpq.model.tf1 import tf
from gpq.model.training import Batch
from gpq.utils.checkpoints.store import assign
from gpq.utils.methods import METHODS

BITS, C, M = 8, 3, 2
LABELS = np.eye(C, dtype=bool)[[0, 0, 1]]
VECTORS = dict(zip(("labelled", "unlabelled"), np.random.default_rng(0).normal(size=(2, 3, 6)).astype(np.float32),
                   strict=True))


def step(session, method, codebooks=None, **others):
    """(losses, {variable: array}, the standardised vectors) of the method's step 7 from random variables, with
    codebooks in place of fitted ones."""
    generator = np.random.default_rng(1)
    row = METHODS[method](config.METHODS[method](n_bits=BITS, n_CLASSES=C, embeddings="v.npz", hidden=(), **others))
    batches = {role: Batch(tf.constant(VECTORS[role]), tf.constant(LABELS)) for role in row.roles}
    losses, _ = row.losses(batches, tf.constant(7))
    x = unit_scale(tf.constant(np.concatenate([VECTORS[role] for role in row.roles])))
    session.run(tf.global_variables_initializer())
    variables = {v.op.name: v for v in tf.global_variables()}
    for name, variable in variables.items():
        if name.endswith("bias"):
            variable.load(generator.normal(size=variable.shape).astype(np.float32), session)
    if codebooks is not None:
        variables[f"{method}/codebooks"].load(codebooks, session)
    return session.run((losses, variables, x))


def raw(variables, x, of=f"{SCOPE}/dense"):
    return x @ variables[f"{of}/kernel"] + variables[f"{of}/bias"]


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def distance(a, b):
    return ((a - b) ** 2).sum()


def test_pqn_ranks_features_against_softly_quantized_ones(session):
    losses, variables, x = step(session, "pqn")
    x, words = unit(raw(variables, x).reshape(3, M, 12)), unit(variables["pqn/codebooks"])
    s = unit(np.einsum("bmk,mkd->bmd", softmax(20 * np.einsum("bmd,mkd->bmk", x, words)), words))
    products = x.reshape(3, -1) @ s.reshape(3, -1).T
    expected = np.mean([sigmoid(products[0, 2] - products[0, 1]), sigmoid(products[1, 2] - products[1, 0])])
    assert losses["total"] == pytest.approx(expected, rel=1e-4)


def test_subic_classifies_blocks_of_softmax_on_relu(session):
    losses, variables, x = step(session, "subic")
    z = softmax(np.maximum(raw(variables, x).reshape(3, M, 16), 0))
    logits = raw(variables, z.reshape(3, -1), "subic/classifier")
    right = -np.log(softmax(logits)[LABELS]).mean() / np.log(C)
    mean, batch = ((-p * np.log2(p)).sum(-1).mean() / 4 for p in (z, z.mean(0)))
    np.testing.assert_allclose([*losses.values()], [right + mean - batch, right, mean, batch], rtol=1e-4)


@pytest.mark.parametrize("method", ["dqn", "dtq"])
def test_dqn_and_dtq_weigh_what_codes_lose(session, method):
    codebooks = np.random.default_rng(2).normal(size=(M, 16, 12)).astype(np.float32)
    losses, variables, x = step(session, method, codebooks)
    z = np.tanh(raw(variables, x))
    lost = ((z.reshape(3, M, 1, 12) - codebooks) ** 2).sum(3).min(2).sum(1).mean()
    assert losses["quantization"] == pytest.approx(1e-4 * lost, rel=1e-4)
    if method == "dqn":
        s = np.where(LABELS @ LABELS.T, 1, -1)
        expected = ((s - unit(z) @ unit(z).T) ** 2).mean()
    else:  # a margin of 30 for 64 numbers, which both negatives violate
        near = distance(z[0], z[1])
        terms = [30 / 64 * 24 + near - distance(z[k], z[2]) for k in (0, 1)]
        assert min(terms) > 0
        expected = np.mean(terms)
    total, *found = losses.values()
    np.testing.assert_allclose([found[0], total], [expected, expected + losses["quantization"]], rtol=1e-4)


@pytest.mark.parametrize("graph", ["features", "bits"])
def test_ssdh_weighs_neighbours_of_the_graph_and_pseudo_labels(session, compute, graph):
    losses, variables, x = step(session, "ssdh", graph=graph, lam=0.3)
    h, logits = sigmoid(raw(variables, x, "ssdh/bits")), raw(variables, x, "ssdh/classes")
    distances, seen = (((a[:, None] - a) ** 2).sum(2).astype(np.float32) for a in (h, x if graph == "features" else h))
    ranking = [max(0, 1 + distances[0, 1] - distances[k, 2]) for k in (0, 1)]
    near_and_far, pseudo = compute(
        lambda d, g, y, z: (ssdh.neighbours(d, g, 7, BITS), ssdh.pseudo_labelled(d, y, z, 7, BITS)),
        distances, seen, LABELS, logits.astype(np.float32))
    right = -np.log(softmax(logits[:3])[LABELS]).mean()
    np.testing.assert_allclose([*losses.values()][1:], [np.mean(ranking) / 2, near_and_far, pseudo, right], rtol=1e-4)
    assert losses["total"] == pytest.approx(losses["ranking"] + 0.3 * (near_and_far + pseudo) + right, rel=1e-4)


def test_bgdh_weighs_bits_and_embedding(session, compute):
    losses, variables, x = step(session, "bgdh", eta=0.7, lam=0.3, n_neighbours=2)
    embedding, context = (raw(variables, x, f"bgdh/{name}") for name in ("embedding", "context"))
    hidden = np.maximum(raw(variables, embedding, "bgdh/of_embedding"), 0)
    u = raw(variables, np.concatenate([x, hidden], axis=1), "bgdh/bits")
    products = (embedding @ context.T).astype(np.float32)
    alike = compute(bgdh.pairwise, u[:3].astype(np.float32), LABELS)
    graph = compute(lambda p, x: bgdh.context_loss(p, bgdh.walks(x, 3, 2), tf.fill([6, 6], 1 / 6)), products, x)
    same, other = LABELS @ LABELS.T & ~np.eye(3, dtype=bool), ~(LABELS @ LABELS.T)
    of_labels = compute(bgdh.context_loss, products[:3, :3], np.float32(same / np.maximum(same.sum(1), 1)[:, None]),
                        np.float32(other / other.sum(1)[:, None]))
    rounding = ((u - np.sign(u)) ** 2).mean()
    np.testing.assert_allclose([*losses.values()][1:], [alike, rounding, graph, of_labels], rtol=1e-4)
    assert losses["total"] == pytest.approx(alike + 0.7 * rounding + 0.3 * (graph + of_labels), rel=1e-4)


@pytest.mark.parametrize("method", ["dtq", "ninh", "ssdh"])
def test_the_seed_decides_which_images_are_compared(method):
    """Of equal weights and one batch, of which the seed varies nothing else."""
    x = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    labels = np.eye(C, dtype=bool)[np.arange(30) % C]

    def total(seed):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(seed)
            settings = config.METHODS[method](n_bits=BITS, n_CLASSES=C, embeddings="v.npz", hidden=(), seed=seed)
            row = METHODS[method](settings)
            batches = {role: Batch(tf.constant(x), tf.constant(labels)) for role in row.roles}
            losses, _ = row.losses(batches, tf.constant(7))
            generator = np.random.default_rng(1)
            assign(session, {v: generator.normal(size=v.shape).astype(np.float32) for v in tf.global_variables()})
            return session.run(losses["total"])

    first, again, other = map(total, (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("method", ["pqn", "subic", "dqn", "bgdh", "cnnh", "ninh"])
def test_two_steps_and_codes_of_the_sample_s_pictures(session, sample, method):
    """Three labelled pictures of each of two classes, and six others, by a layer on their GIST."""
    row = METHODS[method](config.METHODS[method](n_bits=12, backbone="gist"))
    classes = sample.labels[sample.labelled].argmax(1)
    rows = {"labelled": np.concatenate([sample.labelled[classes == k][:3] for k in (0, 1)]),
            "unlabelled": sample.unlabelled[:6]}
    batches = {role: Batch(tf.constant(sample.images[rows[role]]), tf.constant(sample.labels[rows[role]]), tf.range(6),
                           6) for role in row.roles}
    losses, averages = row.losses(batches, tf.train.get_or_create_global_step())
    graph = row.optimise(losses, averages, 10)
    found = row.retrieval(batches["labelled"].images)
    session.run(tf.global_variables_initializer())
    totals = [session.run([graph.losses["total"], graph.step])[0] for _ in range(2)]
    _, codes, codebooks = session.run(found)
    assert np.isfinite(totals).all() and all(totals)
    assert codes.shape == (6, 3) and codes.dtype == np.uint8 and codes.max() < codebooks.shape[1] == 16
