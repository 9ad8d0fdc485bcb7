"""A finished training's checkpoint: what the JSON beside it says, choosing it, and whether settings suit it."""
from pathlib import Path

import pydantic

from config import METHODS as KINDS
from utils import files, settings
from utils.checkpoints import store
from utils.data import sets
from utils.data.data import Source
from utils.errors import UserError
from utils.methods import METHODS
from utils.reading import documents

# What a checkpoint's JSON must agree in with the settings that it is searched by, and what of it is the data set's.
USE = {"method", "dataset", "protocol", "known_classes", "backbone", "hidden", "image_size", "input_side", "n_CLASSES",
       "n_book", "bn_word", "len_code", "N_books", "N_words", "L_word", "variant", "n_bits", "dimension", "truth"}
OF_DATA = {"dataset", "protocol", "known_classes", "n_CLASSES", "truth"}


class Beside(pydantic.BaseModel):
    """What training wrote beside a checkpoint of any age."""

    step: pydantic.NonNegativeInt
    images: pydantic.NonNegativeInt = 0
    seconds: pydantic.NonNegativeFloat
    initial: str
    initial_sha256: str | None = None
    losses: dict[str, float] | None
    judged: float | None = None
    data: Source | str
    tags_sha256: str | None = None
    device: str = ""
    commit: str | None = None
    settings: dict[str, object]

    @pydantic.field_validator("settings")
    @classmethod
    def _are_settings(cls, said):
        """They are held against the class of config.py that they are of; what it no longer has is left alone."""
        method = said.get("method", "gpq")
        if method not in KINDS:
            raise ValueError(f"there is no method {method!r}")
        kind = KINDS[method]
        try:
            kind(**{name: value for name, value in settings.completed(said, kind).items() if name in kind.model_fields})
        except pydantic.ValidationError as error:
            raise ValueError(documents.fault(error)) from error
        return said


def read(path):
    """The JSON `path` of a checkpoint, a dict as of Beside. Raises UserError where it is absent or damaged."""
    return documents.read_json(path, Beside, "description of a checkpoint",
                               "move it and its checkpoint away, or set model_save_path")


def about(checkpoint):
    """The JSON beside a checkpoint, or None where there is none. Raises UserError where it is damaged."""
    file = Path(f"{checkpoint}.json")
    try:
        return read(file)
    except UserError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def newest(folder):
    """The checkpoint in `folder` that has come furthest and can be resumed, or None."""
    found = [(kept["step"], str(path)) for path, kept in _told(folder, resumable=True)]
    return max(found)[1] if found else None


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
    for part in (*store.PARTS, ".json"):
        path = path.removesuffix(part)
    if not Path(path).is_dir():
        return path
    there = [str(file.with_suffix("")) for file in sorted(Path(path).glob(f"*{store.PARTS[1]}"))]
    found = finished(config.model_copy(update={"model_save_path": path})) or (there[0] if len(there) == 1 else None)
    if found is None:
        raise UserError(f"model_load_path is {path}, a folder without one finished checkpoint of these settings; set "
                        f"it to {' or '.join(there[:5]) or 'one that holds a checkpoint'}")
    return found


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
    check_same(checkpoint, before, config, names - ({"known_classes"} if before["protocol"] != 2 else set()),
                ", or model_load_path to another")
    if source is None:
        return
    trained_on = Source.from_json(kept["data"])  # an image has the same role in the sample and in all
    if trained_on.name != source.name or (trained_on.part == source.part and not source.same_data(trained_on)):
        raise UserError(f"{checkpoint} was trained on {trained_on} and {place(source)} holds {source}; set "
                        f"{place(source)} as it was, or model_load_path to another")


def check_same(path, before, config, names, mend):
    """UserError where the settings `before` that the checkpoint `path` was trained with and `config` differ in one of
    `names`; mend: how the sentence ends."""
    if found := settings.differences(before, config, names):
        was = " and ".join(f"{name}={value}" for name, value, _ in found)
        now = " and ".join(str(value) for *_, value in found)
        raise UserError(f"{path} was trained with {was} and the settings say {now}; set {was}{mend}")


def place(source):
    """The setting that says where these data lie."""
    return "embeddings" if source.name == "embeddings" else "data_dir"
