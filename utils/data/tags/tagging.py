"""What an image's tags are: a data set's raw ones, merged, or those of a file."""
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gpq.utils.data.tags import merging, released, words
from gpq.utils.errors import UserError
from gpq.utils.reading import arrays

FORMS = {"tags": "bool [N, T]", "tag_vectors": "float [T, d]", "tag_names?": "str [T]"}


class RawTags(NamedTuple):
    """The tags of a data set as people gave them, and what they are merged by: either a table of words or the released
    program's files."""

    tags: np.ndarray  # bool [N, T0]
    names: list[str]  # T0 of them
    words: Path | None = None  # for utils.data.tags.words.read
    thresholds: merging.Thresholds = merging.Thresholds()
    folder: Path | None = None  # of the two files; where it is None, the tags are merged anew


def tagged(data, raw, config):
    """`data` with `tags`, `tag_vectors` and `tag_names`, by the setting tags.

    raw: the data set's `RawTags`, or None where it has none. Raises UserError as the readers of the files, where there
    are no tags, they are of another number of images, or no image to learn from has one.
    """
    if str(config.tags).endswith(".npz"):
        data = _from_arrays(data, config.tags)
    elif raw is not None:
        data = with_merged(data, raw, merged_by(raw, config.tags))
    elif config.tags:
        raise UserError(f"{data.source.name} has no raw tags that {config.tags} could merge; give a .npz file of tags")
    if data.tags is None:
        raise UserError(f"{data.source.name} has no tags to learn from; give a .npz file of them by --tags")
    if not data.tags[data.tagged].any():
        raise UserError(f"none of the images that {data.source.name} has to learn from has a tag; give others by "
                        "--tags")
    return data


def merged_by(raw, folder=""):
    """The `Merging` of `RawTags`, that of `folder` where one is given."""
    folder = folder or raw.folder
    if folder:
        return released.read(folder, raw.names)
    return merging.merge(words.of(words.read(raw.words), raw.names), raw.thresholds)


def with_merged(data, raw, made):
    """`data` with the tags of `raw`, `RawTags`, merged as `made`, a `Merging`, says. Raises UserError where they are of
    another number of images."""
    if len(raw.tags) != len(data.images):
        raise UserError(f"{data.source.name} has {len(raw.tags)} rows of tags and {len(data.images)} images; give a "
                        "row for each image")
    return data._replace(tags=merging.merged(raw.tags, made.groups), tag_vectors=made.vectors,
                         tag_names=merging.merged_names(raw.names, made.groups))


def _from_arrays(data, path):
    found = arrays.read(path, FORMS, "file of tags", "make it anew by python -m utils.data.tags", N=len(data.images))
    return data._replace(**checked(found, path))


def checked(found, path):
    """{name: array} of tags, their names made where there are none; found: what `path` has of `FORMS`. Raises UserError
    where there is no tag, or a vector is 0 or not finite."""
    for name, form in FORMS.items():
        if name.rstrip("?") not in found and not name.endswith("?"):
            raise UserError(f"{path} has tags and no {name}; it needs both, {form}")
    vectors = found["tag_vectors"]
    if not vectors.size:
        raise UserError(f"the tag_vectors in {path} are {list(vectors.shape)}; give one tag and one number at least")
    if not np.isfinite(vectors).all() or not vectors.any(1).all():
        raise UserError(f"a vector in {path} is 0 or holds a number that is not finite; mend it or leave its tag out")
    return {"tag_names": np.arange(len(vectors)).astype(str), **found, "tag_vectors": vectors.astype(np.float32)}
