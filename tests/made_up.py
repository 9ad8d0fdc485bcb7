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


def tags(path, labels, dimension=8, each=3, seed=0):
    """Write made-up tags of vectors of the classes `labels`, int [N], to `path`, .npz: `each` words a class, whose
    vectors float32 [T, dimension] lie close, one or two of them at every vector. Returns the path as text."""
    generator, classes = np.random.default_rng(seed), labels.max() + 1
    found = np.zeros((len(labels), each * classes), bool)
    for _ in range(2):
        found[np.arange(len(labels)), each * labels + generator.integers(0, each, len(labels))] = True
    centres = np.repeat(generator.normal(size=(classes, dimension)), each, axis=0)
    words = centres + 0.4 * generator.normal(size=centres.shape)
    np.savez(path, tags=found, tag_vectors=words.astype(np.float32))
    return str(path)
