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

Where there are no roles, a split is made once and kept beside the vectors (see `split`). Without a label all are
unlabelled: codes can be fitted to them, and nothing says what is alike.
"""
import hashlib
from pathlib import Path

import numpy as np

from utils import files
from utils.data.data import Data, Source
from utils.data.tags import tagging
from utils.errors import UserError

ROLES = ("query", "gallery", "labelled", "unlabelled")
TAGS = "tags", "tag_vectors", "tag_names"
KEYS = {"features", "labels", "class_names", "names", "part", *ROLES, *TAGS}
SHARE, MOST = 10, 100  # of a class's vectors one in SHARE is a query, MOST at most
CHUNK = 2 ** 22  # bytes that are read at once


def load(path, seed=0):
    """The `Data` of the vectors at `path`, which stand in `images`, float16 or float32 [N, D].

    seed: of the split, where the file has no roles and there is no split beside it.
    Raises UserError where something cannot be read, is unknown or does not fit, a number is not finite, labels are of
    one class, and roles are out of range, repeat or overlap.
    """
    found = _read(path, KEYS)
    if "features" not in found:
        raise UserError(f"{path} has no features; it needs some, float [N, D]")
    features = _checked(found["features"], path)
    labels = _labels(found.get("labels", np.full(len(features), -1)), path, len(features))
    digest = hashlib.sha256()
    for chunk in _finite(features, path):
        digest.update(chunk)
    digest.update(labels)
    given = [role for role in ROLES if role in found]
    if given and len(given) < len(ROLES):
        missing = next(role for role in ROLES if role not in found)
        raise UserError(f"{path} has the role {given[0]} and no {missing}; give all of {', '.join(ROLES)}, or none")
    if given:
        roles = {role: _indices(found[role], role, path, len(features)) for role in ROLES}
    elif labels.any():
        roles = kept_split(path, "vectors", split(labels, seed), seed, digest.hexdigest(), len(features))
    else:
        roles = {role: np.arange(len(features) if role == "unlabelled" else 0, dtype=np.int32) for role in ROLES}
    _check_roles(roles, labels, path)
    for role in ROLES:
        digest.update(roles[role])
    source = Source("embeddings", str(found.get("part", "all")), digest.hexdigest(),
                    f"{Path(path).name}, {features.dtype} {list(features.shape)}")
    return Data(features, labels, validation=roles["query"][:0], source=source, **roles,
                class_names=_class_names(found.get("class_names"), path, labels.shape[1]),
                names=_names(found.get("names"), path, len(features)), folder=_folder(path), **_tags(found, path))


def n_classes(path):
    """How many classes training knows: those of the labelled vectors at `path`, or, where no role says which these are,
    all that the labels number; 2 at least. Raises UserError as `load`."""
    found = {"labels": np.array([-1]), **_read(path, {"labels", "labelled"})}
    labels = _labels(found["labels"], path, found["labels"].size and len(found["labels"]))
    if "labelled" in found:
        labels = labels[_indices(found["labelled"], "labelled", path, len(labels))]
        return int(labels.any(0).sum())
    return max(2, labels.shape[1])


def read_vectors(path):
    """The vectors of a .npy file, float16 or float32 [N, D], mapped. Raises UserError where there are none, or one is
    not finite."""
    try:
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"there are no vectors at {path}; give a .npy file") from None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is no .npy file of vectors that can be read; give another") from error
    for _ in _finite(_checked(vectors, path), path):
        pass
    return vectors


def split(labels, seed):
    """{role: int32 indices, ascending} by chance, from labels bool [N, L].

    One in ten of a class's vectors, at most 100, and one at least of two or more, are queries; a vector of several
    labels counts for the first. All others that have a label are labelled, and the gallery; all that are no queries are
    unlabelled, the labelled among them.
    """
    generator = np.random.default_rng(seed)
    known, first = labels.any(1), labels.argmax(1)
    query = np.zeros(len(labels), bool)
    for k in range(labels.shape[1]):
        members = np.flatnonzero(known & (first == k))
        count = min(MOST, max(1, len(members) // SHARE)) if len(members) > 1 else 0
        query[generator.choice(members, count, replace=False)] = True
    roles = {"query": query, "gallery": known & ~query, "labelled": known & ~query, "unlabelled": ~query}
    return {role: np.flatnonzero(mask).astype(np.int32) for role, mask in roles.items()}


def _read(path, wanted):
    """{name: array} of what `path` has of `wanted`; a folder's arrays are mapped."""
    if not path:
        raise UserError("embeddings is empty; set it to a .npz file or a folder of .npy files")
    path = Path(path)
    try:
        if path.is_dir():
            there = {file.stem for file in path.glob("*.npy")}
            found = {name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in there & wanted}
        else:
            with np.load(path, allow_pickle=False) as file:
                there = set(file.files)
                found = {name: file[name] for name in there & wanted}
    except FileNotFoundError:
        raise UserError(f"there are no vectors at {path}; set embeddings to a .npz file or a folder of .npy files"
                        ) from None
    except Exception as error:  # a foreign file fails in any way it likes
        raise UserError(f"{path} is damaged, or neither a .npz file nor a folder of .npy files; give another"
                        ) from error
    if unknown := sorted(there - KEYS):
        raise UserError(f"{path} has {unknown[0]}, which is unknown; leave it out, or call it one of "
                        f"{', '.join(sorted(KEYS))}")
    return found


