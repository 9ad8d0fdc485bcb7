"""Reproduce the papers: one command per table and figure.

    python reproduce.py                                   # what there is, what it costs, what is done
    python reproduce.py table2 --bits 12 48 --seeds 3     # trains what is missing, evaluates, writes results/table2.*
    python reproduce.py table2 --method=gpq --follow=release   # trains of its cells only these
    python reproduce.py figure3 --total_epochs=20         # any other setting: results/figure3-total_epochs_20.*
    python reproduce.py table2 --draw                     # trains nothing, draws anew what is kept
    python reproduce.py table2 --smoke                    # the whole path on the sample, in minutes
    python reproduce.py imagenet --embeddings=cifar10_lite2.npz    # of its rows the one on these vectors
    python reproduce.py spq --bits 32                     # another paper's: SPQ and its ablations

A cell is one training and its evaluation. Its numbers are kept in `results/cells/`, its checkpoints in
`models/cells/`; a finished cell is not run again, a broken one goes on. Nothing but a cell fills a table. What is
asked for limits what is trained; the table also shows all that is kept of the usual lengths and seeds.

A cell is named by what differs from the settings as first published (released.json). An edit of config.py counts like
the same setting on the command line: it makes cells and a table of its own, and old ones stay what they are.
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from utils.errors import run
    run("reproduce")

import contextlib
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import train
from config import GPQ, METHODS
from utils import errors
from utils.checkpoints import store
from utils.checkpoints.runs import finished, newest
from utils.errors import UserError
from utils.paper import cells, tables
from utils.paper.checks import check_bits
from utils.paper.experiments import EXPERIMENTS
from utils.retrieval import evaluation
from utils.settings import combined, from_command_line, idle
from utils.training.task import Task

SMOKE = {"data_dir": "./cifar10/sample", "batch_size": 50, "total_epochs": 1, "n_validation": 100}
OWN = {"model_save_path", "model_load_path", *cells.OWN}  # settings that every cell has of its own
MOST_SEEDS = 100

class Plan(NamedTuple):
    """What a command is about."""

    what: str  # of EXPERIMENTS
    table: Path  # to write, .md
    drawn_by: str  # the command that draws the table and trains nothing
    kept: Path  # folder of the cells' JSON
    places: list  # [(experiments.Cell, name)] of the experiment
    configs: dict  # {name: configuration} of every cell of the experiment
    wanted: list  # names of those that may be trained now


def configure(cell, given, models):
    """(name, configuration) of a cell under the settings `given`, those among them that its method has."""
    config = cells.configured(METHODS[cell.settings["method"]], {**cell.schedule, **given, **cell.settings})
    name = cells.name(config)
    return name, config.model_copy(update={"model_save_path": str(models / name)})


def plan(arguments, named):
    """All cells of the experiment, and which of them are asked for.

    Settings count that are `named` on the command line or edited in config.py. Those that the experiment itself varies
    choose what is trained; the others make a table of their own. Raises UserError where no cell is left.
    """
    experiment = EXPERIMENTS[arguments.what]
    results, models, common = Path("results"), Path("models"), {}
    if arguments.smoke:
        results, models, common = results / "smoke", models / "smoke", SMOKE
    bits, seeds = usual(arguments)
    asked_bits, asked_seeds = arguments.bits or bits, arguments.seeds or seeds
    given = {method: {**cells.edited(kind), **named} for method, kind in METHODS.items()}
    chosen = given[arguments.method or experiment.method]
    shown = experiment.cells(sorted({*bits, *asked_bits}), max(seeds, asked_seeds), given[experiment.method])
    asked = experiment.cells(asked_bits, asked_seeds, given[experiment.method])
    varied = {key for cell in shown for key in cell.settings}
    fixed = {method: {key: value for key, value in settings.items() if key not in varied}
             for method, settings in given.items()}
    choice = {key: value for key, value in chosen.items() if key in varied}
    if arguments.method:
        choice["method"] = arguments.method
    places = [(cell, *configure(cell, {**common, **fixed[cell.settings["method"]]}, models / "cells"))
              for cell in shown]
    wanted = dict.fromkeys(name for cell, name, config in places if cell in asked
                           and all(getattr(config, key, None) == value for key, value in choice.items()))
    if not wanted:
        said = " ".join(cells.argument(key, value) for key, value in choice.items())
        raise UserError(f"{arguments.what} has no cell with these settings, {said}; leave some out, or put config.py "
                        "back")
    methods, unsaid = dict.fromkeys(cell.settings["method"] for cell in shown), GPQ.implied(chosen).keys()
    parts = dict.fromkeys(part for method in methods
                          for part in cells.unusual(cells.configured(METHODS[method], fixed[method]), unsaid))
    return Plan(arguments.what, results / f"{'-'.join([arguments.what, *parts])}.md",
                drawn_by(arguments, chosen, varied), results / "cells",
                [(cell, name) for cell, name, _ in places], {name: config for _, name, config in places}, list(wanted))


def usual(arguments):
    """(code lengths, number of seeds) that are asked for where `arguments` name none."""
    experiment = EXPERIMENTS[arguments.what]
    return (experiment.bits[:1], 1) if arguments.smoke else (experiment.bits, experiment.seeds)


def drawn_by(arguments, given, varied):
    """The command that draws the table of `arguments` under the settings `given`, and trains nothing. Which F is told
    where the cells do not vary it."""
    bits, seeds = usual(arguments)
    more = ["--smoke"] * arguments.smoke
    if set(arguments.bits or ()) - set(bits):
        more += ["--bits", *map(str, arguments.bits)]
    if (arguments.seeds or 0) > seeds:
        more += ["--seeds", str(arguments.seeds)]
    unsaid = cells.FREE - (cells.FILES - varied | {"embeddings"}) | GPQ.implied(given).keys()
    more += [cells.argument(key, value) for key, value in sorted(given.items()) if key not in unsaid]
    return shlex.join(["python", "reproduce.py", arguments.what, "--draw", *more])


def trained(name, config):
    """Train or go on with the cell's checkpoint where it is not there. Returns whether it is there now."""
    awaited = cells.awaited(config)
    if finished(config):
        return True
    cells.load(Path(f"{config.final_checkpoint}.json"), config)  # UserError: another training's is in its place
    if awaited:
        print(f"{name}: waits for {awaited}")
        return False
    options = combined(type(config), train.Options)
    resume = newest(config.model_save_path) is not None
    train.train(Task(options(**dict(config), resume=resume)))
    return True


