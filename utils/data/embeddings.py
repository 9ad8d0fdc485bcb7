"""Vectors that people already have, from any model: read, checked and split.

    python train.py --embeddings=vectors.npz
    python -m utils.data embeddings --features lite0.npy lite2.npy --data_dir=cifar10 --out=cifar10_lite.npz

The second joins features of a data set's images, in the order in which they are loaded, and gives them its labels and
its split, and with --method=wsdhq its tags.

They lie in a .npz file, or, where they are larger than memory, in a folder of .npy files of the same names, whose
`features.npy` is mapped and never loaded whole:

    features       float16 or float32 [N, D]
    labels         class numbers, int [N] from 0, -1 where nobody knows; or bool [N, L], all False where nobody knows;
                   left out, nobody knows any
    query, gallery, labelled, unlabelled    all four or none: int indices, or bool [N]
    class_names    str [L]; left out, classes are called by their numbers
    names          str [N]; left out, there are none. Files of pictures, beside the file or in the folder, to show
    part           str, of the data set that the vectors are of: "the sample"; left out, it is "all"
    tags, tag_vectors, tag_names    bool [N, T], float32 [T, D], str [T]; what WSDHQ learns from, left out without

A .npy file is of `features` alone. So is a folder as clip-retrieval writes it, whose vectors lie in img_emb_0.npy,
img_emb_1.npy ... in it or in its img_emb; names are the image_path of the metadata_0.parquet ... in its metadata.

Where there are no roles, a split is made once and kept beside the vectors (see `split`). Without a label all are
unlabelled: codes can be fitted to them, and nothing says what is alike.
"""
import hashlib
import re
from pathlib import Path

import numpy as np

from gpq.utils import files
from gpq.utils.data import labels as labelling
from gpq.utils.data.data import Data, Source
from gpq.utils.data.tags import tagging
from gpq.utils.errors import UserError
from gpq.utils.reading import arrays, tables

ROLES = ("query", "gallery", "labelled", "unlabelled")
TAGS = "tags", "tag_vectors", "tag_names"
FEATURES = "float16 or float32 [N, D]"
FORMS = {"labels": "int [N] or bool [N, L]", "class_names": "str [L]", "names": "str [N]", "part": "str []",
         **{role: "int [?] or bool [N]" for role in ROLES},
         **{name.rstrip("?"): form for name, form in tagging.FORMS.items()}}
SHARE, MOST, QUERIES = 10, 100, 10_000  # of a class's vectors one in SHARE is a query, MOST at most; QUERIES in all
CHUNK = 2 ** 22  # bytes that are read at once


def load(path, seed=0, save=""):
    """The `Data` of the vectors at `path`, which stand in `images`, float16 or float32 [N, D].

    seed: of the split, where the file has no roles and there is no split beside it, or else in the folder `save`.
    Raises UserError where something cannot be read, is unknown or does not fit, a number is not finite, labels are of
    one class, and roles are out of range, repeat or overlap.
    """
    found = _read(path)
    features = _checked(found["features"], path)
    labels = _labels(found.get("labels", np.full(len(features), -1)), path)
    digest = hashlib.sha256()
    for chunk in _finite(features, path):
        digest.update(chunk)
    digest.update(getattr(labels, "numbers", labels))
    given = [role for role in ROLES if role in found]
    if given and len(given) < len(ROLES):
        missing = next(role for role in ROLES if role not in found)
        raise UserError(f"{path} has the role {given[0]} and no {missing}; give all of {', '.join(ROLES)}, or none")
    if given:
        roles = {role: _indices(found[role], role, path, len(features)) for role in ROLES}
    elif labels.any(1).any():
        roles = kept_split(path, "vectors", split(labels, seed), seed, digest.hexdigest(), len(features), save)
    else:
        roles = {role: np.arange(len(features) if role == "unlabelled" else 0, dtype=np.int32) for role in ROLES}
    _check_roles(roles, labels, path)
    for role in ROLES:
        digest.update(roles[role])
    source = Source("embeddings", str(found.get("part", "all")), digest.hexdigest(),
                    f"{Path(path).name}, {features.dtype} {list(features.shape)}")
    known = np.count_nonzero(labels[roles["labelled"]].any(0)) if given else max(2, labels.shape[1])
    return Data(features, labels, validation=roles["query"][:0], source=source, **roles, n_classes=int(known),
                class_names=_class_names(found.get("class_names"), path, labels.shape[1]),
                names=found.get("names"), folder=_folder(path), **_tags(found, path))


