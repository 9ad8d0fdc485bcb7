"""Cells: trainings with their evaluation, each kept in a JSON file under a name that tells its settings.

What a name leaves out, and what a setting was before there was one, is as first published (released.json), whatever
config.py says today.
"""
import functools
import json
import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pydantic

from config import METHODS as KINDS
from config import Config
from model.backbone import NETWORKS
from utils import files, methods
from utils.checkpoints import pretrained
from utils.checkpoints.runs import Beside
from utils.data import embeddings, image_lists, sets
from utils.data.data import Source
from utils.errors import UserError
from utils.reading import documents
from utils.settings import FREE as FREE_IN_TRAINING
from utils.settings import differences, idle, released
from utils.training.logs import scalars

UNNAMED_METHOD = "gpq"  # no cell's name, and no old cell's JSON, says it
FILES = {"ImagNet_pretrained_path", "embeddings"}  # whose names tell cells apart
ELSEWHERE = FREE_IN_TRAINING - FILES - {"total_epochs", "iterations", "n_DB", "without_hits"}  # files, how often
FREE = ELSEWHERE | FILES  # what a cell's numbers do not depend on; of a file in FILES, its name tells which
OWN = {"n_book", "bn_word", "N_books", "N_words", "n_bits", "seed"}  # of each cell, and how its name begins
POINTS = 60  # of a curve
PASSES = 3  # the backward pass costs two forward ones


class Evaluation(pydantic.BaseModel):
    """What `evaluation.evaluate` gives."""

    mAP: float
    mAP_stable: float
    unquantised_mAP: float
    symmetric_mAP: float = 0.0
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


class Cell(pydantic.BaseModel):
    """What is kept of a finished training, of any age."""

    command: str = ""
    training: Beside
    start: str = ""
    curves: dict[str, tuple[list[float], list[float]]]
    evaluation: Evaluation
    PFLOP: float
    hardware: str
    commit: str | None

    @pydantic.field_validator("curves")
    @classmethod
    def _have_both(cls, curves):
        for what, (steps, values) in curves.items():
            if len(steps) != len(values):
                raise ValueError(f"{what} has {len(steps)} steps and {len(values)} values")
        return curves


class Kept(NamedTuple):
    """A finished cell: its name, its configuration, what is kept of it, and which mAP of it a table shows."""

    name: str
    config: Config
    cell: dict
    measure: str = "mAP"

    @property
    def mean_ap(self):
        return self.cell["evaluation"][self.measure]


def configured(kind, given):
    """Settings of the class `kind` of config.py: those `given` that it has, and else what was first published. Only
    where files lie and how often they are written is left to config.py."""
    usual = {name: value for name, value in released(kind).items() if name not in ELSEWHERE}
    settings = {**usual, **kind.implied(given), **given}
    return kind(**{name: value for name, value in settings.items() if name in kind.model_fields})


def edited(kind):
    """{setting: value} of what config.py says otherwise than as first published, free and own settings aside."""
    now = kind()
    return {name: getattr(now, name) for name, *_ in differences(_usual(kind), now,
                                                                 kind.model_fields.keys() - FREE - OWN)}


@functools.cache
def _usual(kind):
    """JSON-able settings of the class `kind` where none are given, those among them that others imply."""
    return configured(kind, {}).model_dump(mode="json")


def trained_with(training):
    """The configuration of a training, of any age, from the JSON beside its checkpoint."""
    said = training["settings"]
    of_no_file = training["initial"].startswith(("random weights", "ImageNet, "))
    return configured(KINDS[said.get("method", UNNAMED_METHOD)],
                      {**said, "ImagNet_pretrained_path": "" if of_no_file else training["initial"]})


def name(config):
    """The name of the cell of these settings: method or bits, seed, then what else is unusual."""
    stem = config.final_checkpoint.stem
    method = [] if config.method == UNNAMED_METHOD or stem.startswith(config.method) else [config.method]
    return "-".join([*method, stem, f"seed{config.seed}", *unusual(config)])


def unusual(config, unsaid=frozenset()):
    """What is not as first published among the settings, those `unsaid` aside, as parts of a name."""
    named = type(config).model_fields.keys() - ELSEWHERE - OWN - unsaid
    return [f"{key}_{_short(value)}" for key, _, value in differences(_usual(type(config)), config, named)]


