"""Make checkpoints, or F's .mat file, of runs that were trained elsewhere."""
import contextlib
import json
import tempfile
from pathlib import Path

import numpy as np

from config import METHODS, Pretraining
from model.tf1 import tf
from utils import settings
from utils.errors import UserError
from utils.session import checkpoints, machine, pretrained
from utils.training.folder import check_data
from utils.training.logs import write_scalars
from utils.training.task import Task

FIRST_NAMES = {"GPQ": "gpq", "Pretraining": "pretraining"}  # what the first exported runs call their settings
KINDS = {kind.published: kind for kind in (*METHODS.values(), Pretraining)}


def import_run(folder, out, named):
    """Make the checkpoint `out`, or the .mat file of F, of a run that was trained to its end.

    named: {setting: value} that the run must have been exported with. Raises UserError where the run was not, is
    absent, unfinished or damaged, or `out` cannot be written.
    """
    run, out = _only_run(Path(folder)), Path(out)
    damaged = f"{run} is damaged; fetch it again from where it was trained"
    try:
        about = json.loads((run / "about.json").read_text())
        beside = about["beside"]
        kind = KINDS[FIRST_NAMES.get(about["task"], about["task"])]
        made_with = settings.completed(beside["settings"], kind)
    except (ValueError, KeyError) as error:
        raise UserError(damaged) from error
    for name, value in named.items():
        exported = made_with.get(name)
        if exported != value:
            raise UserError(f"{run} was exported with {name}={exported}, and {name}={value} is asked for; "
                            "name another run, or leave the setting out")
    if not (run / "trained.npz").exists():
        raise UserError(f"{run} is not trained to its end; run {run.parent / 'train.py'} and fetch what it wrote")
    try:
        with np.load(run / "trained.npz", allow_pickle=False) as file:
            values = dict(file)
        beside["seconds"] = round(float(values.pop("seconds")), 1)
        log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        beside["losses"] = {name: log[-1][name] for name in beside["losses"]}
        beside["device"] = log[-1]["device"]
        scalars = {line["step"]: {name: line[name] for name in (*beside["losses"], "learning_rate")} for line in log}
        del values["step"]
    except Exception as error:  # a damaged file can raise nearly anything
        raise UserError(damaged) from error
    if beside["settings"]["eval_term"]:
        beside["judged"] = _judged(run, kind, beside, values)
        scalars[beside["step"]][beside["measure"]] = beside["judged"]
    try:
        _save(values, out, beside)
        with contextlib.closing(tf.summary.FileWriter(str(out.parent / "logs" / out.stem))) as writer:
            for step, logged in scalars.items():
                write_scalars(writer, step, **logged)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); set another --out") from error


def _judged(run, kind, beside, values):
    """What the task of a run measures of its trained weights; kind: the class of its settings."""
    config = kind(**{name: value for name, value in beside["settings"].items() if name in kind.model_fields})
    task = Task(config)
    check_data(run, beside["data"], task.source)
    with tf.Graph().as_default(), machine.session(config) as session:
        judge = task.judge(session)
        for variable in tf.global_variables():
            variable.load(values[variable.op.name], session)
        return judge()


def _save(values, out, about):
    """The weights among `values` as the checkpoint `out`, or F as the .mat file `out`; `about` beside either."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default(), tf.Session() as session, tempfile.TemporaryDirectory() as scratch:
        weights = [tf.get_variable(name, initializer=values[name]) for name in filter(checkpoints.is_weight, values)]
        session.run(tf.global_variables_initializer())
        checkpoint = Path(scratch) / "F.ckpt" if out.suffix == ".mat" else out
        checkpoints.save(session, checkpoint, checkpoints.saver(weights), about)
        if out.suffix == ".mat":
            pretrained.save_pretrained(checkpoint, out)


def _only_run(folder):
    """`folder` itself where it is a run, else the one run in it."""
    if (folder / "about.json").exists():
        return folder
    found = sorted(file.parent for file in folder.glob("*/about.json"))
    if len(found) != 1:
        raise UserError(f"{folder} is no exported run" if not found else
                        f"{folder} holds the runs {', '.join(run.name for run in found)}; name one of them")
    return found[0]
