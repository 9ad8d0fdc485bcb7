"""The folder of a training: held for one, its progress, starting, resuming, and what is finished in it."""
import contextlib
import errno
import os
import shutil
from pathlib import Path

from model.backbones import NETWORKS
from model.tf1 import tf
from utils import files, settings
from utils.data import sets
from utils.data.data import Source
from utils.errors import UserError
from utils.methods import METHODS
from utils.session import beside, checkpoints, imagenet, machine, pretrained

# What a checkpoint's JSON must agree in with the settings that it is searched by, and what of it is the data set's.
USE = {"method", "dataset", "protocol", "known_classes", "backbone", "hidden", "image_size", "input_side", "n_CLASSES",
       "n_book", "bn_word", "len_code", "N_books", "N_words", "L_word", "variant", "n_bits", "dimension", "truth"}
OF_DATA = {"dataset", "protocol", "known_classes", "n_CLASSES", "truth"}


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


def check_data(path, before, now):
    """UserError where `path` was made with other data than there are now; before: JSON-able; now: a Source."""
    before = Source.from_json(before)
    if not now.same_data(before):
        raise UserError(f"{path} was trained on {before} and {_place(now)} now holds {now}; set {_place(now)} as it "
                        "was")


def _place(source):
    """The setting that says where these data lie."""
    return "embeddings" if source.name == "embeddings" else "data_dir"


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


def newest(folder):
    """The checkpoint in `folder` that has come furthest and can be resumed, or None."""
    found = [(kept["step"], str(path)) for path, kept in _told(folder, resumable=True)]
    return max(found)[1] if found else None


def about(checkpoint):
    """The JSON beside a checkpoint, or None where there is none. Raises UserError where it is damaged."""
    file = Path(f"{checkpoint}.json")
    try:
        return beside.read(file)
    except UserError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def epochs_of(folder):
    """The `<epoch>.ckpt` of a training in `folder`, oldest first."""
    return sorted((path for path in _checkpoints(folder) if path.stem.isdigit()), key=lambda path: int(path.stem))


def _checkpoints(folder):
    return [file.with_suffix("") for file in Path(folder).glob("*.ckpt.json")]


def _told(folder, resumable):
    """[(a checkpoint in `folder`, what the JSON beside it says)], but for those that a training removes meanwhile."""
    files.tidy(folder)
    return [(path, kept) for path in _checkpoints(folder) if _resumable(path) == resumable and (kept := about(path))]


def _resumable(path):
    return path.name == "interrupted.ckpt" or path.stem.isdigit()


def finished(config):
    """The newest checkpoint that a finished training left in `config.model_save_path` and that these settings can
    search by, or None. The shipped example is no such training."""
    example = Path(config.filled(settings.released(type(config))["model_load_path"]))
    found = [path for path, kept in _told(config.model_save_path, resumable=False)
             if path.resolve() != example.resolve() and not settings.differences(kept["settings"], config, USE)]
    return str(max(found, key=lambda path: [time for _, _, time, _ in files.state(f"{path}.json")])) if found else None


def chosen(config, source=None):
    """What to search by: (path of the checkpoint, the settings to search with).

    The checkpoint is `model_load_path` where it was given, else the newest finished training, else the shipped example;
    says which, where it was not given. Settings that decide codes beside it, as GPQ's `follow`, are those that it was
    trained with, unless the command line or an edit of config.py says others; so is how a user's own pictures, for
    which there is no `source`, are prepared. Raises UserError as `check_use`.
    """
    usual = settings.released(type(config))
    path = named(config)
    if config.model_load_path == usual["model_load_path"]:
        path = finished(config)
        print(f"Searching by {path}, the newest finished training of these settings in {config.model_save_path}" if path
              else f"Searching by {config.checkpoint}: no training of these settings is finished in "
                   f"{config.model_save_path}")
        path = path or named(config)
    kept = about(path)
    if source is None and config.backbone != "embeddings":
        config = sets.for_own_pictures(config, kept and settings.completed(kept["settings"], type(config)))
    check_use(path, config, source)
    if kept is None:
        return path, config
    left_out = {name for name in METHODS[config.method].coded_by if name not in USE | config.model_fields_set
                and getattr(config, name) == usual[name]}
    trained = {name: was for name, was, _ in settings.differences(kept["settings"], config, left_out)}
    for name, value in trained.items():
        print(f"{name}={value}, as it was trained")
    return path, config.model_copy(update=trained)


