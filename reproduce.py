"""Reproduce the paper: one command per table and figure, and one to choose settings by.

    python reproduce.py                                   # what there is, what it costs, what is done
    python reproduce.py table2 --bits 12 48 --seeds 3     # trains what is missing, evaluates, writes results/table2.*
    python reproduce.py table2 --follow=release           # trains of the cells that differ in a setting only these
    python reproduce.py figure3 --total_epochs=20         # any other setting: results/figure3-total_epochs_20.*
    python reproduce.py table3 --accelerate               # exports what is missing, imports what JAX has trained
    python reproduce.py table2 --smoke                    # the whole path on the sample, in minutes

A cell is one training and its evaluation. Its numbers are kept in `results/cells/`, its checkpoints in
`models/cells/`; a finished cell is not run again, a broken one goes on. Nothing but a cell fills a table. What is
asked for limits what is trained; the table also shows all that is kept of the usual lengths and seeds.
"""
import argparse
import contextlib
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import train
from config import Config
from utils import errors
from utils.accelerate.export import export
from utils.accelerate.imports import import_run
from utils.data import cifar10
from utils.errors import UserError
from utils.paper import cells, tables
from utils.paper.experiments import BITS, EXPERIMENTS
from utils.retrieval import evaluation
from utils.session import checkpoints
from utils.settings import from_command_line
from utils.training import task as tasks
from utils.training.folder import newest

SMOKE = {"data_dir": "./cifar10/sample", "batch_size": 50, "total_epochs": 1, "n_validation": 100}
OWN = {"model_save_path", "model_load_path", "n_book", "bn_word", "seed"}  # settings that every cell has of its own


class Plan(NamedTuple):
    """What a command is about."""

    what: str  # of EXPERIMENTS
    table: Path  # to write, .md
    kept: Path  # folder of the cells' JSON
    places: dict  # {(row, column): names of its cells}
    configs: dict  # {name: configuration} of every cell of the experiment
    wanted: list  # names of those that may be trained now


def configure(cell, given, models):
    """(name, configuration) of a cell under the settings `given`."""
    settings = {**given, **cell.settings}
    name = cells.name(settings)
    folder = models / name
    return name, train.Options(**settings, model_save_path=str(folder),
                               model_load_path=str(folder / "{n_bits}bits_example.ckpt"))


def plan(arguments, given):
    """All cells of the experiment, and which of them are asked for.

    Of the settings `given`, those that the experiment itself varies choose what is trained; the others make a table of
    their own. Raises UserError where no cell is left.
    """
    what, experiment = arguments.what, EXPERIMENTS[arguments.what]
    results, models, common = Path("results"), Path("models"), {}
    bits, seeds = experiment.bits, experiment.seeds
    if arguments.smoke:
        results, models, common = results / "smoke", models / "smoke", SMOKE
        bits, seeds = bits[:1], 1
    asked_bits, asked_seeds = arguments.bits or bits, arguments.seeds or seeds
    listed = experiment.cells(sorted({*bits, *asked_bits}), max(seeds, asked_seeds), given)
    varied = {key for cell in listed for key in cell.settings}
    fixed = {key: value for key, value in given.items() if key not in varied}
    places, configs = {}, {}
    for cell in listed:
        name, config = configure(cell, {**common, **fixed}, models / "cells")
        places.setdefault((cell.row, cell.column), []).append(name)
        configs[name] = config
    wanted = [name for name, config in configs.items() if config.n_bits in asked_bits and config.seed < asked_seeds
              and all(getattr(config, key) == value for key, value in given.items())]
    if not wanted:
        raise UserError(f"{what} has no cell with these settings; leave some out")
    table = results / f"{'-'.join([what, *cells.unusual(fixed)])}.md"
    return Plan(what, table, results / experiment.kept, places, configs, wanted)


def trained(name, config, elsewhere):
    """Whether the cell's checkpoint is there, imported, trained or gone on with where need be, or else has to wait."""
    checkpoint, path, run = Path(config.checkpoint), config.ImagNet_pretrained_path, cells.accelerated(config)
    if Path(f"{checkpoint}.json").exists():
        return True
    if (run / "trained.npz").exists():
        import_run(run, checkpoint, {})
        return True
    if path and not Path(path).is_file():
        print(f"{name}: waits for {path}, which pretrain.py makes")
        return False
    if elsewhere and run.exists():
        print(f"{name}: exported; python {run.parent}/train.py trains it where JAX is")
        return False
    task = tasks.GPQ(config)
    if elsewhere:
        print(f"{name}: exported to {export(task, name, run.parent, config)}")
        return False
    resume = newest(config.model_save_path) is not None
    if not train.train(config.model_copy(update={"resume": resume}), task):
        raise KeyboardInterrupt
    return True


