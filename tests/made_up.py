"""Vectors that nobody computed: a Gaussian cloud for each class."""
import numpy as np


def vectors(n=300, dimension=16, classes=3, seed=0, dtype=np.float32):
    """(features float [n, dimension], class numbers int64 [n]): clouds about centres that lie far from each other."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, n)
    centres = np.random.default_rng(1).normal(size=(classes, dimension)) * 2
    return (centres[labels] + generator.normal(size=(n, dimension))).astype(dtype), labels


def file(path, **arrays):
    """Write made-up vectors to `path`, .npz, with `arrays` beside or in place of them, None for none. Returns the path
    as text."""
    features, labels = vectors()
    arrays = {"features": features, "labels": labels, **arrays}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return str(path)