def named(config):
    """The checkpoint that `model_load_path` names, as a path, one of its files or the folder in which it is alone.

    Args:
        config: settings to search by.
    Returns: str, the checkpoint's path, whether or not it is there; of a folder with several the newest finished one of
        these settings.
    Raises: UserError where a folder holds no such checkpoint or several.
    """
    path = config.checkpoint
    for part in (*checkpoints.PARTS, ".json"):
        path = path.removesuffix(part)
    if not Path(path).is_dir():
        return path
    there = [str(file.with_suffix("")) for file in sorted(Path(path).glob(f"*{checkpoints.PARTS[1]}"))]
    found = finished(config.model_copy(update={"model_save_path": path})) or (there[0] if len(there) == 1 else None)
    if found is None:
        raise UserError(f"model_load_path is {path}, a folder without one finished checkpoint of these settings; set "
                        f"it to {' or '.join(there[:5]) or 'one that holds a checkpoint'}")
    return found


def ended(config, n_steps):
    """Whether resuming would find a training of `config` that has come to its end, which then is said.

    Args:
        config: settings with `resume`.
        n_steps: steps of the whole training.
    """
    made = about(config.final_checkpoint) if config.resume else None
    if made is None or made["step"] < n_steps or settings.differences(
            made["settings"], config, type(config).model_fields.keys() - settings.FREE):
        return False
    print(f"{config.final_checkpoint} is finished, iter {made['step']} of {n_steps}; ask for more epochs to go on, or "
          "search by it with Demo.py")
    return True


def check_use(checkpoint, config, source=None):
    """Refuse to search `checkpoint` by other settings or data than the JSON beside it tells of.

    Args:
        checkpoint: its path; one without JSON, such as the release's, is taken as it is.
        config: the settings to search by, of which those in USE count.
        source: the Source of the data, or None for pictures of a user's own.
    Raises: UserError with the settings that differ, each with both values, or with both data.
    """
    kept = about(checkpoint)
    if kept is None:
        return
    before = settings.completed(kept["settings"], type(config))
    names = {"method"} if before["method"] != config.method else USE - OF_DATA if source is None else USE
    _check_same(checkpoint, before, config, names - ({"known_classes"} if before["protocol"] != 2 else set()),
                ", or model_load_path to another")
    if source is None:
        return
    trained_on = Source.from_json(kept["data"])  # an image has the same role in the sample and in all
    if trained_on.name != source.name or (trained_on.part == source.part and not source.same_data(trained_on)):
        raise UserError(f"{checkpoint} was trained on {trained_on} and {_place(source)} holds {source}; set "
                        f"{_place(source)} as it was, or model_load_path to another")


def start(session, folder, variables, config, source, tags_sha256=None):
    """Initial weights: the newest checkpoint's with `config.resume`, else pretrained or random ones. Says which.

    source, tags_sha256: the task's. Returns the run's Progress. Raises UserError where there is nothing to resume,
    where it was made with other settings, data or tags, and where a fresh training would mix with another's
    checkpoints.
    """
    path = newest(folder)
    if config.resume:
        if path is None:
            raise UserError(f"there is no checkpoint to resume in {folder}; leave --resume out, or set model_save_path")
        before = about(path)
        names = type(config).model_fields.keys() - settings.FREE
        if config.decay == "cosine":
            names |= {"total_epochs", "iterations"}
        _check_same(path, before["settings"], config, names, " to go on with it")
        check_data(path, before["data"], source)
        if before.get("tags_sha256") not in (None, tags_sha256):
            raise UserError(f"{path} was trained with other tags than these; put those back, or set another "
                            "model_save_path")
        checkpoints.restore(session, path, variables, config)
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


def _check_same(path, before, config, names, mend):
    """UserError where the settings `before` that the checkpoint `path` was trained with and `config` differ in one of
    `names`; mend: how the sentence ends."""
    if found := settings.differences(before, config, names):
        was = " and ".join(f"{name}={value}" for name, value, _ in found)
        now = " and ".join(str(value) for *_, value in found)
        raise UserError(f"{path} was trained with {was} and the settings say {now}; set {was}{mend}")
