"""Galleries that answer at once: a random projection in the place of F."""
import io

import numpy as np
from PIL import Image

from utils.page.gallery import Gallery
from utils.retrieval.database import Database

N_BOOK, N_WORDS, LENGTH = 3, 16, 4
ABOUT = {"method": "projection, 12 bits", "checkpoint": "made_up.ckpt", "mAP": "0.1234", "data": "a part",
         "seconds": "data 0.10, search 0.20"}


def gallery(data, n=400, **more):
    """A Gallery of `n` images, evenly taken from the gallery of `data`, which may be sorted by class."""
    data = data._replace(gallery=data.gallery[::len(data.gallery) // n][:n])
    random = np.random.default_rng(0)
    weights = random.normal(size=(data.images[0].size, N_BOOK * LENGTH)).astype(np.float32)
    codebooks = random.normal(size=(N_BOOK, N_WORDS, LENGTH)).astype(np.float32)

    def encode(images):
        flat = np.asarray(images, np.float32).reshape(len(images), -1)
        features = (flat - flat.mean(1, keepdims=True)) @ weights
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        parts = features.reshape(len(images), N_BOOK, LENGTH)
        return features, np.einsum("nmd,mkd->nmk", parts, codebooks).argmax(2).astype(np.uint8)

    _, codes = encode(data.images[data.gallery])
    database = Database(codes, codebooks, data.labels[data.gallery], {"checkpoint": "made up"})
    queries, _ = encode(data.images[data.query])
    return Gallery(data, database, encode, queries, 32, ABOUT, **more)


def png(pixels):
    """The bytes of a PNG of uint8 [H, W, 3]."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
