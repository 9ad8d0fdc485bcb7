"""Runs: finished trainings with their evaluation, a line of JSON each, found by all settings and by what they started
from, never by a name."""
import contextlib
import fcntl
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydantic

from gpq.config import METHODS as KINDS
from gpq.config import Config
from gpq.model.backbone import NETWORKS
from gpq.utils import files, methods
from gpq.utils.base_settings import Affects
from gpq.utils.checkpoints import pretrained
from gpq.utils.data import image_lists, sets
from gpq.utils.data.data import Source
from gpq.utils.errors import UserError
from gpq.utils.reading import documents
from gpq.utils.settings import before
from gpq.utils.training.logs import scalars

FILES = "ImagNet_pretrained_path", "embeddings"  # settings whose files count, and not their names
POINTS = 60  # of a curve
PASSES = 3  # the backward pass costs two forward ones


class Inputs(NamedTuple):
    """What a training started from: SHA-256 of the pretrained F and of the images or vectors, or the words that are
    known of one that nobody noted; "" for no F, None for what is not here."""

    f: str | None
    data: str | None

    def agree(self, others):
        """Whether others are the same, as far as these are here."""
        return all(now in (None, then) for now, then in zip(self, others, strict=True))


class Evaluation(pydantic.BaseModel):
    """What `evaluation.evaluate` gives."""

    mAP: float
    mAP_stable: float
    unquantised_mAP: float
    symmetric_mAP: float | None = None
    distinct_codes: int
    queries: int
    gallery: int
    class_mAP: dict[str, float]
    ranks: list[int]
    precision: list[float]
    recall: list[float]

    @pydantic.model_validator(mode="after")
    def _are_curves(self):
        if not len(self.ranks) == len(self.precision) == len(self.recall):
            raise ValueError("ranks, precision and recall are of other lengths")
        return self


class Training(pydantic.BaseModel):
    """What training wrote beside the checkpoint, but for the settings."""

    step: pydantic.NonNegativeInt
    images: pydantic.NonNegativeInt
    seconds: pydantic.NonNegativeFloat
    initial: str
    initial_sha256: str | None = None
    losses: dict[str, float] | None = None
    measure: str | None = None
    judged: float | None = None
    data: dict[str, str | None] | str
    tags_sha256: str | None = None
    tensorflow: str | None = None
    device: str = ""
    commit: str | None = None


class FinishedRun(pydantic.BaseModel):
    """A finished training, all its settings and what was measured; `start`: what F knew before, in words; `separation`:
    silhouette and neighbours' agreement of its features, where a figure shows them."""

    settings: dict[str, object]
    start: str
    training: Training
    evaluation: Evaluation
    curves: dict[str, tuple[list[float], list[float]]]
    PFLOP: float
    command: str = ""
    separation: tuple[float, float] | None = None

    @pydantic.field_validator("curves")
    @classmethod
    def _have_both(cls, curves):
        for what, (steps, values) in curves.items():
            if len(steps) != len(values):
                raise ValueError(f"{what} has {len(steps)} steps and {len(values)} values")
        return curves

    @functools.cached_property
    def inputs(self):
        """The Inputs."""
        f = (self.training.initial_sha256 or self.start) if self.settings["ImagNet_pretrained_path"] else ""
        source = self.source
        return Inputs(f, source.sha256 or str(source))

    @property
    def source(self):
        """The Source of the data."""
        return Source.from_json(self.training.data)

    @functools.cached_property
    def key(self):
        """All settings as text, see `key`."""
        return key(self.settings)

    @functools.cached_property
    def id(self):
        """See `identity`."""
        return identity(self.settings, self.inputs)


def deciding(kind):
    """The names of the settings of a class of config.py that decide a run's numbers, but for files."""
    return kind.affecting(~Affects.FILE, but=Affects.FILE)


def settings(config):
    """The JSON-able settings that a run's numbers depend on."""
    return dict(sorted(config.model_dump(mode="json", include={*deciding(type(config)), *FILES}).items()))


def key(settings):
    """JSON-able settings as text by which those of runs are compared: all that decide numbers, but for files, and for
    what they would be where they were left out."""
    kind = KINDS[settings["method"]]
    told = {name: value for name, value in settings.items() if name not in FILES
            and (name not in kind.model_fields or name == "method"
                 or name in deciding(kind) and value != before(kind, name))}
    return json.dumps(told, sort_keys=True)


def identity(settings, inputs):
    """Ten hexadecimal digits that name a run by its settings and what it starts from."""
    told = {name: value for name, value in settings.items() if name not in FILES}
    return hashlib.sha256(json.dumps([told, *inputs], sort_keys=True).encode()).hexdigest()[:10]


def inputs_here(config, smoke=False):
    """The Inputs of a training of `config` if it began now; the sample counts as data for `smoke` alone."""
    place = {name: getattr(config, name) for name in ("dataset", "data_dir", "embeddings", "truth", "image_size")}
    source = _source(files.state(config.embeddings) if config.embeddings else None, **place)
    return Inputs(_f_here(config), source.sha256 if source and (smoke or source.part == "all") else None)


def _f_here(config):
    path = config.ImagNet_pretrained_path
    return _sha256(path, files.state(path)) if path else ""


@functools.cache
def _sha256(path, state):
    """The SHA-256 of a pretrained F, which is in that state."""
    return pretrained.sha256(path)


