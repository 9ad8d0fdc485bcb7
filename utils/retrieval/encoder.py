"""Images, or vectors in their place, to features, codes and databases, by a checkpoint of any method."""
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gpq.model.networks.convolution import DIRECT
from gpq.model.tf1 import tf
from gpq.utils import files
from gpq.utils.base_settings import Affects
from gpq.utils.checkpoints import store
from gpq.utils.data import sets
from gpq.utils.errors import UserError
from gpq.utils.methods import METHODS
from gpq.utils.reading.pictures import squashed
from gpq.utils.retrieval.database import Database

SMALL, PICTURES, VECTORS = 250, 32, 4096  # in a batch; small are pictures of up to 32 pixels a side
PINNED = "checkpoint", "data", "prepared"  # what every database says of what made it, of any age


class Encoder:
    """The retrieval graph of `config`'s method in a Session: `encoder(images)` gives features and codes.

    Without `checkpoint` the weights are those that the session's graph already has. like: an array of what will be
    encoded, float [N, D], where that is vectors and not the pictures that `config` describes. portable: convolve by the
    library, as an export does that runs anywhere, and not as is fastest here.
    """

    def __init__(self, config, session, checkpoint=None, like=None, portable=False):
        self._session, self._method = session, METHODS[config.method](config, DIRECT if portable else None)
        kind = ((tf.uint8, [config.image_size, config.image_size, 3]) if like is None
                else (like.dtype, list(like.shape[1:])))
        self._images = tf.placeholder(kind[0], [None, *kind[1]])
        self.batch = batch_of(kind[1])
        self._graph = self._method.retrieval(self._images)
        if checkpoint:
            store.restore(session, checkpoint, store.weights(), config)

    def __call__(self, images, title=None, rows=None):
        """images: uint8 [N, 32, 32, 3] or float [N, D], read a batch at a time; rows: int indices of those to encode,
        or None for all. Returns (features float32 [n, d], codes uint8 [n, M]).

        With a `title` a progress bar shows. Raises UserError where images are of another size.
        """
        return self._run([self._graph.features, self._graph.codes], images, title, rows)

    def codes(self, images, title=None, rows=None):
        """The codes alone, uint8 [n, M]; arguments as above."""
        return self._run([self._graph.codes], images, title, rows)[0]

    def batches(self, images, title=None, first=0, with_features=True):
        """Yields [features float32 [b, d], codes uint8 [b, M]] of images as above, `batch` of them at a time, from the
        number `first` on; without features the codes alone."""
        self._check(images)
        wanted = [self._graph.features] * with_features + [self._graph.codes]
        return by_batch(self._session, wanted, self._images, images, self.batch, title, first=first)

    def _run(self, wanted, images, title, rows):
        self._check(images)
        parts = by_batch(self._session, wanted, self._images, images, self.batch, title, rows)
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _check(self, images):
        if images.shape[1:] != tuple(self._images.shape[1:].as_list()):
            raise UserError(f"the network takes {self._images.shape[1:].as_list()} numbers, and was given "
                            f"{list(images.shape[1:])}; give it what it was trained on")

    def codebooks(self):
        """What distances are taken to: float32 [M, K, d]."""
        return self._session.run(self._graph.codebooks)

    def export(self, path):
        """Write F and the codes to `path`: a SavedModel in a folder of that name, or where it ends in .onnx a file for
        ONNX, both of which take `images`, [B, ...] of what this encoder takes, to `features`, float32 [B, D], and
        `codes`, uint8 [B, M].

        Raises UserError where it is there already or cannot be written, and for .onnx where tf2onnx is not installed or
        ONNX lacks an operation.
        """
        if Path(path).exists():
            raise UserError(f"{path} is there already; remove it, or choose another name")
        given = {"images": self._images}
        found = {"features": self._graph.features, "codes": self._graph.codes}
        (_to_onnx if str(path).endswith(".onnx") else _to_saved_model)(self._session, path, given, found)

    def database(self, codes, labels=None, made_of=None, names=None):
        """The Database of `codes` uint8 [N, M] that this encoder gave, with labels bool [N, L], made_of, a JSON-able
        dict, and names str [N] where there are any."""
        return Database(codes, self.codebooks(), labels, made_of or {}, names, self._method.distance,
                        self._method.added)


