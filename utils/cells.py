"""Cells: trainings with their evaluation, each kept in a JSON file under a name that tells its settings."""
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np

from config import Config
from utils import runs
from utils.errors import UserError

MULTIPLY_ADDS = {"modified_vgg": 286e6, "cnn_f": 721e6}  # of one image, forward
# Settings that a training does not depend on, or that its name tells already.
UNNAMED = runs.FREE - {"total_epochs", "ImagNet_pretrained_path"} | {"n_book", "bn_word", "seed"}
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
    usual = {key: field.default for key, field in Config.model_fields.items()}
    full = {**usual, **settings}
    told = sorted(key for key in full if full[key] != usual[key] and key not in UNNAMED)
    return "-".join([f"{full['n_book'] * full['bn_word']}bits", f"seed{full['seed']}",
                     *(f"{key}_{_short(full[key])}" for key in told)])


def _short(value):
    if isinstance(value, tuple):
        return "".join(map(str, value))
    return (Path(value).stem or "none") if isinstance(value, str) else f"{value:g}"


def pflop(images, backbone):
    """What training on that many images takes, 10^15 floating-point operations, a multiply-add being two."""
    return 2 * PASSES * MULTIPLY_ADDS[backbone] * images / 1e15


def load(path, config):
    """The cell kept at `path`, or None. Raises UserError where it is damaged or was made with other settings."""
    if not path.exists():
        return None
    try:
        cell = json.loads(path.read_text())
        before = cell["training"]["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged; remove it to make it again") from error
    now = config.model_dump(mode="json")
    for key in sorted(before.keys() - runs.FREE | {"total_epochs"}):
        if before[key] != now[key]:
            raise UserError(f"{path} was made with {key}={before[key]} and config.py says {now[key]}; remove it to "
                            f"make it again, or set {key} as it was")
    return cell


def save(path, config, training, evaluation):
    """Keep a cell: what lies beside its checkpoint, its curves, what was measured, and what it cost."""
    cell = {"training": training, "curves": _curves(Path(config.model_save_path) / "logs"), "evaluation": evaluation,
            "PFLOP": round(pflop(training["images"], config.backbone), 4),
            "hardware": training.get("device") or _processor(), "commit": _commit()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(cell, indent=1) + "\n")
    os.replace(part, path)


def _curves(logs):
    """{what: [steps, values]} of the losses and the held-back mAP that a training logged, in at most POINTS means."""
    curves = {}
    for what, values in runs.scalars(logs).items():
        parts = np.array_split(sorted(values.items()), min(len(values), POINTS))
        curves[what] = np.round([part.mean(0) for part in parts], 5).T.tolist()
    return curves


def _processor():
    """The processor's name and how many cores there are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"


def _commit():
    """The commit that the code is of, with a + where files were changed since; "unknown" outside a repository."""
    try:
        describe = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(describe, cwd=Path(__file__).parent, capture_output=True, text=True,
                              check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
