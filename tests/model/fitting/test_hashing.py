"""ITQ, SH and SDH: what each alternation must not worsen, and small numpy forms."""
import numpy as np
import pytest

from gpq.model.fitting import hashing
from gpq.model.fitting.projections import pca
from gpq.utils.errors import UserError


@pytest.fixture(scope="module")
def x():
    generator = np.random.default_rng(0)
    return (generator.normal(size=(400, 20)) * np.linspace(2, 0.3, 20) + generator.normal(size=20)).astype(np.float32)


def test_itq_s_error_never_rises(x):
    mean, axes, _ = pca(x, 8)
    v = (x - mean) @ axes
    rotations = [hashing.itq_rotation(v, seed=3, rounds=rounds) for rounds in range(12)]
    errors = [((hashing.signs(v @ r) - v @ r) ** 2).sum() for r in rotations]
    assert all(later <= earlier + 1e-9 for earlier, later in zip(errors, errors[1:], strict=False))
    assert errors[-1] < 0.97 * errors[0]
    np.testing.assert_allclose(rotations[-1] @ rotations[-1].T, np.eye(8), atol=1e-10)


def test_itq_rotates_the_principal_plane(x):
    fitted = hashing.itq(x, 8, seed=0)
    _, axes, variances = pca(x, 8)
    np.testing.assert_allclose(fitted["mean"], x.mean(0), atol=1e-6)
    np.testing.assert_allclose(fitted["projection"] @ fitted["projection"].T, axes @ axes.T, atol=1e-10)
    assert np.var(x @ fitted["projection"], axis=0).sum() == pytest.approx(variances.sum(), rel=1e-5)


def test_itq_refuses_more_bits_than_numbers(x):
    with pytest.raises(UserError, match="n_bits is 24, but ITQ .* these have 20; set n_bits to 20 or less"):
        hashing.itq(x, 24, seed=0)


@pytest.mark.parametrize("n_bits", [4, 12, 32])
def test_sh_takes_the_smoothest_eigenfunctions(x, n_bits):
    """Against the published way: every frequency of every axis in a table, sorted by its square."""
    fitted = hashing.sh(x, n_bits)
    _, axes, _ = pca(x, min(n_bits, 20))
    y = x @ axes
    table = sorted((k * np.pi / (y[:, axis].max() - y[:, axis].min()), axis)
                   for axis in range(y.shape[1]) for k in range(1, n_bits + 1))[:n_bits]
    np.testing.assert_allclose(fitted["frequency"], [frequency for frequency, _ in table])
    np.testing.assert_allclose(fitted["projection"], axes[:, [axis for _, axis in table]])
    np.testing.assert_allclose(fitted["lowest"], (x @ fitted["projection"]).min(0))


def test_sh_cuts_the_widest_axis_in_the_middle(x):
    fitted = hashing.sh(x, 4)
    y = x @ fitted["projection"][:, 0] - fitted["lowest"][0]
    np.testing.assert_array_equal(np.sin(np.pi / 2 + fitted["frequency"][0] * y) >= 0, y <= y.max() / 2)


def test_sdh_s_step_never_raises_its_objective(x):
    generator = np.random.default_rng(1)
    y = np.eye(3)[generator.integers(0, 3, 400)]
    w, f, nu = generator.normal(size=(8, 3)), generator.normal(size=(400, 8)), 0.3
    codes = hashing.signs(generator.normal(size=(400, 8)))

    def objective():
        return ((y - codes @ w) ** 2).sum() + nu * ((codes - f) ** 2).sum()

    values = [objective()]
    for _ in range(4):
        hashing.discrete_step(codes, y @ w.T + nu * f, w)
        values.append(objective())
    assert all(later <= earlier + 1e-9 for earlier, later in zip(values, values[1:], strict=False))
    assert values[-1] < 0.9 * values[0] and set(np.unique(codes)) == {-1, 1}
    best = codes.copy()
    for row in range(20):  # no single bit of a settled code can be turned for the better
        for k in range(8):
            codes[row, k] *= -1
            assert objective() >= values[-1] - 1e-9
            codes[:] = best


def test_sdh_gives_each_class_a_code_of_its_own():
    generator = np.random.default_rng(0)
    classes = generator.integers(0, 4, 300)
    x = np.eye(4)[classes] + 0.1 * generator.normal(size=(300, 4))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    fitted = hashing.sdh(x, classes[:, np.newaxis] == np.arange(4), 12, seed=0, n_anchors=50, sigma=0.4)
    squares = ((x[:, np.newaxis] - fitted["anchors"]) ** 2).sum(2)
    bits = np.exp(-squares / (2 * 0.4 ** 2)) @ fitted["projection"] + fitted["constant"] >= 0
    codes = [np.unique(bits[classes == c], axis=0) for c in range(4)]
    assert [len(code) for code in codes] == [1] * 4 and len(np.unique(np.concatenate(codes), axis=0)) == 4


def test_sdh_of_fewer_vectors_than_anchors_takes_all(capsys):
    """The others are zeros and count nothing: the codes are those of as many anchors as vectors."""
    generator = np.random.default_rng(0)
    x, labels = generator.normal(size=(30, 4)).astype(np.float32), np.eye(3, dtype=bool)[np.arange(30) % 3]
    exact, padded = (hashing.sdh(x, labels, 8, 0, n, 0.4) for n in (30, 1000))
    assert "n_anchors is 1000: all 30 labelled images or vectors are anchors" in capsys.readouterr().out
    assert {name: array.shape for name, array in padded.items()} == {
        "anchors": (1000, 4), "projection": (1000, 8), "constant": (8,)}
    for name in ("anchors", "projection"):
        np.testing.assert_array_equal(padded[name][:30], exact[name])
        assert not padded[name][30:].any()
