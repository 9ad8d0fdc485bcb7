"""Checkpoints under the release's variable names: saving whole or not at all, restoring, pretrained weights."""
import functools
import hashlib
import json
import os
import re
from pathlib import Path

from gpq.model.networks.embeddings import widths
from gpq.model.tf1 import tf
from gpq.utils import files
from gpq.utils.checkpoints import spq_release, wsdhq_release
from gpq.utils.errors import UserError
from gpq.utils.methods import METHODS

PARTS = (".data-00000-of-00001", ".index")
OPTIMISER = ("/Adam", "/Adam_1", "beta1_power", "beta2_power")
RELEASES = {spq_release.SUFFIX: spq_release.checkpoint, wsdhq_release.SUFFIX: wsdhq_release.checkpoint}
MEMORY = ("/codes", "/store", "/started")  # what a training keeps from step to step


def weights():
    """The graph's variables that a release's Demo restores."""
    return [v for v in tf.global_variables() if is_weight(v.op.name)]


def is_weight(name):
    """Whether a variable of that name is neither the optimiser's, nor a training's memory, nor the step."""
    return not name.endswith((*OPTIMISER, *MEMORY)) and name != "global_step"


def saver(variables):
    """A Saver of `variables` for `save`."""
    return tf.train.Saver(variables, max_to_keep=None)


def save(session, path, saver, about):
    """Write the saver's variables to the checkpoint `path` (a prefix) and `about` to `path`.json.

    All files are complete before any takes its name, so that a half-written checkpoint never replaces a good one, and
    of a new one `path`.json comes last. Raises UserError where the disk refuses.
    """
    path = Path(path)
    try:
        with files.whole_folder(path.parent, over_input=True) as unfinished:
            saver.save(session, str(unfinished / path.name), write_meta_graph=False, write_state=False)
            (unfinished / f"{path.name}.json").write_text(json.dumps(about, indent=1) + "\n")
    except (UserError, tf.errors.OpError) as error:
        raise UserError(f"the checkpoint {path} could not be written ({first_line(error.__cause__ or error)}); "
                        "earlier checkpoints are untouched: make room and go on with --resume") from error


def delete(path):
    """Remove the checkpoint `path` and what lies beside it under its name."""
    for suffix in (*PARTS, ".json"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def reader(path, config=None):
    """A reader of the checkpoint `path`, TensorFlow's, a .pth of SPQ's release or a .npy of WSDHQ's, which needs tag
    vectors that `config` may tell of: it has TensorFlow's `get_variable_to_shape_map` and `get_tensor`, and `files`,
    those that decide what it gives. Raises UserError where it is absent, incomplete or damaged."""
    if Path(path).suffix in RELEASES:
        return _Arrays(*RELEASES[Path(path).suffix](path, config))
    files.tidy(Path(path).parent)  # a save that was killed may have left some of its files without their names
    there = [os.path.isfile(f"{path}{part}") for part in PARTS]
    if not any(there):
        raise UserError(f"there is no checkpoint at {path}; set model_load_path to one, or make it with train.py")
    if not all(there):
        lost = f"{path}{PARTS[there.index(False)]}"
        raise UserError(f"the checkpoint {path} is incomplete, {lost} is missing; copy it there again")
    for part in (*PARTS, ".json"):
        files.was_read(f"{path}{part}")
    return _Reader(path)


class _Reader:
    """TensorFlow's reader, which checks checksums; whatever it raises is a UserError."""

    def __init__(self, path):
        self.files = [f"{path}{PARTS[0]}"]
        self._sound = functools.partial(files.sound, path, "checkpoint", "copy it there again")
        with self._sound():
            self._reader = tf.train.NewCheckpointReader(str(path))
            self.get_variable_to_shape_map = self._reader.get_variable_to_shape_map

    def get_tensor(self, name):
        with self._sound():
            return self._reader.get_tensor(name)


class _Arrays:
    """{name: array} of a release's `files`, as TensorFlow's reader gives its own."""

    def __init__(self, arrays, files):
        self.files, self.get_tensor = files, arrays.__getitem__
        self._shapes = {name: list(array.shape) for name, array in arrays.items()}

    def get_variable_to_shape_map(self):
        return self._shapes


def restore(session, path, variables, config):
    """Load `variables` from the checkpoint `path`, all of them of one save where a training replaces it meanwhile.

    Raises UserError where the file is absent or damaged, and where it was made with other settings than
    `config`, naming the setting to change.
    """
    parts, before = [f"{path}{part}" for part in PARTS], None
    while before != files.state(*parts):
        before = files.state(*parts)
        try:
            values = _values(path, variables, config)
        except UserError:
            if before == files.state(*parts):
                raise
    assign(session, values)


def _values(path, variables, config):
    """{variable: array} of the checkpoint `path`, as `restore` loads them."""
    tensors = reader(path, config)
    shapes = tensors.get_variable_to_shape_map()
    METHODS[config.method](config).check(path, shapes)
    needed = {variable.op.name: variable.shape.as_list() for variable in variables}
    for there, here in zip(widths(shapes)[:1], widths(needed)[:1], strict=False):
        if there != here:
            raise UserError(f"{path} was trained on vectors of {there} numbers, and these have {here}; give vectors of "
                            "the same model")
    for name, shape in needed.items():
        if shapes.get(name) != shape:
            raise UserError(f"{path} holds {name} as {shapes.get(name, 'nothing')}, the network needs {shape}; it is "
                            "no checkpoint of this network")
    values = {variable: tensors.get_tensor(variable.op.name) for variable in variables}
    for variable, array in values.items():
        if array.dtype != variable.dtype.as_numpy_dtype:
            raise UserError(f"{path} holds {variable.op.name} as {array.dtype}, the network needs "
                            f"{variable.dtype.name}; it is no checkpoint of this network")
    return values


def assign(session, values):
    """Give variables their values, {variable: array}, all at once: one by one takes seconds."""
    session.run([variable.initializer for variable in values],
                {variable.initializer.inputs[1]: value for variable, value in values.items()})


def fingerprint(path, config=None):
    """The SHA-256 of a checkpoint's weights file, and of the tag vectors that a .npy codes by, as hexadecimal text."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in reader(path, config).files)).hexdigest()


def first_line(error):
    """What an exception says, in a line; of TensorFlow's, which begin with where in the graph, what follows on that."""
    said = re.sub(r"(?s)\AGraph execution error.*?\nNode: [^\n]*\n", "", str(error).strip())
    return (said or type(error).__name__).splitlines()[0]
