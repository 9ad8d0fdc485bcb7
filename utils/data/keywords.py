"""CIFAR-10's search terms: what was typed to find each image, which the published batches keep as its file's name.

A name is `<term>_s_<6 digits>.png`, with one of 396 terms. People then took out what did not show the class, and all
but one term stand in a single class: beside CIFAR-10's labels these tags are finer, and hardly noisy. What is weak in
them is that nobody tells which belong together, which only the word vectors know, and that words have several meanings.
"""
import re

import numpy as np

from gpq.utils.data import cifar10
from gpq.utils.data.tags.merging import Thresholds
from gpq.utils.data.tags.tagging import RawTags
from gpq.utils.errors import UserError
from gpq.utils.reading import arrays

# The terms of five or more training images, and GloVe's vectors of their words.
TABLE = cifar10.HOME / "keywords_glove50.npz"
THRESHOLDS = Thresholds(tau=0.8, eps=0.01)  # GloVe's vectors of 50 numbers lie closer than those of 300


def raw_tags(data_dir):
    """The search term of each image that `cifar10.load` gives of the folder: `RawTags`, none where the term is of less
    than five training images. Raises UserError where the names are not the published ones."""
    folder = cifar10.find(data_dir)
    terms = [_term(name, folder) for name in cifar10.file_names(folder)]
    known = arrays.read(TABLE, {"keywords": "str [T]"}, "table of keywords", others=True)["keywords"].tolist()
    number = {term: column for column, term in enumerate(known)}
    column = np.array([number.get(term, -1) for term in terms])
    return RawTags(column[:, np.newaxis] == np.arange(len(known)), known, TABLE, THRESHOLDS)


def _term(name, folder):
    found = re.fullmatch(rb"(.+)_s_\d{6}\.png", name)
    if not found:
        raise UserError(f"the file names in {folder} are not the published ones ({name!r}), so the images have no "
                        f"tags; fetch the full set by `{cifar10.fetch_command(folder)}`, or set tags")
    return found[1].decode("utf8", "replace")
