"""What an image's tags are: a data set's raw ones, merged, or those of a file; and made noisier on purpose."""
from pathlib import Path
from typing import NamedTuple

import numpy as np

from utils.data.tags import merging, released, words
from utils.errors import UserError


class RawTags(NamedTuple):
    """The tags of a data set as people gave them, and what they are merged by: either a table of words or the released
    program's files."""

    tags: np.ndarray  # bool [N, T0]
    names: list[str]  # T0 of them
    words: Path | None = None  # for utils.data.tags.words.read
    thresholds: merging.Thresholds = merging.Thresholds()
    folder: Path | None = None  # of the two files; where it is None, the tags are merged anew


def tagged(data, raw, config):
    """`data` with `tags`, `tag_vectors` and `tag_names`, by the settings tags, tag_drop, tag_insert and seed.

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
    data = data._replace(tags=noisy(data.tags, config.tag_drop, config.tag_insert, config.seed))
    if not len(data.tagged):
        raise UserError(f"none of the images that {data.source.name} has to learn from has a tag; give others by "
                        "--tags, or lower tag_drop")
    return data


def merged_by(raw, folder=""):
    """The `Merging` of `RawTags`, that of `folder` where one is given."""
    folder = folder or raw.folder
    if folder:
        return released.read(folder, raw.names)
    return merging.merge(words.of(words.read(raw.words), raw.names), raw.thresholds)


def noisy(tags, drop, insert, seed):
    """bool [N, T]: each tag of an image is dropped with the chance `drop`; and for each that it had, with the chance
    `insert` another comes in, any of the T alike. tags: bool [N, T]; seed: of the draws."""
    generator = np.random.default_rng([seed, len(tags)])
    image, tag = np.nonzero(tags)
    noisier = np.zeros_like(tags)
    stays = generator.random(len(image)) >= drop
    noisier[image[stays], tag[stays]] = True
    joins = generator.random(len(image)) < insert
    noisier[image[joins], generator.integers(0, tags.shape[1], len(image))[joins]] = True
    return noisier


def with_merged(data, raw, made):
    """`data` with the tags of `raw`, `RawTags`, merged as `made`, a `Merging`, says. Raises UserError where they are of
    another number of images."""
    if len(raw.tags) != len(data.images):
        raise UserError(f"{data.source.name} has {len(raw.tags)} rows of tags and {len(data.images)} images; give a "
                        "row for each image")
    return data._replace(tags=merging.merged(raw.tags, made.groups), tag_vectors=made.vectors,
                         tag_names=merging.merged_names(raw.names, made.groups))


def _from_arrays(data, path):
    try:
        with np.load(path, allow_pickle=False) as file:
            found = checked({name: file[name] for name in ("tags", "tag_vectors", "tag_names") if name in file.files},
                            path, len(data.images))
    except FileNotFoundError:
        raise UserError(f"there are no tags at {path}; make them by python -m utils.data.tags") from None
    except UserError:
        raise
    except Exception as error:  # a foreign file fails in any way it likes
        raise UserError(f"{path} is damaged or no .npz file; make it anew by python -m utils.data.tags") from error
    return data._replace(**found)


def checked(found, path, n):
    """{name: array} of the tags of n images, their names made where there are none; found: what `path` has of tags,
    tag_vectors and tag_names. Raises UserError where they do not fit together."""
    for name in ("tags", "tag_vectors"):
        if name not in found:
            raise UserError(f"{path} has no {name}; it needs tags, bool [N, T], and tag_vectors, float32 [T, D]")
    tags, vectors = found["tags"], found["tag_vectors"]
    names = found.get("tag_names", np.arange(len(vectors)).astype(str))
    if tags.dtype != bool or tags.ndim != 2 or len(tags) != n:
        raise UserError(f"the tags in {path} are {tags.dtype} {list(tags.shape)}; for {n} images they must be "
                        f"bool [{n}, T]")
    if vectors.dtype.kind != "f" or vectors.ndim != 2 or len(vectors) != tags.shape[1] or not vectors.size:
        raise UserError(f"the tag_vectors in {path} are {vectors.dtype} {list(vectors.shape)}; for {tags.shape[1]} "
                        f"tags they must be float32 [{tags.shape[1]}, D], one tag and one number at least")
    if not np.isfinite(vectors).all() or not vectors.any(1).all():
        raise UserError(f"a vector in {path} is 0 or holds a number that is not finite; mend it or leave its tag out")
    if names.dtype.kind != "U" or names.shape != (len(vectors),):
        raise UserError(f"the tag_names in {path} are {names.dtype} {list(names.shape)}; they must be "
                        f"str [{len(vectors)}]")
    return {"tags": tags, "tag_vectors": vectors.astype(np.float32), "tag_names": names}