def finish(config, file):
    """Evaluate the cell's checkpoint, keep what is known of it in `file`, and drop the checkpoints before it.

    Returns what is kept. Raises UserError where the checkpoint was made with other settings.
    """
    checkpoint = Path(finished(config))
    training = cells.load(Path(f"{checkpoint}.json"), config)
    cells.save(file, config, training, evaluation.evaluate(config, str(checkpoint)),
               shlex.join(["python", "reproduce.py", *sys.argv[1:]]))
    for other in checkpoint.parent.glob("*.ckpt.json"):
        if other.with_suffix("") != checkpoint:
            store.delete(other.with_suffix(""))
    return cells.load(file, config)


@contextlib.contextmanager
def going_on(name, failed):
    """A mistake ends one cell, told on stderr, and not those after it."""
    try:
        yield
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        failed.append(name)
    except errors.Stopped as stopped:
        raise errors.Stopped(f"{name}: stopped; the same command goes on with it", stopped.number) from None


def reproduce(arguments, named):
    """Run what `arguments` ask for under the settings `named`; all that is kept is tabulated and drawn, at once and
    after every cell. A training that is stopped ends it. Raises UserError where cells failed.
    """
    todo = plan(arguments, named)
    for key in named.keys() - cells.ELSEWHERE:
        if all(idle(todo.configs[name], key) or not hasattr(todo.configs[name], key) for name in todo.wanted):
            raise UserError(f"{key} has no effect on {todo.what} beside these settings; leave it out")
    kept, failed = {}, []
    for name, config in todo.configs.items():
        with going_on(name, failed):
            cell = cells.load(todo.kept / f"{name}.json", config)
            if cell:
                kept[name] = cells.Kept(name, config, cell)
    missing = [name for name in todo.wanted if name not in kept and name not in failed and not arguments.draw]
    if missing and not arguments.smoke:
        cells.check_data([todo.configs[name] for name in missing])
    by_name = [name for name, one in kept.items() if None in dict(cells.noted(one.cell["training"])).values()]
    if by_name:
        print(f"{len(by_name)} of the {len(kept)} kept cells do not say the SHA-256 of the F that they started from; "
              "they count by the name of its file")
    report(todo, kept)
    for number, name in enumerate(missing, 1):
        print(f"cell {number} of {len(missing)}: {name}", flush=True)
        config = todo.configs[name]
        with going_on(name, failed):
            if trained(name, config):
                kept[name] = cells.Kept(name, config, finish(config, todo.kept / f"{name}.json"))
        if name in kept:
            report(todo, kept)
    print(f"{todo.table}: {len(kept)} of {len(todo.configs)} cells")
    if failed:
        raise UserError(f"{len(failed)} of {len(todo.configs)} cells failed, each as told above; mend them and run it "
                        "again")


