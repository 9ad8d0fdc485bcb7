"""Which images figures 1 and 5 are drawn of, and what their features are divided by."""
from types import SimpleNamespace

import numpy as np

from gpq.config import GPQ
from gpq.utils.paper import figure_data


def test_features_are_of_the_first_gallery_images_of_every_class_with_sub_vectors_of_one_length(monkeypatch):
    rng = np.random.default_rng(0)
    raw, classes = rng.standard_normal((40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    raw[3, :2] = 0
    gallery = rng.permutation(40)[:30]
    data = SimpleNamespace(images=np.arange(40), labels=np.eye(3, dtype=bool)[classes], gallery=gallery,
                           class_names=("a", "b", "c"))
    monkeypatch.setattr(figure_data.sets, "load", lambda config: data)
    monkeypatch.setattr(figure_data, "Encoder", lambda config, session, checkpoint, like:
                        lambda images, title, rows: (raw[images[rows]], 0))
    found, labels, names = figure_data.class_features(GPQ(n_book=3, len_code=2), "a.ckpt", each=4)
    chosen = [image for label in range(3) for image in [i for i in gallery if classes[i] == label][:4]]
    assert names == data.class_names and labels.tolist() == classes[chosen].tolist()
    for row, image in zip(found, chosen, strict=True):
        lengths = np.linalg.norm(raw[image].reshape(3, 2), axis=1)
        units = raw[image].reshape(3, 2) / np.where(lengths, lengths, 1)[:, None]
        np.testing.assert_allclose(row, units.ravel() / np.count_nonzero(lengths) ** 0.5, rtol=1e-6)
