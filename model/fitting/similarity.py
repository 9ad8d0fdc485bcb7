"""CNNH's first stage: codes of labelled images from who is alike (Xia et al., AAAI 2014, section 3.1)."""
import numpy as np

SWEEPS = 5  # from memory, unchecked; a public port has 10


def similarity_codes(labels, n_bits, seed, sweeps=SWEEPS):
    """Codes H, float64 [n, n_bits] of +-1, whose products are to say who shares a label: from random numbers, H in
    [-1, 1] lowers |S - H H^T / n_bits|^2, S = +-1, by a Newton step for one number after the other, and is rounded.

    labels: bool [n, L], one or several a row. S is known by the sets of labels that occur, so no [n, n] array is made.
    """
    sets, of = np.unique(labels, axis=0, return_inverse=True)
    similar = np.where(sets.astype(np.float64) @ sets.T > 0, 1.0, -1.0)
    h = np.random.default_rng(seed).uniform(-1, 1, (len(labels), n_bits))
    for _ in range(sweeps):
        for bit in range(n_bits):
            _newton_steps(h, bit, similar, of.ravel())
    return np.where(h >= 0, 1.0, -1.0)


def _newton_steps(h, bit, similar, of):
    """One step for this bit of every row of h in turn, in place. similar: float64 [P, P] of +-1, between sets of
    labels; of: int [n], the set of each row.

    With L = H H^T - n_bits S the slope is 4 L_i H_j and the curvature 4 (|H_j|^2 + h_ij^2 + L_ii); the 4 falls out.
    """
    n_bits = h.shape[1]
    products = h.T @ h[:, bit]
    wanted = n_bits * similar @ np.bincount(of, h[:, bit], len(similar))
    diagonal = (h ** 2).sum(1) - n_bits * similar[of, of]
    for i, (row, own) in enumerate(zip(h, of, strict=True)):
        old = row[bit]
        slope, curvature = row @ products - wanted[own], products[bit] + old ** 2 + diagonal[i]
        # Few images can have a curvature below 0: then as far down as the bounds allow.
        step = min(max(-slope / max(curvature, 1e-9), -1 - old), 1 - old)
        if step:
            products += step * row
            products[bit] += step * (old + step)
            wanted += n_bits * step * similar[own]
            row[bit] = old + step
