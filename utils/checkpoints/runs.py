"""A finished training's checkpoint: what the JSON beside it says, choosing it, and whether settings suit it."""
from pathlib import Path

import pydantic

from gpq.config import METHODS as KINDS
from gpq.utils import files, settings
from gpq.utils.base_settings import Affects
from gpq.utils.checkpoints import store
from gpq.utils.data.data import Source
from gpq.utils.errors import UserError
from gpq.utils.reading import documents

EXAMPLE = "_example.ckpt"  # how what the repository ships is called


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
        try:
            trained_with({"settings": said})
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


def trained_with(kept):
    """The settings of a training, an object of its class of config.py, from the JSON beside a checkpoint of any age."""
    kind = KINDS[kept["settings"].get("method", "gpq")]
    said = settings.completed(kept["settings"], kind)
    return kind(**{name: value for name, value in said.items() if name in kind.model_fields})


def finished(config):
    """The newest checkpoint that a finished training left in `config.model_save_path` and that these settings can
    search by, or None: of their method, data and code length, and of all that was given of what F and its codebooks
    are. The shipped example is no such training."""
    return _newest_finished(config.model_save_path, config, _is_asked_for, _agrees)


def _newest_finished(folder, config, *conditions):
    """The path of the newest finished checkpoint in a folder for whose settings and `config` the conditions hold."""
    example = Path(config.filled(type(config).model_fields["model_load_path"].default))
    found = [path for path, kept in _told(folder, resumable=False) if path.resolve() != example.resolve()
             and all(holds(trained_with(kept), config) for holds in conditions)]
    return str(max(found, key=lambda path: [time for _, _, time, _ in files.state(f"{path}.json")])) if found else None


def _is_asked_for(trained, config):
    """Whether a training is of the method, data and code length of `config`."""
    return (trained.final_checkpoint.name == config.final_checkpoint.name and not differences(
        trained, config, config.affecting(Affects.MODEL) & config.affecting(Affects.DATA)))


def _agrees(trained, config):
    """Whether a training is as was given."""
    names = {"method"} if trained.method != config.method else config.affecting(Affects.MODEL) & _said(config)
    return not differences(trained, config, names)


def _said(config):
    """The names of the settings that were given, and of what these leave no choice: vectors are a data set."""
    given = {name: getattr(config, name) for name in config.model_fields_set}
    return given.keys() | config.implied(given).keys() & config.affecting(Affects.DATA)


def chosen(config):
    """What to search by: (path of the checkpoint, the settings to search with).

    The checkpoint is `model_load_path` where it was given, else the newest finished training, else the shipped example;
    says which, where it was not given. What was not given of its data, of F, of its codebooks and of what else decides
    codes, as GPQ's `follow`, is as it was trained; `precision` is a search's own. Raises UserError with both values
    where what was given of data, F and codebooks is otherwise.
    """
    if "model_load_path" in config.model_fields_set or not config.model_load_path.endswith(EXAMPLE):
        path = named(config)
    elif path := finished(config):
        print(f"Searching by {path}, the newest finished training of these settings in {config.model_save_path}")
    elif Path(f"{config.checkpoint}{store.PARTS[1]}").exists() or not (
            path := _newest_finished(config.model_save_path, config, _is_asked_for)):
        path = named(config)
        print(f"Searching by {path}: no training of these settings is finished in {config.model_save_path}")
    kept = about(path)
    if kept is None:
        return path, config
    trained = trained_with(kept)
    config = _of_method(config, trained.method)
    said = _said(config)
    names = {"method"} if trained.method != config.method else config.affecting(Affects.MODEL) & said
    check_same(path, trained, config, names, ", or model_load_path to another")
    names = trained.affecting(Affects.MODEL | Affects.CODES, but=Affects.SEARCH) - said
    if taken := differences(config, trained, names):
        print(f"{', '.join(f'{name}={value}' for name, _, value in taken)}, as it was trained")
    return path, config.model_copy(update={name: getattr(trained, name) for name in names})


def _of_method(config, method):
    """`config`, from the command line, as the settings of another method, where neither method nor a setting says else.
    """
    given = {name: getattr(config, name) for name in config.model_fields_set}
    if "method" in given or not isinstance(config, settings.CommandLine):
        return config
    kind = settings.of_method(type(config), method)
    return kind(**given) if given.keys() <= kind.model_fields.keys() else config


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
    found = (_newest_finished(path, config, _is_asked_for, _agrees) or _newest_finished(path, config, _agrees)
             or (there[0] if len(there) == 1 else None))
    if found is None:
        raise UserError(f"model_load_path is {path}, a folder without one finished checkpoint of these settings; set "
                        f"it to {' or '.join(there[:5]) or 'one that holds a checkpoint'}")
    return found


def check_source(checkpoint, source, resumed=False):
    """Refuse data, a Source, that are not those that the JSON beside `checkpoint` tells of.

    Args:
        checkpoint: its path; one without JSON, such as the release's, is taken as it is.
        resumed: whether they must be the same part, too; a search may be of all that the sample is part of, in which an
            image has the same role.
    Raises: UserError with both data.
    """
    kept = about(checkpoint)
    if kept is None:
        return
    trained_on = Source.from_json(kept["data"])
    other_part = trained_on.name == source.name and trained_on.part != source.part and not resumed
    if not (other_part or source.same_data(trained_on)):
        place = "embeddings" if source.name == "embeddings" else "data_dir"
        mend = "" if resumed else ", or model_load_path to another"
        raise UserError(f"{checkpoint} was trained on {trained_on} and {place} now holds {source}; set {place} as it "
                        f"was{mend}")


def differences(before, now, names):
    """[(name, before, now)], JSON-able, of the settings in `names` in which two objects differ and that have an effect.
    """
    names = {name for name in names if hasattr(before, name) and hasattr(now, name)
             and not (settings.idle(before, name) and settings.idle(now, name))}
    before, now = (each.model_dump(mode="json", include=names) for each in (before, now))
    return [(name, before[name], now[name]) for name in sorted(names) if before[name] != now[name]]


def check_same(path, trained, config, names, mend):
    """UserError where the settings `trained`, of the checkpoint `path`, and `config` differ in one of `names`.

    mend: how the sentence ends.
    """
    if found := differences(trained, config, names):
        was = " and ".join(f"{name}={value}" for name, value, _ in found)
        now = " and ".join(str(value) for *_, value in found)
        raise UserError(f"{path} was trained with {was} and the settings say {now}; set {was}{mend}")