@functools.cache
def _source(state, **place):
    """The Source of the data in a place, whose file of vectors is in that state; None where they cannot be read."""
    with contextlib.suppress(UserError):
        return sets.SETS[place["dataset"]].load(Config(**place)).source


def same(run, config):
    """Whether a FinishedRun has the settings of `config` and started from the same: by what is in the files, or where
    they are not here by their names."""
    here = _f_here(config), inputs_here(config).data if config.embeddings else None
    return run.key == key(settings(config)) and all(
        now == then or os.path.normpath(run.settings[name]) == os.path.normpath(getattr(config, name))
        for name, now, then in zip(FILES, here, run.inputs, strict=True))


def read(path):
    """[FinishedRun] of a file, none where it is absent. Raises UserError with the line that is damaged."""
    if not Path(path).exists():
        return []
    runs = []
    for number, line in enumerate(documents.lines(path, "list of runs"), 1):
        try:
            runs.append(FinishedRun.model_validate_json(line))
        except pydantic.ValidationError as error:
            raise UserError(f"line {number} of {path} is damaged or no run ({documents.fault(error)}); remove the line "
                            "to train it again") from error
    return runs


def keep(path, *runs):
    """Write runs to the file of their table, in the place of the same ones; several processes may do it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        there = read(path)
        kept = {run.id: run for run in (*there, *runs)}
        if list(kept.values()) != there:
            with files.whole(path, over_input=True) as file:
                file.writelines(f"{json.dumps(run.model_dump(mode='json', exclude_none=True))}\n".encode()
                                for run in kept.values())
    finally:
        os.close(folder)


def finished(config, training, evaluation, command):
    """The FinishedRun of a checkpoint: what lies beside it and in its logs, what was measured, and the command."""
    evaluation = {**evaluation, **{name: np.round(evaluation[name], 6).tolist() for name in ("precision", "recall")}}
    return FinishedRun(settings=settings(config), start=_start(config, training), training=Training(**training),
                       evaluation=Evaluation(**evaluation), curves=_curves(Path(config.model_save_path) / "logs"),
                       PFLOP=round(pflop(training["images"], config), 4), command=command)


def _start(config, training):
    """What F knew before the training, in words."""
    if config.embeddings:
        return f"the vectors {Source.from_json(training['data']).origin}"
    path = config.ImagNet_pretrained_path
    return pretrained.provenance(path) if training["initial"] == path else training["initial"]


def _curves(logs):
    """{what: (steps, values)} of the losses and the held-back mAP that a training logged, in at most POINTS means."""
    curves = {}
    for what, values in scalars(logs).items():
        if what != "learning_rate":
            parts = np.array_split(sorted(values.items()), min(len(values), POINTS))
            curves[what] = tuple(np.round([part.mean(0) for part in parts], 5).T.tolist())
    return curves


def cost(configs):
    """What the trainings cost on all of CIFAR-10: (PFLOP, hours on two cores)."""
    total = hours = 0
    for config in configs:
        draws = methods.METHODS[config.method].roles  # an epoch shows each image of the first role once
        images = _role_sizes(config)[draws[0]] - (config.n_validation if config.eval_term else 0)
        n_steps = config.n_steps(images // config.batch_size)
        one = pflop(len(draws) * config.batch_size * n_steps, config)
        total, hours = total + one, hours + one / NETWORKS[config.backbone].pflop_per_hour
    return total, hours


def _role_sizes(config):
    """{role: images} of CIFAR-10 that training may draw from, all of which have a tag."""
    labelled = {1: 5000, 2: 3000 * len(config.known_classes), 3: 0}[config.protocol]
    queries = {1: 1000, 2: 3000 * (10 - len(config.known_classes)), 3: 10_000}[config.protocol]
    seen = 60_000 - queries
    return {"labelled": labelled, "examples": labelled or seen, "training": seen, "tagged": seen}


def pflop(images, config):
    """What training on that many images takes, 10^15 floating-point operations, a multiply-add being two."""
    passes = methods.METHODS[config.method].forward_passes
    return 2 * PASSES * NETWORKS[config.backbone].multiply_adds * passes * images / 1e15


def missing_input(config):
    """What a training waits for, in words: the file of its vectors, tags, photographs or pretrained F, or the lists of
    its data set, that is not there; None where nothing is missing."""
    if config.dataset in image_lists.RAW and not image_lists.there(config.data_dir, config.dataset):
        return f"{Path(config.data_dir, 'data', config.dataset)}, the files of WSDHQ's released program"
    pretrained_by = "its authors made" if config.ImagNet_pretrained_path.endswith(".npy") else "pretrain.py makes"
    photographs = str(Path(config.data_dir, "images.tar")) if config.dataset == "corel5k" else ""
    made = {config.embeddings: "is made by python encode.py --features_only and python -m utils.data embeddings, as "
                               "docs/results.md says",
            getattr(config, "tags", ""): "python -m utils.data.tags makes, as docs/wsdhq.md says",
            config.ImagNet_pretrained_path: pretrained_by,
            photographs: "has Corel5k's photographs"}
    missing = next((path for path in made if path and not Path(path).exists()), None)
    return missing and f"{missing}, which {made[missing]}"


def check_data(configs):
    """UserError where a training that waits for nothing would be of the sample."""
    for config in configs:
        if not missing_input(config) and inputs_here(config).data is None:
            raise UserError(f"reproducing the paper needs all of CIFAR-10, and {config.embeddings or config.data_dir} "
                            "has the sample; run `python -m utils.data fetch cifar10`, or try --smoke")
