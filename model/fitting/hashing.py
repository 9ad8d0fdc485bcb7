"""Binary codes fitted: ITQ, SH and SDH.

x is float [N, D] throughout, and each result is {variable: float array} of the method's graph.
"""
import numpy as np
from scipy.linalg import cho_factor, cho_solve

from gpq.model.errors import UserError
from gpq.model.fitting.projections import pca

ITQ_ROUNDS = 50
SDH_ROUNDS, SDH_PASSES = 5, 10
LAMBDA, NU, RIDGE = 1.0, 1e-5, 1e-2  # SDH's published demo: weights of |W|^2 and of |B - phi P|^2, and the ridge of P


def signs(x):
    """+1 or -1, +1 for 0, in the type of x."""
    return np.where(x >= 0, 1, -1).astype(x.dtype)


def itq_rotation(v, seed, rounds=ITQ_ROUNDS):
    """The rotation R, float64 [B, B], that lowers |signs(v R) - v R|^2 for v, float64 [N, B], from a random one: signs
    and rotation in turn, the latter by the singular vectors of v^T signs (Gong and Lazebnik, CVPR 2011, section 3)."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=2 * [v.shape[1]]))
    for _ in range(rounds):
        left, _, right = np.linalg.svd(v.T @ signs(v @ rotation))
        rotation = left @ right
    return rotation


def itq(x, n_bits, seed):
    """ITQ. Raises UserError where there are more bits than numbers in a vector."""
    if n_bits > x.shape[1]:
        raise UserError(f"n_bits is {n_bits}, but ITQ has no more bits than a vector has numbers, and these have "
                        f"{x.shape[1]}; set n_bits to {x.shape[1] // 4 * 4} or less")
    mean, axes, _ = pca(x, n_bits)
    return {"mean": mean, "projection": axes @ itq_rotation((x - mean) @ axes, seed)}


def sh(x, n_bits):
    """SH (Weiss, Torralba and Fergus, NIPS 2008): along each principal axis the frequencies k pi / (highest - lowest);
    the lowest n_bits of all axes."""
    _, axes, _ = pca(x, min(n_bits, x.shape[1]))
    y = x @ axes
    lowest, width = y.min(0), np.maximum(np.ptp(y, axis=0), 1e-12)
    frequencies = np.arange(1, n_bits + 1) * np.pi / width[:, np.newaxis]
    chosen = np.argsort(frequencies, axis=None, kind="stable")[:n_bits]
    axis = chosen // n_bits
    return {"projection": axes[:, axis], "lowest": lowest[axis], "frequency": frequencies.ravel()[chosen]}


def discrete_step(codes, q, w):
    """One pass of SDH's coordinate descent over the bits, in place: the codes that lower |Y - B W|^2 + nu |B - F|^2 bit
    by bit (Shen et al., CVPR 2015, section 3.3). codes: float [N, B] of +-1; q: Y W^T + nu F, float [N, B]; w: W, float
    [B, L]."""
    inner = w @ w.T
    for k in range(codes.shape[1]):
        others = codes @ inner[:, k] - codes[:, k] * inner[k, k]
        codes[:, k] = signs(q[:, k] - others)


def sdh(x, labels, n_bits, seed, n_anchors, sigma):
    """SDH by the constants of its published demo. labels: bool [N, L]. Where there are fewer vectors than anchors, all
    are anchors, and the others are zeros that count nothing."""
    n, absent = min(n_anchors, len(x)), max(0, n_anchors - len(x))
    if absent:
        print(f"n_anchors is {n_anchors}: all {n} labelled images or vectors are anchors")
    generator = np.random.default_rng(seed)
    anchors = x[generator.choice(len(x), n, replace=False)].astype(np.float64)
    squares = (x.astype(np.float64) ** 2).sum(1)[:, np.newaxis] + (anchors ** 2).sum(1) - 2 * x @ anchors.T
    phi = np.column_stack([np.exp(-np.maximum(squares, 0) / (2 * sigma ** 2)), np.ones(len(x))])
    factor = cho_factor(phi.T @ phi + RIDGE * np.eye(n + 1))
    y = np.asarray(labels, np.float64)
    codes = signs(generator.normal(size=(len(x), n_bits)))
    for _ in range(SDH_ROUNDS):
        w = np.linalg.solve(codes.T @ codes + LAMBDA * np.eye(n_bits), codes.T @ y)
        q = y @ w.T + NU * phi @ cho_solve(factor, phi.T @ codes)
        for _ in range(SDH_PASSES):
            before = codes.copy()
            discrete_step(codes, q, w)
            if (codes == before).all():
                break
    projection = cho_solve(factor, phi.T @ codes)
    return {"anchors": np.pad(anchors, ((0, absent), (0, 0))), "constant": projection[-1],
            "projection": np.pad(projection[:-1], ((0, absent), (0, 0)))}
