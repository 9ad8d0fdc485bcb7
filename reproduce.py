"""Reproduce the papers: one command per table and figure.

    python reproduce.py                                   # what there is, what it costs, what is done
    python reproduce.py table2 --bits 12 48 --seeds 3     # trains what is missing, evaluates, writes results/table2.*
    python reproduce.py table2 --method gpq pqn           # trains of its runs only these
    python reproduce.py figure3 --total_epochs=20         # another setting: a table of its own
    python reproduce.py table2 --draw                     # trains nothing, draws anew what is finished
    python reproduce.py table2 --smoke                    # the whole path on the sample, every method, in minutes
    python reproduce.py spq --bits 32                     # another paper's: SPQ and its ablations

A run is one training and its evaluation. The experiments of utils/paper/experiments state all settings of each, so an
edit of config.py changes none. What is finished is a line of `results/<table>.jsonl`, found again by its settings and
by the SHA-256 of the F and the data that it started from; it is not trained twice, and one that was stopped goes on
from its checkpoint in `models/runs/`. What is asked for limits what is trained; the table also shows all that is
finished of the usual lengths and seeds.
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.reproduce")

import contextlib
import hashlib
import json
import os
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from gpq import train
from gpq.config import METHODS
from gpq.utils import errors
from gpq.utils.checkpoints import runs as checkpoints
from gpq.utils.checkpoints import store
from gpq.utils.data import sets
from gpq.utils.errors import UserError
from gpq.utils.paper import report, runs
from gpq.utils.paper.experiment import SHALLOW, Experiment
from gpq.utils.paper.experiments import EXPERIMENTS
from gpq.utils.retrieval import evaluation
from gpq.utils.settings import combined, completed, from_command_line, idle
from gpq.utils.training.task import Task

SMOKE = {"data_dir": "./cifar10/sample", "dataset": "cifar10", "embeddings": "", "ImagNet_pretrained_path": "",
         "tags": "", "image_size": 32, "hidden": (), "dropout": 0.0, "batch_size": 50, "total_epochs": 1,
         "iterations": 130, "update_epochs": 1, "dimension": 50, "n_validation": 100}
SMALL = "modified_vgg", "cnn_f", "resnet18", "gist"  # what sees the sample's pictures
OWN = {"n_book", "bn_word", "N_books", "N_words", "n_bits", "seed", "model_save_path", "model_load_path"}
MOST_SEEDS = 100
DECIDING = {name for kind in METHODS.values() for name in (*runs.deciding(kind), *runs.FILES)}


class Plan(NamedTuple):
    """What a command is about."""

    experiment: Experiment
    table: Path  # to write, .md
    drawn_by: str  # the command that draws the table and trains nothing
    places: list  # [(experiment.Run, its configuration)]
    asked: list  # the configurations that may be trained now


def plan(arguments, named):
    """The runs of an experiment, and which of them are asked for.

    Settings `named` on the command line that the experiment itself varies choose what is trained; the others hold for
    all, in a table of its own. Raises UserError where no run is left.
    """
    name, smoke = arguments.what, arguments.smoke
    experiment = EXPERIMENTS[name]
    chosen = {key: value for key, value in named.items() if key in experiment.varies and not (smoke and key in SMOKE)}
    held = {key: value for key, value in named.items() if key not in chosen}
    bits, seeds = (experiment.bits[:1], 1) if smoke else (experiment.bits, experiment.seeds)
    places = configured(experiment, sorted({*bits, *(arguments.bits or ())}), max(seeds, arguments.seeds or 0), named,
                        held, smoke)
    wanted = configured(experiment, arguments.bits or bits, arguments.seeds or seeds, named, held, smoke)
    asked = dict.fromkeys(config for _, config in wanted if config.method in (arguments.method or METHODS)
                          and all(getattr(config, key, None) == value for key, value in chosen.items()))
    if not asked:
        said = " ".join([*(argument(key, value) for key, value in chosen.items()), *(arguments.method or ())])
        raise UserError(f"{name} has no run with these settings, {said}; leave some out")
    more = ["--smoke"] * smoke
    if set(arguments.bits or ()) - set(bits):
        more += ["--bits", *map(str, arguments.bits)]
    if (arguments.seeds or 0) > seeds:
        more += ["--seeds", str(arguments.seeds)]
    table = called(name, named, held)
    if table not in EXPERIMENTS:
        more += [argument(key, named[key]) for key in sorted(named.keys() & DECIDING)]
    command = shlex.join(["python", "reproduce.py", table if table in EXPERIMENTS else name, "--draw", *more])
    path = Path("results/smoke" if smoke else "results", f"{table}.md")
    return Plan(EXPERIMENTS.get(table, experiment), path, command, places, list(asked))


def configured(experiment, bits, seeds, named, held, smoke=False):
    """[(Run, its configuration)] of an experiment under settings that are `named`, of which some are `held` by all.

    In a smoke test each starts from random weights, on the sample's pictures."""
    held = {**experiment.given, **(SMOKE if smoke else {}), **held}
    found = []
    for run in experiment.runs(bits, seeds, {**named, **held}):
        kind, settings = METHODS[run.settings["method"]], {**run.settings, **held}
        if smoke and not settings["embeddings"]:
            small = settings["backbone"] in SMALL and settings["method"] not in SHALLOW
            settings |= {"backbone": settings["backbone"] if small else
                         "gist" if settings["method"] in SHALLOW else "modified_vgg",
                         "n_CLASSES": len(settings["known_classes"]) if settings["protocol"] == 2 else 10}
        found.append((run, kind(**{key: value for key, value in settings.items() if key in kind.model_fields})))
    return found