def command(config):
    """The command that trains the same where config.py is as first published."""
    named = [key for key in type(config).model_fields.keys() - ELSEWHERE if not idle(config, key)]
    method = [] if config.method == UNNAMED_METHOD else [argument("method", config.method)]
    return shlex.join(["python", "train.py", *method,
                       *(argument(key, value) for key, _, value in differences({}, config, set(named)))])


def argument(key, value):
    """A setting as the command line takes it."""
    return f"--{key}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"


def _short(value):
    if isinstance(value, list):
        return "".join(map(str, value))
    return (Path(value).stem or "none") if isinstance(value, str) else f"{value:g}"


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


def awaited(config):
    """What a cell waits for, in words: the file of its vectors, tags, photographs or pretrained F, or the lists of its
    data set, that is not there; None where nothing is missing."""
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
    """UserError where one of the cells that wait for nothing would be trained on the sample."""
    for config in {(config.data_dir, config.embeddings): config for config in configs if not awaited(config)}.values():
        if sets.load(config).source.part != "all":
            raise UserError(f"reproducing the paper needs all of CIFAR-10, and {config.embeddings or config.data_dir} "
                            "has the sample; run `python -m utils.data fetch cifar10`, or try --smoke")


def load(path, config):
    """The JSON of a cell, or the one beside its checkpoint, kept at `path`; None where there is none.

    Raises UserError where it is damaged or was made with other settings, another F or other vectors, and says what to
    remove. What is not there now, or was not noted then, is taken by its name.
    """
    if not path.exists():
        return None
    model = Beside if path.name.endswith(".ckpt.json") else Cell
    kept = documents.read_json(path, model, "result", "remove it to make it again")
    training, folder = kept.get("training", kept), Path(config.model_save_path)
    old = " and ".join(str(place) for place in (path, folder) if place.exists() and place.parent != folder)
    for key, before, now in differences(training["settings"], config, type(config).model_fields.keys() - FREE):
        raise UserError(f"{path} was made with {key}={before} and the settings say {now}; remove {old} to make it "
                        f"again, or set {key} as it was")
    for key, before in noted(training):
        file = getattr(config, key)
        now = _sha256(key, file, files.state(file))
        if before and now and before != now:
            raise UserError(f"{path} was made of another {file} than is there now, of SHA-256 {before[:12]} and not "
                            f"{now[:12]}; put that one back, give this one another name, or remove {old} to make it "
                            "again")
    return kept


def noted(training):
    """[(a setting of FILES, the SHA-256 of what a training took by it, None where that was not noted)]."""
    said, found = training["settings"], []
    if said.get("embeddings"):
        found.append(("embeddings", Source.from_json(training["data"]).sha256))
    if training["initial"] and training["initial"] == said.get("ImagNet_pretrained_path"):
        found.append(("ImagNet_pretrained_path", training.get("initial_sha256")))
    return found


@functools.cache
def _sha256(key, path, state):
    """What `noted` would give of a training that took the file now, which is in that state; None where there is none.
    """
    if key == "embeddings":
        return embeddings.load(path).source.sha256 if Path(path).exists() else None
    return pretrained.sha256(path)


def save(path, config, training, evaluation, ran):
    """Keep a cell: the command that was run, what lies beside its checkpoint, what that started from, its curves, what
    was measured, and what it cost."""
    cell = {"command": ran, "training": training, "start": _start(config, training),
            "curves": _curves(Path(config.model_save_path) / "logs"), "evaluation": evaluation,
            "PFLOP": round(pflop(training["images"], config), 4), "hardware": training["device"],
            "commit": training["commit"]}
    with files.whole(path) as file:
        file.write(f"{json.dumps(cell)}\n".encode())


def _start(config, training):
    """What F knew before the training, in words."""
    if config.embeddings:
        return f"the vectors {Source.from_json(training['data']).origin}"
    path = config.ImagNet_pretrained_path
    return pretrained.provenance(path) if training["initial"] == path else training["initial"]


def _curves(logs):
    """{what: [steps, values]} of the losses and the held-back mAP that a training logged, in at most POINTS means."""
    curves = {}
    for what, values in scalars(logs).items():
        parts = np.array_split(sorted(values.items()), min(len(values), POINTS))
        curves[what] = np.round([part.mean(0) for part in parts], 5).T.tolist()
    return curves
