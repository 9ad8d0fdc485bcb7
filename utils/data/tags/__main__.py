"""Merge a data set's tags, print which, and keep what training then takes by --tags.

    python -m utils.data.tags --dataset=corel5k --data_dir=corel5k
    python -m utils.data.tags --dataset=corel5k --data_dir=corel5k --eps=0 --out=unmerged
    python -m utils.data.tags --dataset=flickr25k --data_dir=. --words=GoogleNews-vectors-negative300.bin.gz \\
        --out=data/flickr25k/tags
    python -m utils.data.tags --dataset=corel5k --data_dir=corel5k --control=orthogonal --out=orthogonal.npz
    python train.py --method=wsdhq --dataset=corel5k --data_dir=corel5k --tags=orthogonal.npz

A folder gets the released program's two files, a .npz file the images' merged tags and their vectors. The way in which
tags are merged is a reconstruction, see utils.data.tags.merging.
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.utils.data.tags.__main__")

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from gpq.config import WSDHQ
from gpq.utils import files, settings
from gpq.utils.base_settings import Affects, Own, PathText
from gpq.utils.data import sets
from gpq.utils.data.tags import merging, released, tagging
from gpq.utils.errors import UserError


class Options(Own):
    """Merge the tags of the data set that the settings of config.py name."""

    words: PathText = ""
    """Word vectors: .npz of words and vectors, GoogleNews' .bin.gz or GloVe's text; "" for the data set's own."""

    neighbours: Annotated[int, Field(ge=0)] | None = None
    """Most tags that a tag is pulled toward, k; left out, the data set's. 0 for none."""

    tau: Annotated[float, Field(ge=-1, le=1)] | None = None
    """Cosine from which another tag is a neighbour; left out, the data set's."""

    eps: Annotated[float, Field(ge=0, le=2)] | None = None
    """DBSCAN's radius, 1 - cosine; left out, the data set's. 0 merges nothing."""

    control: Literal["none", "orthogonal", "labels"] = "none"
    """A control: merged tags with random orthogonal vectors, or the images' labels as tags, with such vectors."""

    out: PathText = ""
    """Where to write: a .npz file, or a folder for the released program's two files; "" for nowhere."""


def orthogonal(n, dimension, seed):
    """Vectors of length 1, float32 [n, dimension], random and at right angles; where n > dimension, random alone."""
    drawn = np.random.default_rng(seed).standard_normal((dimension, n))
    drawn = np.linalg.qr(drawn)[0] if n <= dimension else drawn / np.linalg.norm(drawn, axis=0)
    return drawn.T.astype(np.float32)


def thresholds(usual, given):
    """`usual`, a `Thresholds`, with what `given` sets."""
    named = {name: getattr(given, name) for name in usual._fields}
    return usual._replace(**{name: value for name, value in named.items() if value is not None})


def report(made, names, tagged):
    """What was merged, in lines. made: a `Merging` of raw tags called `names`; tagged: `Data` with its tags."""
    together = [group for group in made.groups if len(group) > 1]
    yield from (", ".join(names[tag] for tag in group) for group in together)
    if len(made.dropped):
        yield f"no vector: {', '.join(names[tag] for tag in made.dropped)}"
    yield (f"{len(names)} tags: {len(made.dropped)} without a vector, {sum(map(len, together))} merged into "
           f"{len(together)}, {len(made.groups)} left, of {made.vectors.shape[1]} numbers")
    has = tagged.tags[tagged.training].any(1)
    yield (f"{has.sum()} of {len(has)} images to learn from have a tag; mean margin "
           f"{merging.mean_margin(tagged.tags[tagged.tagged], tagged.tag_vectors):.4f}")


def main():
    given = settings.from_command_line(Options, settings=WSDHQ)
    settings.refuse_idle(given, given.affecting(Affects.DATA) | Options.model_fields.keys())
    if given.tags:
        raise UserError(f"tags is {given.tags}, but this command makes such tags of a data set's own; leave tags out")
    data = sets.load(given)
    raw = sets.raw_tags(given, data)
    if raw is None:
        raise UserError(f"{data.source.name} has no raw tags to merge; set dataset to one that has")
    table = given.words or raw.words
    if not table:
        raise UserError(f"{data.source.name} comes without word vectors; give some by --words")
    raw = raw._replace(words=table, thresholds=thresholds(raw.thresholds, given), folder=None)
    made = tagging.merged_by(raw)
    data = tagging.with_merged(data, raw, made)
    for line in report(made, raw.names, data):
        print(line)
    if given.control == "labels":
        data = data._replace(tags=data.labels, tag_names=np.array(data.class_names))
    if given.control != "none":
        data = data._replace(tag_vectors=orthogonal(data.tags.shape[1], made.vectors.shape[1], given.seed))
    if given.out.endswith(".npz"):
        with files.whole(given.out) as file:
            np.savez_compressed(file, tags=data.tags, tag_vectors=data.tag_vectors, tag_names=data.tag_names)
    elif given.out and given.control != "none":
        raise UserError(f"a control is kept in a .npz file, and out is {given.out}; let it end in .npz")
    elif given.out:
        released.write(Path(given.out), made, raw.names)