def called(name, named, held):
    """The name of the table of an experiment under settings: that of the experiment with these runs, or one of its own.
    """
    def digest(experiment, *given):
        found = [runs.settings(config) for _, config in configured(experiment, experiment.bits[:1], 1, *given)]
        told = [(runs.key(each), *(os.path.normpath(each[file]) for file in runs.FILES)) for each in found]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]

    asked = EXPERIMENTS[name]
    ours = digest(asked, named, held)
    alike = [other for other, each in EXPERIMENTS.items() if each.runs is asked.runs and digest(each, {}, {}) == ours]
    return name if name in alike else alike[0] if alike else f"{name}-{ours}"


def argument(key, value):
    """A setting as the command line takes it."""
    return f"--{key}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"


def collected(todo):
    """{configuration: [FinishedRun]} of all runs of a plan that are finished, in its own file or another table's."""
    own = todo.table.with_suffix(".jsonl")
    found = {}
    for path in (own, *sorted(own.parent.glob("*.jsonl"))):
        for run in runs.read(path):
            found.setdefault(run.key, {}).setdefault(run.id, run)
    return {config: [run for run in found.get(runs.key(runs.settings(config)), {}).values()
                     if runs.same(run, config)] for _, config in todo.places}


def to_train(todo, finished, smoke):
    """The configurations that are asked for and not finished from the inputs that are here."""
    return [config for config in todo.asked
            if not any(runs.inputs_here(config, smoke).agree(run.inputs) for run in finished[config])]


def trained(config, command):
    """Train a run, or go on with it, evaluate it, and drop the checkpoints before its last. Returns a FinishedRun.

    Raises UserError where the checkpoint in its folder was made with other settings.
    """
    if not checkpoints.finished(config):
        resume = checkpoints.newest(config.model_save_path) is not None
        train.train(Task(combined(type(config), train.Options)(**dict(config), resume=resume)))
    checkpoint = Path(checkpoints.finished(config))
    about, settings = checkpoints.about(checkpoint), runs.settings(config)
    told = completed(about["settings"], type(config))
    if runs.key({name: told.get(name) for name in settings}) != runs.key(settings):
        raise UserError(f"{checkpoint} was made with other settings; remove {config.model_save_path} to train it again")
    run = runs.finished(config, about, evaluation.evaluate(config, str(checkpoint)), command)
    for other in checkpoint.parent.glob("*.ckpt.json"):
        if other.with_suffix("") != checkpoint:
            store.delete(other.with_suffix(""))
    return run


def in_folder(config, name, smoke=False):
    """`config` with the folder of the run of that name."""
    return config.model_copy(update={"model_save_path": f"models/{'smoke/' * smoke}runs/{name}"})


@contextlib.contextmanager
def continue_on_error(name, failed):
    """Report a UserError and continue with the next run."""
    try:
        yield
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        failed.append(name)
    except errors.Stopped as stopped:
        raise errors.Stopped(f"{name}: stopped; the same command goes on with it", stopped.number) from None


