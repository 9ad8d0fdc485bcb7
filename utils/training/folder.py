"""What surrounds a training loop: the session, the folder, starting and resuming, signals and logs."""
import contextlib
import json
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

from model.tf1 import tf
from utils.errors import UserError
from utils.session import checkpoints, machine, pretrained

# Settings that may change when a run goes on: they leave what a step computes as it is.
FREE = {"data_dir", "ImagNet_pretrained_path", "model_save_path", "model_load_path", "cifar10_label_sim_path",
        "n_DB", "total_epochs", "save_term", "gpu_memory_growth", "resume", "out"}


@contextlib.contextmanager
def only_training_in(folder):
    """Hold `folder` (made where absent) for one training. UserError where it cannot be written or is held."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        lock = FileLock(folder / ".training.lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"another training is writing to {folder}; wait for it, or set another "
                        "model_save_path") from None
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); set another model_save_path") from error
    try:
        yield
    finally:
        lock.release()


def check_disk(folder, variables, n_checkpoints):
    """UserError unless `n_checkpoints` + 1 checkpoints of `variables` fit onto the disk of `folder`."""
    one = sum(4 * v.shape.num_elements() for v in variables)
    need, free = (n_checkpoints + 1) * one, shutil.disk_usage(folder).free
    if free < need:
        raise UserError(f"the disk of {folder} has {free / 2**20:.0f} MiB left and the checkpoints need "
                        f"{need / 2**20:.0f} MiB; make room or set another model_save_path")


def check_data(path, before, now):
    """UserError where `path` was made with other data than there are now."""
    if before != now:
        raise UserError(f"{path} was trained on {before} and data_dir now holds {now}; set data_dir as it was")


class Progress:
    """How far a run has come: what its log, its checkpoints' JSON and its resumption need."""

    def __init__(self, step=0, seconds=0.0, initial="random weights", losses=None, judged=None):
        self.step, self.seconds, self.initial = step, seconds, initial
        self.losses, self.judged = losses, judged
        self._made_by = {"device": machine.device(), "commit": machine.commit()}  # at the start: files may change later

    def about(self, config, task):
        """The JSON-able settings and results that lie beside a checkpoint."""
        return {"step": self.step, "epoch": self.step // task.epoch_steps,
                "images": self.step * task.n_batches * task.batch_size, "seconds": round(self.seconds, 1),
                "initial": self.initial, "data": task.source, "losses": self.losses, "measure": task.measure,
                "judged": self.judged, "tensorflow": tf.__version__, **self._made_by,
                "settings": config.model_dump(mode="json", exclude={"resume"})}


def newest(folder):
    """The checkpoint in `folder` that has come furthest and can be resumed, or None."""
    found = [(_about(file)["step"], str(file.with_suffix("")))
             for file in Path(folder).glob("*.ckpt.json") if _resumable(file.with_suffix(""))]
    return max(found)[1] if found else None


def _about(file):
    """The JSON beside a checkpoint. Raises UserError where it is damaged."""
    try:
        about = json.loads(file.read_text())
        return {name: about[name] for name in ("step", "seconds", "initial", "losses", "judged", "data", "settings")}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged; move it and its checkpoint away, or set model_save_path") from error


def epochs_of(folder):
    """The `<epoch>.ckpt` of a training in `folder`, oldest first."""
    return sorted((path.with_suffix("") for path in Path(folder).glob("*.ckpt.json")
                   if path.name.removesuffix(".ckpt.json").isdigit()), key=lambda path: int(path.stem))


def _resumable(path):
    return path.name == "interrupted.ckpt" or path.name.removesuffix(".ckpt").isdigit()


def start(session, folder, variables, config, source):
    """Initial weights: the newest checkpoint's with `config.resume`, else pretrained or random ones. Says which.

    source: the task's. Returns the run's Progress. Raises UserError where there is nothing to resume, where it was
    made with other settings or data, and where a fresh training would mix with another's checkpoints.
    """
    path = newest(folder)
    if config.resume:
        if path is None:
            raise UserError(f"there is no checkpoint to resume in {folder}; leave --resume out, or set model_save_path")
        before = _about(Path(f"{path}.json"))
        _check_same(path, before.pop("settings"), config)
        check_data(path, before.pop("data"), source)
        checkpoints.restore(session, path, variables, config)
        print(f"Resumed from {path}, iter {before['step']}")
        return Progress(**before)
    if path is not None:
        raise UserError(f"{folder} holds another training's checkpoints ({path}); go on with it by --resume, "
                        "or set another model_save_path")
    return Progress(initial=initialise(session, config))


def initialise(session, config):
    """Take F from `config.ImagNet_pretrained_path` where that is a file. Says so, and returns what the weights are."""
    path = config.ImagNet_pretrained_path
    if not Path(path).is_file():
        print(f"No pretrained weights at {path or '(nowhere)'}: training from random weights")
        return "random weights"
    count = pretrained.load_pretrained(session, path)
    print(f"Loaded {count} pretrained variables from {path}")
    return path


def completed(settings, kind):
    """The JSON-able settings of something that was made before `kind` had all of its settings: those that came later
    were what their defaults say, which therefore must stay."""
    return {**kind().model_dump(mode="json"), **settings}


def _check_same(path, before, config):
    now, before = config.model_dump(mode="json"), completed(before, type(config))
    bound = before.keys() - FREE | ({"total_epochs"} if config.decay == "cosine" else set())
    for name in sorted(bound):
        if before[name] != now.get(name):
            raise UserError(f"{path} was trained with {name}={before[name]} and the settings say {now.get(name)}; "
                            f"set {name}={before[name]} to go on with it")