def report(todo, kept):
    """Write the table and its JSON of the cells that are kept, {name: cells.Kept}, and draw them, if any."""
    experiment, grid, waiting, left = EXPERIMENTS[todo.what], {}, {}, {}
    for cell, name in todo.places:
        done = grid.setdefault((cell.row, cell.column), [])
        if name in kept:
            done.append(kept[name]._replace(measure=cell.measure))
        else:
            waiting.setdefault((cell.row, cell.column), []).append(todo.configs[name])
    for place, configs in waiting.items():
        pflop, hours = cells.cost(configs)
        time = f"{hours:,.0f} h" if hours >= 1 else f"{max(1, 60 * hours):.0f} min"
        left[place] = f"{pflop:,.1f} PFLOP, {time} on two cores" if pflop >= 0.05 else f"{time} on two cores"
    more = experiment.draw(todo.table.with_suffix(".png"), grid) if kept else []
    tables.write(todo.table, experiment, todo.drawn_by, grid, left, more)


def overview():
    """What there is, what of it is done, and what the rest costs."""
    rows = []
    for name, experiment in EXPERIMENTS.items():
        wanted = dict(configure(cell, {}, Path("models/cells"))
                      for cell in experiment.cells(experiment.bits, experiment.seeds, {}))
        left = [config for each, config in wanted.items() if not Path("results", "cells", f"{each}.json").exists()]
        rows.append([name, experiment.title, len(wanted), len(wanted) - len(left),
                     *(f"{what:,.0f}" for what in cells.cost(left))])
    print("\n".join(tables.markdown(["name", "what", "cells", "done", "PFLOP left", "hours on two cores"], rows)))


def main():
    parser = errors.Parser(description="Reproduce a table or figure of the paper; alone, lists them.",
                           epilog="Any setting of config.py may follow as --name=value.", allow_abbrev=False)
    parser.add_argument("what", nargs="?", choices=EXPERIMENTS)
    parser.add_argument("--bits", nargs="+", type=int, help="code lengths")
    parser.add_argument("--seeds", type=int, help="seeds from 0")
    parser.add_argument("--method", choices=METHODS, help="train only the cells of this method")
    parser.add_argument("--draw", action="store_true", help="train nothing, draw anew what is kept")
    parser.add_argument("--smoke", action="store_true", help="tiny trainings on the sample, one length, one seed")
    arguments, rest = parser.parse_known_args()
    if arguments.what is None:
        return overview()
    if arguments.seeds is not None and not 1 <= arguments.seeds <= MOST_SEEDS:
        raise UserError(f"--seeds is {arguments.seeds}; ask for 1 to {MOST_SEEDS}, each of which takes a training of "
                        "every cell, hours to weeks")
    check_bits(arguments.what, arguments.bits or ())
    kind = METHODS[arguments.method or EXPERIMENTS[arguments.what].method]
    named = from_command_line(None, rest, kind)
    if own := sorted(named.model_fields_set & OWN):
        raise UserError(f"{own[0]} is set for each cell by reproduce.py; leave it out and choose by --bits and --seeds")
    said = {key: getattr(named, key) for key in named.model_fields_set}
    reproduce(arguments, dict(said.items() - kind.implied({}).items()))  # without what the usual data set implies