def finish(config, file, held_back):
    """Evaluate the cell's checkpoint, on held-back images or the queries, keep what is known of it in `file`, and drop
    the checkpoints before it. Returns what is kept. Raises UserError where the checkpoint was made with other settings.
    """
    checkpoint = Path(config.checkpoint)
    training = cells.load(Path(f"{checkpoint}.json"), config)
    cells.save(file, config, training, evaluation.evaluate(config, held_back))
    for other in checkpoint.parent.glob("*.ckpt.json"):
        if other.with_suffix("") != checkpoint:
            checkpoints.delete(other.with_suffix(""))
    return cells.load(file, config)


@contextlib.contextmanager
def going_on(name, failed):
    """A mistake ends one cell, told on stderr, and not those after it."""
    try:
        yield
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        failed.append(name)


def reproduce(arguments, given):
    """Run what `arguments` ask for under the settings `given`; all that is kept is tabulated and drawn, at once and
    after every cell. Raises UserError where cells failed.
    """
    todo = plan(arguments, given)
    data_dir = next(iter(todo.configs.values())).data_dir
    if not arguments.smoke and cifar10.load(data_dir).sample:
        raise UserError(f"reproducing the paper needs all of CIFAR-10, and {data_dir} has the sample; "
                        "run `python -m utils.cifar10 fetch`, or try --smoke")
    held_back, kept, failed = EXPERIMENTS[todo.what].held_back, {}, []
    for name, config in todo.configs.items():
        with going_on(name, failed):
            cell = cells.load(todo.kept / f"{name}.json", config)
            if cell:
                kept[name] = cells.Kept(name, config, cell)
    missing = [name for name in todo.wanted if name not in kept and name not in failed]
    report(todo, kept)
    for number, name in enumerate(missing, 1):
        print(f"cell {number} of {len(missing)}: {name}", flush=True)
        config = todo.configs[name]
        with going_on(name, failed):
            if trained(name, config, arguments.accelerate):
                kept[name] = cells.Kept(name, config, finish(config, todo.kept / f"{name}.json", held_back))
        if name in kept:
            report(todo, kept)
    print(f"{todo.table}: {len(kept)} of {len(todo.configs)} cells")
    if failed:
        raise UserError(f"{len(failed)} of {len(todo.configs)} cells failed, each as told above; mend them and run it "
                        "again")


def report(todo, kept):
    """Write the table and its JSON of the cells that are kept, {name: cells.Kept}, and draw them where there are any.
    """
    experiment, left = EXPERIMENTS[todo.what], {}
    grid = {place: [kept[name] for name in names if name in kept] for place, names in todo.places.items()}
    for place, names in todo.places.items():
        waiting = [todo.configs[name] for name in names if name not in kept]
        if waiting:
            pflop, hours = cells.cost(waiting)
            time = f"{hours:,.0f} h" if hours >= 1 else f"{60 * hours:.0f} min"
            left[place] = f"{pflop:,.1f} PFLOP, {time} on two cores"
    paper = dict(zip((f"{bits} bits" for bits in BITS), experiment.paper, strict=False))
    todo.table.parent.mkdir(parents=True, exist_ok=True)
    more = experiment.draw(todo.table.with_suffix(".png"), grid) if kept else []
    tables.write(todo.table, experiment.title, shlex.join(["python", "reproduce.py", *sys.argv[1:]]), grid, left, paper,
                 more)


def overview():
    """What there is, what of it is done, and what the rest costs."""
    rows = []
    for name, experiment in EXPERIMENTS.items():
        wanted = dict(configure(cell, {}, Path("models/cells"))
                      for cell in experiment.cells(experiment.bits, experiment.seeds, {}))
        kept = Path("results") / experiment.kept
        left = [config for each, config in wanted.items() if not (kept / f"{each}.json").exists()]
        rows.append([name, experiment.title, len(wanted), len(wanted) - len(left),
                     *(f"{what:,.0f}" for what in cells.cost(left))])
    print("\n".join(tables.markdown(["name", "what", "cells", "done", "PFLOP left", "hours on two cores"], rows)))


def main():
    parser = argparse.ArgumentParser(description="Reproduce a table or figure of the paper; alone, lists them.",
                                     epilog="Any setting of config.py may follow as --name=value.", allow_abbrev=False)
    parser.add_argument("what", nargs="?", choices=EXPERIMENTS)
    parser.add_argument("--bits", nargs="+", type=int, choices=BITS, help="code lengths")
    parser.add_argument("--seeds", type=int, help="seeds from 0")
    parser.add_argument("--accelerate", action="store_true", help="export trainings for JAX, import what is trained")
    parser.add_argument("--smoke", action="store_true", help="tiny trainings on the sample, one length, one seed")
    arguments, rest = parser.parse_known_args()
    if arguments.what is None:
        return overview()
    if arguments.seeds is not None and arguments.seeds < 1:
        raise UserError(f"--seeds is {arguments.seeds}; ask for 1 or more")
    named = from_command_line(Config, rest)
    own = sorted(named.model_fields_set & OWN)
    if own:
        raise UserError(f"{own[0]} is set for each cell by reproduce.py; leave it out and choose by --bits and --seeds")
    reproduce(arguments, {key: getattr(named, key) for key in named.model_fields_set})


if __name__ == "__main__":
    errors.run(main)