def _to_saved_model(session, path, given, found):
    """As tf.saved_model.simple_save, whole or not at all."""
    try:
        with files.whole_folder(path) as unfinished:
            tf.saved_model.simple_save(session, str(unfinished), given, found)
    except tf.errors.OpError as error:
        raise UserError(f"{path} cannot be written ({store.first_line(error)}); choose another path or make room"
                        ) from error


def _to_onnx(session, path, given, found):
    """As tf.saved_model.simple_save, to a file for ONNX."""
    try:
        import onnx
        from tf2onnx.convert import from_graph_def
    except ImportError as error:
        raise UserError("tf2onnx is not installed; pip install tf2onnx onnxruntime") from error
    names = [{tensor.name: name for name, tensor in tensors.items()} for tensors in (given, found)]
    constant = tf.graph_util.convert_variables_to_constants(
        session, session.graph.as_graph_def(), [tensor.op.name for tensor in found.values()])
    model, _ = from_graph_def(constant, input_names=list(names[0]), output_names=list(names[1]), opset=17,
                              tensors_to_rename=names[0] | names[1])
    lacking = sorted({node.op_type for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)})
    if lacking:  # GIST's Fourier transforms, which tf2onnx leaves as they are
        raise UserError(f"ONNX has no {', '.join(lacking)}, which this encoder needs; write a SavedModel, to a name "
                        "that does not end in .onnx")
    with files.whole(path) as file:
        file.write(model.SerializeToString())


def batch_of(shape):
    """How many images or vectors of that shape are encoded at once."""
    if len(shape) == 1:
        return VECTORS
    return SMALL if shape[0] <= 32 else PICTURES


def by_batch(session, wanted, placeholder, images, size, title=None, rows=None, first=0):
    """Yields what `session` makes of `wanted`, a list of tensors, for `size` images at a time: a list of arrays each.

    images: what `placeholder` takes, [N, ...], read a batch at a time; rows: int indices of those to take, or None for
    all; first: how many of these to leave out. With a `title` a progress bar shows. While the session works, the next
    batch is read.
    """
    count = len(images if rows is None else rows)

    def read(start):
        part = slice(start, start + size)
        return images[part if rows is None else rows[part]]

    with tqdm(total=count, initial=first, desc=title, unit="image", disable=None if title else True) as bar, \
            ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, first)
        for start in range(first, count, size):
            batch = coming.result()
            if start + size < count:
                coming = reader.submit(read, start + size)
            yield session.run(wanted, {placeholder: batch})
            files.let_go(images)
            bar.update(len(batch))


def made_of(config, checkpoint, data=None):
    """What decides an image's code, JSON-able: a database is good for no other, see `unlike`. With `data` what decides
    the codes of its gallery."""
    names = config.affecting(Affects.MODEL | Affects.CODES, but=Affects.DATA if data is None else Affects.NOTHING)
    made = {"checkpoint": store.fingerprint(checkpoint, config), **config.model_dump(mode="json", include=names)}
    if data is not None:
        made["data"] = data.source.sha256
    if sets.SETS[config.dataset].prepare is squashed:  # others are cropped, which older databases do not say
        made["prepared"] = "squashed"
    return made


def made_by(config, checkpoint, folder):
    """What of a database's checkpoint its user need not repeat, JSON-able: method, data set, and its path as seen from
    the `folder` of the database."""
    return {"method": config.method, "dataset": config.dataset, "model": os.path.relpath(checkpoint, folder)}


def unlike(kept, made):
    """[(name, value)] of `made`, as of `made_of`, in which `kept`, what a database says, is otherwise.

    An older database does not say all settings.
    """
    return [(name, value) for name, value in made.items()
            if kept.get(name, None if name in PINNED else value) != value]
