"""Search by a word: images and tags lie on one sphere, so a tag's vector can ask as an image's features do."""
import difflib
import textwrap

import numpy as np

from gpq.utils.data import relevance, sets, splits
from gpq.utils.errors import UserError
from gpq.utils.methods import METHODS

WIDTH = 20  # letters of tags below an image


def loaded(config):
    """The `Data` of `config`, settings of Demo.py, with its tags where the method learns from some.

    Tags that cannot be had are told of and missed; only where `config.tag` names one this is a UserError, as is a
    method that learns from none. Raises UserError as `sets.load` too.
    """
    if METHODS[config.method].targets != "tags":
        if config.tag:
            raise UserError(f"tag is {config.tag}, but {config.method} learns from no tags; set --method=wsdhq, or "
                            "leave tag out")
        return sets.load(config)
    try:
        data = sets.load(config, tags=True)
        splits.check_dimension(data, config)
    except UserError as error:
        if config.tag:
            raise
        print(f"The ranked list shows no tags: {error}")
        return sets.load(config)._replace(tags=None)
    return data


def number(data, word):
    """The number of the tag of `data` that is called `word`, or that it was merged into, in capitals or not. Raises
    UserError, which names the tags of the nearest spelling, where there is none."""
    names = {part.lower(): place for place, name in enumerate(data.tag_names) for part in (*name.split(", "), name)}
    if word.lower() not in names:
        near = difflib.get_close_matches(word.lower(), names, n=3, cutoff=0)
        raise UserError(f"{data.source.name} has no tag {word}; the nearest are {', '.join(near)}")
    return names[word.lower()]


def feature(data, tag):
    """What a tag asks by: its vector at length 1, float32 [D]."""
    return data.tag_vectors[tag] / np.linalg.norm(data.tag_vectors[tag])


def asking(data):
    """(word) -> (what its tag asks by, float32 [D]; who of the gallery has it, as `relevance.sharing`), which raises as
    `number`; None where `data` has no tags."""
    if data.tags is None:
        return None

    def by_word(word):
        tag = number(data, word)
        return feature(data, tag), relevance.sharing([tag], data.tags[data.gallery])
    return by_word


def described(data, place):
    """The classes of an image of `data`, and in a second line its tags, if any."""
    classes = ", ".join(data.class_names[k] for k in np.flatnonzero(data.labels[place]))
    tags = "" if data.tags is None else shortened(", ".join(data.tag_names[data.tags[place]]))
    return "\n".join(filter(None, [classes, tags]))


def shortened(text):
    """The text, cut where it is longer than a small picture is wide."""
    return textwrap.shorten(text, WIDTH, placeholder=" ...")