def reproduce(arguments, named):
    """Train what is asked for and missing, and write, draw and print the table, also where a signal ends it.

    Raises UserError where runs failed.
    """
    todo, smoke, failed = plan(arguments, named), arguments.smoke, []
    for key in named.keys() & DECIDING:
        if all(idle(config, key) or not hasattr(config, key) for config in todo.asked):
            raise UserError(f"{key} has no effect on {arguments.what} beside these settings; leave it out")
    finished = collected(todo)
    missing = [] if arguments.draw else to_train(todo, finished, smoke)
    if missing and not smoke:
        runs.check_data(missing)
    try:
        for number, config in enumerate(missing, 1):
            inputs = runs.inputs_here(config, smoke)
            name = runs.identity(runs.settings(config), inputs)
            print(f"run {number} of {len(missing)}: {name}, {report.changes(runs.settings(config))}", flush=True)
            if waits := runs.missing_input(config):
                print(f"{name}: waits for {waits}")
                continue
            with continue_on_error(name, failed):
                run = trained(in_folder(config, name, smoke), shlex.join(["python", "reproduce.py", *sys.argv[1:]]))
                runs.keep(todo.table.with_suffix(".jsonl"), run)
                finished[config].append(run)
    finally:
        print(tabulate(todo, finished, smoke))
    if failed:
        raise UserError(f"{len(failed)} of {len(finished)} runs failed, each as told above; mend them and run it again")


def tabulate(todo, finished, smoke):
    """Write and draw the table of the runs that are finished. Returns it as text."""
    places, left = {}, {}
    for run, config in todo.places:
        place = places.setdefault((run.row, run.column), [])
        place += [report.Shown(each, in_folder(config, each.id, smoke), run.measure) for each in finished[config]]
        if not finished[config]:
            left.setdefault(run.row, {})[config] = None
    text = report.write(todo.table, todo.experiment, todo.drawn_by, places, left, smoke)
    return f"{text}\n\n{todo.table}: {sum(map(bool, finished.values()))} of {len(finished)} runs are finished"


def overview():
    """What there is, what of it is done, and what the rest costs."""
    rows = []
    for name, experiment in EXPERIMENTS.items():
        places = configured(experiment, experiment.bits, experiment.seeds, {}, {})
        finished = collected(Plan(experiment, Path("results", f"{name}.md"), "", places, []))
        left = [config for config, done in finished.items() if not done]
        rows.append([name, experiment.title, len(finished), len(finished) - len(left),
                     *(f"{what:,.0f}" for what in runs.cost(left))])
    print("\n".join(report.markdown(["name", "what", "runs", "done", "PFLOP left", "hours"], rows)))


def main():
    parser = errors.Parser(description="Reproduce a table or figure of the paper; alone, lists them.",
                           epilog="Any setting of config.py may follow as --name=value.", allow_abbrev=False)
    parser.add_argument("what", nargs="?", choices=EXPERIMENTS)
    parser.add_argument("--bits", nargs="+", type=int, help="code lengths")
    parser.add_argument("--seeds", type=int, help="seeds from 0")
    parser.add_argument("--method", nargs="+", choices=METHODS, help="train only the runs of these methods")
    parser.add_argument("--draw", action="store_true", help="train nothing, draw anew what is finished")
    parser.add_argument("--smoke", action="store_true", help="tiny trainings on the sample, one length, one seed")
    arguments, rest = parser.parse_known_args()
    if arguments.what is None:
        return overview()
    experiment = EXPERIMENTS[arguments.what]
    if arguments.seeds is not None and not 1 <= arguments.seeds <= MOST_SEEDS:
        raise UserError(f"--seeds is {arguments.seeds}; ask for 1 to {MOST_SEEDS}, each of which takes a training of "
                        "every run, hours to weeks")
    bits = arguments.bits or ()
    if len(set(bits)) < len(bits):
        raise UserError(f"--bits is {' '.join(map(str, bits))}; name each length once")
    for each in set(bits) - set(experiment.lengths):
        raise UserError(f"--bits is {each}, but {arguments.what} has codes of "
                        f"{', '.join(map(str, experiment.lengths))} bits; ask for some of these")
    kind = METHODS[(arguments.method or [experiment.method])[0]]
    named = from_command_line(None, rest, kind)
    if own := sorted(named.model_fields_set & OWN):
        raise UserError(f"{own[0]} is set for each run by reproduce.py; leave it out and choose by --bits and --seeds")
    said = {key: getattr(named, key) for key in named.model_fields_set}
    said = {**kind.implied(said), **said}
    if Path(named.embeddings).is_file():
        said["n_CLASSES"] = sets.completed(named, sets.load(named)).n_CLASSES
    reproduce(arguments, dict(said.items() - kind.implied({}).items()))  # without what the usual data set implies