def read_vectors(path):
    """The vectors of a .npy file, float16 or float32 [N, D], mapped. Raises UserError where there are none, or one is
    not finite."""
    vectors = arrays.one(path, FEATURES, "file of vectors, .npy")
    for _ in _finite(_checked(vectors, path), path):
        pass
    return vectors


def split(labels, seed):
    """{role: int32 indices, ascending} by chance, from labels bool [N, L].

    One in ten of a class's vectors, at most 100, and one at least of two or more, are queries, of 10,000 or more in all
    as many by chance; a vector of several labels counts for the first. All others that have a label are labelled, and
    the gallery; all that are no queries are unlabelled, the labelled among them.
    """
    generator = np.random.default_rng(seed)
    known, first = labels.any(1), labels.argmax(1)
    query, by_class = np.zeros(len(labels), bool), np.flatnonzero(known)
    by_class = by_class[np.argsort(first[by_class], kind="stable")]
    for members in np.split(by_class, np.flatnonzero(np.diff(first[by_class])) + 1):
        if len(members) > 1:
            query[generator.choice(members, min(MOST, max(1, len(members) // SHARE)), replace=False)] = True
    if np.count_nonzero(query) > QUERIES:
        query = np.isin(np.arange(len(query)), generator.choice(np.flatnonzero(query), QUERIES, replace=False))
    roles = {"query": query, "gallery": known & ~query, "labelled": known & ~query, "unlabelled": ~query}
    return {role: np.flatnonzero(mask).astype(np.int32) for role, mask in roles.items()}


def _read(path):
    """{name: array} of what `path` has of FORMS; a folder's arrays are mapped."""
    what, mend = "file of vectors", "set embeddings to a .npz file or a folder of .npy files"
    if not path:
        raise UserError(f"embeddings is empty; {mend}")
    if parts := _parts(Path(path)):
        return _clip_retrieval(parts)
    return arrays.read(path, {"features": FEATURES, **{f"{name}?": form for name, form in FORMS.items()}}, what, mend)


def _parts(folder):
    """{number: path} of the files img_emb_<number>.npy in a folder or in its img_emb, in order."""
    found = {int(number[1]): file for file in [*folder.glob("img_emb_*.npy"), *folder.glob("img_emb/img_emb_*.npy")]
             if (number := re.fullmatch(r"img_emb_(\d+)", file.stem))}
    return dict(sorted(found.items()))


def _clip_retrieval(parts):
    """{"features": and "names" where there are some} of the files of `_parts`."""
    arrays_of = [arrays.one(file, FEATURES, "file of vectors") for file in parts.values()]
    found = {"features": arrays.Stacked(arrays_of, list(parts.values()))}
    first = next(iter(parts.values())).parent
    folder = (first.parent if first.name == "img_emb" else first) / "metadata"
    metadata = [folder / f"metadata_{file.stem.removeprefix('img_emb_')}.parquet" for file in parts.values()]
    if not all(table.is_file() for table in metadata):
        return found
    names = [_image_paths(table) for table in metadata]
    for table, part, array in zip(metadata, names, arrays_of, strict=True):
        if part is not None and len(part) != len(array):
            raise UserError(f"{table} has {len(part)} rows, and its .npy file {len(array)}; give both of one run, or "
                            "take the folder metadata away")
    return found if any(part is None for part in names) else {**found, "names": np.concatenate(names)}


def _image_paths(table):
    """The column image_path of a Parquet file, str [n], or None where it has none."""
    with tables.parquet(table, "Parquet file of metadata") as file:
        if "image_path" not in file.schema_arrow.names:
            return None
        return np.array(file.read(["image_path"])["image_path"].to_pylist()).astype(str)


def _checked(features, path):
    """`features` as they are, where they are vectors."""
    if not all(features.shape):
        raise UserError(f"the vectors in {path} are {list(features.shape)}; they must be [N, D], N and D at least 1")
    return features


def _finite(features, path):
    """Yields `features` a chunk at a time. Raises UserError where a number is not finite."""
    rows = max(1, CHUNK // (features.shape[1] * features.dtype.itemsize))
    for start in range(0, len(features), rows):
        chunk = np.ascontiguousarray(features[start:start + rows])
        if not np.isfinite(chunk).all():
            row = start + int(np.flatnonzero(~np.isfinite(chunk).all(1))[0])
            raise UserError(f"vector {row} in {path} holds a number that is not finite; mend it or leave it out")
        yield chunk
        files.let_go(features)


def _labels(labels, path):
    """Labels of vectors as bool [N, L], or what stands in for it."""
    if labels.ndim == 1:
        if len(labels) and (labels.min() < -1 or labels.max() >= max(len(labels), 2)):
            raise UserError(f"the labels in {path} go from {labels.min()} to {labels.max()}; number the classes from "
                            "0, with -1 where nobody knows")
        labels = labelling.of_numbers(labels, max(int(labels.max(initial=0)), 0) + 1)
    if np.count_nonzero(labels.any(0)) == 1:
        raise UserError(f"the labels in {path} are of one class; give two or more, or none")
    return np.ascontiguousarray(labels) if isinstance(labels, np.ndarray) else labels


def _indices(role, name, path, n):
    """A role, int or bool, as int32 indices of n vectors."""
    if role.dtype == bool and role.shape == (n,):
        role = np.flatnonzero(role)
    if not len(role):
        raise UserError(f"the role {name} in {path} is empty; it must be int indices, at least one, or bool [{n}]")
    if role.min() < 0 or role.max() >= n:
        raise UserError(f"the role {name} in {path} goes from {role.min()} to {role.max()}, but the {n} vectors are "
                        f"numbered from 0 to {n - 1}")
    if len(np.unique(role)) < len(role):
        raise UserError(f"the role {name} in {path} names a vector twice; name each once")
    return role.astype(np.int32)


def _check_roles(roles, labels, path):
    """UserError where a query is known to the training or is in the gallery, or what must have a label has none."""
    for role in ("labelled", "unlabelled", "gallery"):
        both = np.intersect1d(roles["query"], roles[role])
        if len(both):
            raise UserError(f"vector {both[0]} in {path} is both query and {role}; take it out of one")
    for role in ("query", "labelled"):
        bare = roles[role][~labels[roles[role]].any(1)]
        if len(bare):
            raise UserError(f"vector {bare[0]} in {path} is {role} and has no label; give it one, or take it out")
    if np.count_nonzero(labels[roles["labelled"]].any(0)) == 1:
        raise UserError(f"the labelled vectors in {path} are of one class; learning codes takes two or more")


def split_files(path, save=""):
    """Where the split of the things at `path`, a file or folder, may be kept: beside them, or where that cannot be
    written in the folder `save`, if one is named."""
    beside = Path(path) / "split.npz" if Path(path).is_dir() else Path(path).with_suffix(".split.npz")
    return [beside, *([Path(save) / beside.name] if save else [])]


def kept_split(path, kind, made, seed, sha256, n, save=""):
    """The split of the n things at `path`, a file or folder, called `kind`, of the digest `sha256`: the one that is
    kept in one of `split_files`, or else `made`, {role: int32 indices} of `seed`, which is kept then. Raises UserError
    where the file is damaged or of other things, or none can be written."""
    if not len(made["query"]):
        raise UserError(f"no class of the {kind} in {path} has two of them, so that one could find another; give "
                        "labels that several share, or none")
    places = split_files(path, save)
    for place in [] if any(place.exists() for place in places) else places:
        try:
            with files.whole(place) as opened:
                np.savez(opened, seed=seed, sha256=sha256, **made)
            print(f"{path} has no roles: {', '.join(f'{len(made[role])} {role}' for role in ROLES)}, kept in {place}")
            break
        except UserError:
            if place == places[-1]:
                raise
    file = next(place for place in places if place.exists())
    kept = arrays.read(file, {"seed": "int []", "sha256": "str []", **{role: "int [?]" for role in ROLES}}, "split",
                       "move it away, and a new one is made")
    made_for, roles = str(kept["sha256"]), {role: kept[role] for role in ROLES}
    if made_for != sha256:
        raise UserError(f"{file} was made for other {kind} or labels than {path} has now; move it away, and a new one "
                        "is made")
    return {role: _indices(roles[role], role, file, n) for role in ROLES}


def _class_names(names, path, n):
    if names is None:
        return tuple(map(str, range(n)))
    if len(names) != n:
        raise UserError(f"class_names in {path} are {len(names)}; for {n} classes they must be str [{n}]")
    return tuple(names.tolist())


def _tags(found, path):
    """{name: array} of the tags, where there are any."""
    tags = {name: found[name] for name in TAGS if name in found}
    return tagging.checked(tags, path) if tags else {}


def _folder(path):
    return Path(path) if Path(path).is_dir() else Path(path).parent
