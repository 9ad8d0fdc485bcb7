"""Cells: trainings with their evaluation, each kept in a JSON file under a name that tells its settings."""
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config import Config
from utils import files
from utils.errors import UserError
from utils.training.folder import FREE, completed
from utils.training.logs import scalars

RATES = {"modified_vgg": 0.97, "cnn_f": 0.39}  # PFLOP an hour on two cores


def cost(configs):
    """What the trainings cost on all of CIFAR-10: (PFLOP, hours on two cores)."""
    total = hours = 0
    for config in configs:
        labelled = 5000 if config.protocol == 1 else 3000 * len(config.known_classes)
        labelled -= config.n_validation if config.eval_term else 0
        one = pflop(2 * labelled * config.total_epochs, config)  # an epoch shows each once
        total, hours = total + one, hours + one / RATES[config.backbone]
    return total, hours


MULTIPLY_ADDS = {"modified_vgg": 286e6, "cnn_f": 721e6}  # of one image, forward
USUAL = {key: field.default for key, field in Config.model_fields.items()}
FREE = FREE - {"total_epochs", "n_DB"}  # settings that a cell's numbers do not depend on
UNNAMED = FREE - {"ImagNet_pretrained_path"} | {"n_book", "bn_word", "seed"}  # or that its name tells already
POINTS = 60  # of a curve
PASSES = 3  # the backward pass costs two forward ones


class Kept(NamedTuple):
    """A finished cell: its name, its configuration, and what is kept of it."""

    name: str
    config: Config
    cell: dict

    @property
    def mean_ap(self):
        return self.cell["evaluation"]["mAP"]


def name(settings):
    """The name of the cell that has these settings beside config.py's: bits and seed, then what else is not usual."""
    full = {**USUAL, **settings}
    return "-".join([f"{full['n_book'] * full['bn_word']}bits", f"seed{full['seed']}", *unusual(settings)])


def unusual(settings):
    """What is not as in config.py among these settings, as parts of a name."""
    return [f"{key}_{_short(value)}" for key, value in sorted(settings.items())
            if value != USUAL[key] and key not in UNNAMED]


def _short(value):
    if isinstance(value, tuple):
        return "".join(map(str, value))
    return (Path(value).stem or "none") if isinstance(value, str) else f"{value:g}"


def pflop(images, config):
    """What training on that many images takes, 10^15 floating-point operations, a multiply-add being two."""
    towers = 3 / 2 if config.lam_u else 1  # pseudo-labels take the unlabelled half twice
    return 2 * PASSES * MULTIPLY_ADDS[config.backbone] * towers * images / 1e15


def load(path, config):
    """The JSON of a cell, or the one beside its checkpoint, kept at `path`; None where there is none.

    Raises UserError where it is damaged or was made with other settings, and says what to remove.
    """
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_text())
        before = completed(kept.get("training", kept)["settings"], Config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged; remove it to make it again") from error
    now = config.model_dump(mode="json")
    for key in sorted(before.keys() - FREE):
        if before[key] != now.get(key):
            folder = Path(config.model_save_path)
            old = [str(place) for place in (path, folder, accelerated(config))
                   if place.exists() and place.parent != folder]
            raise UserError(f"{path} was made with {key}={before[key]} and the settings say {now.get(key)}; remove "
                            f"{' and '.join(old)} to make it again, or set {key} as it was")
    return kept


def accelerated(config):
    """The folder of the cell's run for JAX: `accelerated/<name>`, beside the folder of all cells."""
    folder = Path(config.model_save_path)
    return folder.parent.with_name("accelerated") / folder.name


def save(path, config, training, evaluation):
    """Keep a cell: what lies beside its checkpoint, its curves, what was measured, and what it cost."""
    cell = {"training": training, "curves": _curves(Path(config.model_save_path) / "logs"), "evaluation": evaluation,
            "PFLOP": round(pflop(training["images"], config), 4),
            "hardware": training["device"], "commit": training["commit"]}
    with files.whole(path) as file:
        file.write(f"{json.dumps(cell, indent=1)}\n".encode())


def _curves(logs):
    """{what: [steps, values]} of the losses and the held-back mAP that a training logged, in at most POINTS means."""
    curves = {}
    for what, values in scalars(logs).items():
        parts = np.array_split(sorted(values.items()), min(len(values), POINTS))
        curves[what] = np.round([part.mean(0) for part in parts], 5).T.tolist()
    return curves
