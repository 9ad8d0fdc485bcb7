"""The folder of a training: held for one, its progress, starting and resuming."""
import contextlib
import errno
import os
import shutil
from pathlib import Path

from gpq.model.backbone import NETWORKS
from gpq.model.tf1 import tf
from gpq.utils import files
from gpq.utils.base_settings import Affects
from gpq.utils.checkpoints import imagenet, machine, pretrained, runs, store
from gpq.utils.errors import UserError

RESUMED = Affects.DATA | Affects.TRAINING | Affects.MODEL | Affects.CODES  # what a training goes on with


@contextlib.contextmanager
def only_training_in(folder):
    """Hold `folder` (made where absent) for one training. UserError where it cannot be written or is held."""
    refusal = f"another training is writing to {folder}; wait for it, or set another model_save_path"
    with contextlib.ExitStack() as until_end:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            files.tidy(folder)
            until_end.enter_context(files.held(folder / ".training.lock", refusal))
            if not os.access(folder, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise UserError(f"{folder} cannot be written ({error.strerror}); set another model_save_path") from error
        yield


def check_disk(folder, variables, n_checkpoints):
    """UserError unless `n_checkpoints` + 1 checkpoints of `variables` fit onto the disk of `folder`."""
    one = sum(4 * v.shape.num_elements() for v in variables)
    need, free = (n_checkpoints + 1) * one, shutil.disk_usage(folder).free
    if free < need:
        raise UserError(f"the disk of {folder} has {free / 2**20:.0f} MiB left and the checkpoints need "
                        f"{need / 2**20:.0f} MiB; make room or set another model_save_path")


class Progress:
    """How far a run has come: what its log, its checkpoints' JSON and its resumption need."""

    def __init__(self, step=0, seconds=0.0, initial="random weights", losses=None, judged=None, initial_sha256=None):
        self.step, self.seconds, self.initial, self.initial_sha256 = step, seconds, initial, initial_sha256
        self.losses, self.judged = losses, judged
        self._made_by = {"device": machine.device(), "commit": machine.commit()}  # at the start: files may change later

    def about(self, config, task):
        """The JSON-able settings and results that lie beside a checkpoint."""
        return {"step": self.step, "epoch": self.step // task.epoch_steps,
                "images": self.step * task.n_batches * task.batch_size, "seconds": round(self.seconds, 1),
                "initial": self.initial, "initial_sha256": self.initial_sha256, "data": task.source._asdict(),
                "tags_sha256": task.tags_sha256, "losses": self.losses,
                "measure": task.measure, "judged": self.judged, "tensorflow": tf.__version__, **self._made_by,
                "settings": config.model_dump(mode="json", exclude={"resume"})}


def ended(config, n_steps):
    """Whether resuming would find a training of `config` that has come to its end, which then is said.

    Args:
        config: settings with `resume`.
        n_steps: steps of the whole training.
    """
    made = runs.about(config.final_checkpoint) if config.resume else None
    if made is None or made["step"] < n_steps or runs.differences(
            runs.trained_with(made), config, config.affecting(RESUMED, but=Affects.FILE)):
        return False
    print(f"{config.final_checkpoint} is finished, iter {made['step']} of {n_steps}; ask for more epochs to go on, or "
          "search by it with Demo.py")
    return True


def start(session, folder, variables, config, source, tags_sha256=None):
    """Initial weights: the newest checkpoint's with `config.resume`, else pretrained or random ones. Says which.

    source, tags_sha256: the task's. Returns the run's Progress. Raises UserError where there is nothing to resume,
    where it was made with other settings, data or tags, and where a fresh training would mix with another's
    checkpoints.
    """
    path = runs.newest(folder)
    if config.resume:
        if path is None:
            raise UserError(f"there is no checkpoint to resume in {folder}; leave --resume out, or set model_save_path")
        before = runs.about(path)
        bound = RESUMED | Affects.DURATION if config.decay == "cosine" else RESUMED
        runs.check_same(path, runs.trained_with(before), config, config.affecting(bound, but=Affects.FILE),
                        " to go on with it")
        runs.check_source(path, source, resumed=True)
        if before.get("tags_sha256") not in (None, tags_sha256):
            raise UserError(f"{path} was trained with other tags than these; put those back, or set another "
                            "model_save_path")
        store.restore(session, path, variables, config)
        print(f"Resumed from {path}, iter {before['step']}")
        return Progress(**{name: before[name] for name in ("step", "seconds", "initial", "losses")},
                        judged=before.get("judged"), initial_sha256=before.get("initial_sha256"))
    if path is not None:
        raise UserError(f"{folder} holds another training's checkpoints ({path}); go on with it by --resume, "
                        "or set another model_save_path")
    if Path(f"{config.final_checkpoint}.index").exists():
        raise UserError(f"{config.final_checkpoint} is a finished training's; set another model_save_path, or move it "
                        "away")
    initial = initialise(session, config)
    return Progress(initial=initial, initial_sha256=pretrained.sha256(initial))


def initialise(session, config):
    """Take F from `config.ImagNet_pretrained_path`, or where that is "" from ImageNet's EfficientNet-Lite, if it is
    one, or at random. Says so, and returns what the weights are; "" where there are none to train.

    Raises UserError where the file cannot be used, and where F is on vectors, which nobody has pretrained.
    """
    path = config.ImagNet_pretrained_path
    if path and config.backbone == "embeddings":
        raise UserError(f"ImagNet_pretrained_path is {path}, but a network on vectors has no pretrained weights; "
                        "leave it out")
    if not tf.trainable_variables():
        return ""
    network = NETWORKS[config.backbone]
    if not path and network.imagenet is not None:
        count = imagenet.load(session, network.imagenet, network.scope)
        print(f"Loaded {count} variables of EfficientNet-Lite{network.imagenet}, trained on ImageNet")
        return f"ImageNet, {imagenet.weight_file(network.imagenet).name}"
    if not path:
        print("Training from random weights; ImagNet_pretrained_path names a pretrained F to start from")
        return "random weights"
    count = pretrained.load_pretrained(session, path)
    print(f"Loaded {count} pretrained variables from {path}")
    return path