def _checked(features, path):
    """`features` as they are, where they are vectors."""
    if features.dtype not in (np.float16, np.float32) or not features.dtype.isnative:
        raise UserError(f"the vectors in {path} are {features.dtype}; save them as float16 or float32")
    if features.ndim != 2 or not all(features.shape):
        raise UserError(f"the vectors in {path} are {list(features.shape)}; they must be [N, D], N and D at least 1")
    return features


def _finite(features, path):
    """Yields `features` a chunk at a time. Raises UserError where a number is not finite."""
    rows = max(1, CHUNK // (features.shape[1] * features.itemsize))
    for start in range(0, len(features), rows):
        chunk = np.ascontiguousarray(features[start:start + rows])
        if not np.isfinite(chunk).all():
            row = start + int(np.flatnonzero(~np.isfinite(chunk).all(1))[0])
            raise UserError(f"vector {row} in {path} holds a number that is not finite; mend it or leave it out")
        yield chunk
        files.let_go(features)


def _labels(labels, path, n):
    """Labels of n vectors as bool [N, L]."""
    if labels.dtype.kind in "iu" and labels.shape == (n,) and n:
        if labels.min() < -1 or labels.max() >= max(n, 2):
            raise UserError(f"the labels in {path} go from {labels.min()} to {labels.max()}; number the classes from "
                            "0, with -1 where nobody knows")
        labels = labels[:, np.newaxis] == np.arange(max(labels.max(), 0) + 1)
    if labels.dtype != bool or labels.ndim != 2 or labels.shape[0] != n:
        raise UserError(f"the labels in {path} are {labels.dtype} {list(labels.shape)}; for {n} vectors they must be "
                        f"int [{n}] or bool [{n}, L]")
    if np.count_nonzero(labels.any(0)) == 1:
        raise UserError(f"the labels in {path} are of one class; give two or more, or none")
    return np.ascontiguousarray(labels)


def _indices(role, name, path, n):
    """A role, int or bool, as int32 indices of n vectors."""
    if role.dtype == bool and role.shape == (n,):
        role = np.flatnonzero(role)
    if role.dtype.kind not in "iu" or role.ndim != 1 or not len(role):
        raise UserError(f"the role {name} in {path} is {role.dtype} {list(role.shape)}; it must be int indices, at "
                        f"least one, or bool [{n}]")
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


def split_file(path):
    """Where the split of the things at `path`, a file or folder, is kept."""
    return Path(path) / "split.npz" if Path(path).is_dir() else Path(path).with_suffix(".split.npz")


def kept_split(path, kind, made, seed, sha256, n):
    """The split of the n things at `path`, a file or folder, called `kind`, of the digest `sha256`: the one that is
    kept beside them, or else `made`, {role: int32 indices} of `seed`, which is kept then. Raises UserError where the
    file is damaged or of other things."""
    file = split_file(path)
    if not file.exists():
        with files.whole(file) as opened:
            np.savez(opened, seed=seed, sha256=sha256, **made)
        print(f"{path} has no roles: {', '.join(f'{len(made[role])} {role}' for role in ROLES)}, kept in {file}")
    try:
        with np.load(file, allow_pickle=False) as kept:
            made_for, roles = str(kept["sha256"]), {role: kept[role] for role in ROLES}
    except Exception as error:  # a foreign file fails in any way it likes
        raise UserError(f"{file} is damaged or no split; move it away, and a new one is made") from error
    if made_for != sha256:
        raise UserError(f"{file} was made for other {kind} or labels than {path} has now; move it away, and a new one "
                        "is made")
    return {role: _indices(roles[role], role, file, n) for role in ROLES}


def _class_names(names, path, n):
    if names is None:
        return tuple(map(str, range(n)))
    if names.dtype.kind != "U" or names.shape != (n,):
        raise UserError(f"class_names in {path} are {names.dtype} {list(names.shape)}; for {n} classes they must be "
                        f"str [{n}]")
    return tuple(names.tolist())


def _tags(found, path):
    """{name: array} of the tags, where there are any."""
    tags = {name: found[name] for name in TAGS if name in found}
    return tagging.checked(tags, path, len(found["features"])) if tags else {}


def _names(names, path, n):
    if names is not None and (names.dtype.kind != "U" or names.shape != (n,)):
        raise UserError(f"names in {path} are {names.dtype} {list(names.shape)}; for {n} vectors they must be "
                        f"str [{n}]")
    return names


def _folder(path):
    return Path(path) if Path(path).is_dir() else Path(path).parent
