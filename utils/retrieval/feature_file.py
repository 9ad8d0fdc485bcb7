"""What a network that nobody need train, ImageNet's EfficientNet-Lite or GIST, sees in pictures: a .npy file of float
[N, D] that is never held in memory. D is `ready` of the network's row: 1280, or 512.

It is written a block at a time as NAME.part, with what makes it in NAME.part.json, and takes its name when it is
whole. A run that was cut loses one block at most. The same call goes on with it, and takes a whole one as it is.
"""
import fcntl
import hashlib
import io
import json
import os
import time
from pathlib import Path

import numpy as np

from model import backbones
from model.tf1 import tf
from utils.errors import UserError
from utils.retrieval.encoder import by_batch
from utils.session import imagenet, machine

BLOCK = 32  # images of 224 x 224: a batch, and what a cut loses at most


def kept(path, images, config, dtype=np.float16, mirrored=False):
    """What the network of `config`, with ImageNet's weights if it has any, sees in images uint8 [N, H, W, 3] before its
    last layer: `dtype` [N, D], mapped from the file `path`, which is made first where it is not there or was made of
    others.

    mirrored: the mean of what it sees in a picture and in its mirror image, left and right exchanged.
    Raises UserError where the network would have to be trained, its weights are not installed, the unfinished file is
    of other images or settings or another process writes it, and where the disk refuses.
    """
    network = backbones.network(config.backbone)
    if network.ready is None:
        raise UserError(f"there are no weights of ImageNet for backbone={config.backbone}; set "
                        "--backbone=efficientnet_lite2, or gist, which needs none")
    weights = config.backbone if network.imagenet is None else imagenet.weight_file(network.imagenet).name
    made_of = {"weights": weights, "input_side": config.input_side,
               "precision": config.precision, "mirrored": mirrored, "dtype": np.dtype(dtype).name,
               "images": _digest(images)}
    if Path(path).exists() and _about(path) == made_of:
        print(f"Features from {path}")
    else:
        try:
            _write(Path(path), images, network.ready, config, made_of)
        except OSError as error:
            raise UserError(f"{path} cannot be written ({error.strerror}); choose another path or make room") from error
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _write(path, images, width, config, made_of):
    """Write `path`, of `width` numbers an image, from where its unfinished file ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part, header = Path(f"{path}.part"), _header(len(images), width, made_of["dtype"])
    block_bytes = BLOCK * width * np.dtype(made_of["dtype"]).itemsize
    with open(part, "ab") as file:
        _hold(file, part)
        size = file.tell()
        if size:
            _check_same(part, made_of)
        else:
            Path(f"{part}.json").write_text(json.dumps(made_of, indent=1) + "\n")
        if size < len(header):
            file.truncate(0)
            file.write(header)
        blocks = max(0, size - len(header)) // block_bytes
        file.truncate(len(header) + blocks * block_bytes)  # without the block that was torn
        first = blocks * BLOCK
        if first:
            print(f"{part}: goes on after {first} of {len(images)} images")
        began = time.perf_counter()
        for block in _features(images, config, made_of["mirrored"], first):
            file.write(block.astype(made_of["dtype"]).tobytes())
            file.flush()
        rate = (len(images) - first) / (time.perf_counter() - began)
        os.fsync(file.fileno())
        Path(f"{path}.json").unlink(missing_ok=True)
        os.replace(part, path)
        os.replace(f"{part}.json", f"{path}.json")
    print(f"{path}: {len(images)} images, {rate:.1f} images/s")


def _features(images, config, mirrored, first):
    """Yields the features of the images from the number `first` on, float32 [BLOCK or fewer, D]."""
    network = backbones.network(config.backbone)

    def seen(images):
        return backbones.features(config.backbone, network.standardise(images), None, training=False,
                                  side=config.input_side).raw

    with tf.Graph().as_default(), machine.session(config) as session:
        placeholder = tf.placeholder(tf.uint8, [None, *images.shape[1:]])
        features = seen(placeholder)
        if mirrored:
            features = (features + seen(placeholder[:, :, ::-1])) / 2
        if network.imagenet is not None:
            imagenet.load(session, network.imagenet, network.scope)
        for found, in by_batch(session, [features], placeholder, images, BLOCK, "encoding", first=first):
            yield found


def _header(n, width, dtype):
    """The bytes before the numbers of a .npy file of `dtype` [n, width]."""
    written = io.BytesIO()
    np.lib.format.write_array_header_1_0(written, {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
                                                   "fortran_order": False, "shape": (n, width)})
    return written.getvalue()


def _digest(images):
    """SHA-256, hexadecimal, of images uint8 [N, H, W, 3], a block at a time: they may be decoded as they are asked for.
    """
    digest = hashlib.sha256()
    for first in range(0, len(images), BLOCK):
        digest.update(images[first:first + BLOCK])
    return digest.hexdigest()


def _hold(file, part):
    """Hold the open `file` for this process. UserError where another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"another process is writing {part}; wait for it, or choose another path") from None


def _about(path):
    """What the file `path` is made of, by the JSON beside it; {} where that says nothing."""
    try:
        return dict(json.loads(Path(f"{path}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _check_same(part, made_of):
    begun = _about(part)
    for name, now in made_of.items():
        if begun.get(name) != now:
            raise UserError(f"{part} was begun with {name}={begun.get(name)} and now it is {now}; remove it to begin "
                            "anew, or set that as it was")
