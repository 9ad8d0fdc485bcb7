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
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import train
from config import Config, from_command_line
from utils import accelerate, cells, checkpoints, cifar10, embedding, errors, evaluation, figures, runs, tables, tasks
from utils.errors import UserError

BITS = {12: 3, 24: 6, 32: 8, 48: 12}  # bits: codebooks
LAMBDAS = (0.0, 0.001, 0.01, 0.1, 1.0)
SCRATCH = {"ImagNet_pretrained_path": ""}
PRETRAINED = {"ImagNet_pretrained_path": "./models/CIFAR100_pretrained.mat"}
VARIANTS = {"GPQ": {}, "GPQ-F": {"backbone": "cnn_f"}, "GPQ-H": {"lam_1": 0.0, "lam_2": 0.0},
            "GPQ-T": {"metric_loss": "triplet"}}
KNOWN = [tuple(sorted((first + k) % 10 for k in range(7))) for first in (0, 3, 6)]
SMOKE = {"data_dir": "./cifar10/sample", "batch_size": 50, "total_epochs": 1, "n_validation": 100}
RATES = {"modified_vgg": 0.97, "cnn_f": 0.39}  # PFLOP an hour on two cores
OWN = {"model_save_path", "model_load_path", "n_book", "bn_word", "seed"}  # settings that every cell has of its own


class Cell(NamedTuple):
    """Where a training stands in its table, and what it sets."""

    row: str
    column: str
    settings: dict


def over(bits, seeds, rows):
    """Every row at every bit length and seed; rows: {name: settings}."""
    return [Cell(row, f"{b} bits", {**settings, "n_book": BITS[b], "seed": seed})
            for row, settings in rows.items() for b in bits for seed in range(seeds)]


def table2(bits, seeds, given):
    return over(bits, seeds, {f"{follow} form, {start}": {"follow": follow, **path} for follow in ("release", "paper")
                              for start, path in (("from scratch", SCRATCH), ("F from CIFAR-100", PRETRAINED))})


def table3(bits, seeds, given):
    """Three choices of known classes, and the one given; the mean of the three; what pretraining does to the first."""
    unseen = {known: {"protocol": 2, "known_classes": known, "n_CLASSES": len(known)}
              for known in (*KNOWN, given.get("known_classes", KNOWN[0]))}
    scratch = over(bits, seeds, {f"{known} known, from scratch": {**settings, **SCRATCH}
                                 for known, settings in unseen.items()})
    mean = [cell._replace(row="mean over the three choices, from scratch") for cell in scratch
            if cell.settings["known_classes"] in KNOWN]
    first = {f"{KNOWN[0]} known, F from CIFAR-100": {**unseen[KNOWN[0]], **PRETRAINED}}
    return [*scratch, *mean, *over(bits, seeds, first)]


def figure3(bits, seeds, given):
    return over(bits, seeds, {row: {**settings, **SCRATCH} for row, settings in VARIANTS.items()})


def figure4(bits, seeds, given):
    """Rows weigh classification, columns entropy: the paper's lambda_1 and lambda_2, which the release swaps."""
    form = given.get("follow", cells.USUAL["follow"])
    rows, columns = ("lam_1", "lam_2") if form == "paper" else ("lam_2", "lam_1")
    return [Cell(f"{b} bits, classification {one:g}", f"entropy {two:g}",
                 {**SCRATCH, rows: one, columns: two, "n_book": BITS[b], "seed": seed})
            for b in bits for one in LAMBDAS for two in LAMBDAS for seed in range(seeds)]


def figure5(bits, seeds, given):
    return over(bits, seeds, {row: {**VARIANTS[row], **SCRATCH} for row in ("GPQ-T", "GPQ-H", "GPQ")})


def choices(bits, seeds, given):
    """One change at a time, judged on labelled images that are held back: the queries are not chosen by."""
    confidence = given.get("confidence", cells.USUAL["confidence"])
    changes = {"release form, F from CIFAR-100": {}, "from scratch": SCRATCH, "paper form": {"follow": "paper"},
               "cosine decay": {"decay": "cosine"}, "strong augmentation": {"augmentation": "strong"},
               "joint batch statistics": {"batch_statistics": "joint"},
               "pseudo-labels (beyond the paper)": {"lam_u": 1.0, "confidence": confidence}}
    common = {**PRETRAINED, "eval_term": given.get("eval_term", 10)}
    return over(bits, seeds, {row: {**common, **change} for row, change in changes.items()})


def figure1(bits, seeds, given):
    return over(bits, seeds, {"len_code 2": {"len_code": 2, **SCRATCH}})


def average(courses):
    """{name: (x, y)} of {(row, column): [(x, y)]}: the mean over the trainings, at the first one's x."""
    return {", ".join(place): (each[0][0], np.mean([np.interp(each[0][0], *one) for one in each], axis=0))
            for place, each in courses.items() if each}


def draw_table(path, grid):
    """Precision over recall and over ranks, loss and held-back mAP over steps, each the mean over the trainings.

    Returns the mAP of each class.
    """
    found = {place: [kept.cell["evaluation"] for kept in done] for place, done in grid.items()}
    recall, precision = (average({place: [(each["ranks"], each[what]) for each in done]
                                  for place, done in found.items()}) for what in ("recall", "precision"))
    figures.curves(path, {name: (recall[name][1], precision[name][1]) for name in recall}, "recall", "precision")
    figures.curves(path.with_name(f"{path.stem}_precision.png"), precision, "rank", "precision")
    for what, title in (("total", "loss"), ("held_back_mAP", "held-back mAP")):
        courses = average({place: [kept.cell["curves"][what] for kept in done if what in kept.cell["curves"]]
                           for place, done in grid.items()})
        if courses:
            figures.curves(path.with_name(f"{path.stem}_{title.replace(' ', '_')}.png"), courses, "step", title)
    classes = {", ".join(place): [each["class_mAP"] for each in done] for place, done in found.items() if done}
    names = sorted({name for done in classes.values() for each in done for name in each})
    rows = [[title, *(tables.summary([each[name] for each in done if name in each]) for name in names)]
            for title, done in classes.items()]
    return ["## mAP of the queries of each class", "", *tables.markdown(["", *names], rows)]


def draw_bars(path, grid):
    rows, columns = tables.unique(grid)
    series = {row: [tables.spread(grid[row, column]) for column in columns] for row in rows}
    figures.bars(path, columns, series, "mAP")
    return []


def draw_surface(path, grid):
    titles = list(dict.fromkeys(row.split(",")[0] for row, _ in grid))
    means = [[[tables.spread(grid[f"{title}, classification {one:g}", f"entropy {two:g}"]) or (np.nan, np.nan)
               for two in LAMBDAS] for one in LAMBDAS] for title in titles]
    figures.surface(path, LAMBDAS, LAMBDAS, np.array(means)[..., 0], titles)
    return []


def with_checkpoints(grid):
    """The first cell of each row in the first column where any is finished.

    Returns ({row: cells.Kept} of those whose checkpoint is here, lines that name the others).
    """
    rows, columns = tables.unique(grid)
    column = next(column for column in columns if any(grid[row, column] for row in rows))
    firsts = {row: grid[row, column][0] for row in rows if grid[row, column]}
    here = {row: kept for row, kept in firsts.items() if Path(f"{kept.config.checkpoint}.index").exists()}
    return here, [f"* Not drawn: {row}, whose checkpoint {firsts[row].config.checkpoint} is not here."
                  for row in firsts if row not in here]


def draw_embedding(path, grid):
    """t-SNE of 1,000 gallery images of each class by a checkpoint of each row, and how apart the classes are."""
    here, missing = with_checkpoints(grid)
    if not here:
        return missing
    points, rows = [], []
    for row, kept in here.items():
        features, labels, names = evaluation.class_features(kept.config, each=1000)
        apart = embedding.separation(features, labels, seed=0)
        rows.append([f"{row} ({kept.name})", f"{apart.silhouette:.4f}", f"{apart.neighbour_agreement:.4f}"])
        points.append(embedding.tsne(features, seed=0))
    figures.embedding(path, points, labels, names, list(here))
    return ["## Separation in feature space", "",
            *tables.markdown(["", "silhouette (cosine)", "agreement of the 10 nearest neighbours"], rows), "", *missing]


def draw_voronoi(path, grid):
    """The first codebook of a cell, before and after training."""
    here, missing = with_checkpoints(grid)
    for kept in here.values():
        figures.voronoi(path, [("before training", *evaluation.sub_space(kept.config, trained=False)),
                               ("after training", *evaluation.sub_space(kept.config, trained=True))])
    return missing


class Experiment(NamedTuple):
    """A table or figure: `cells(bits, seeds, given)` lists what it is made of under the settings `given`,
    `draw(path, grid)` draws it from {(row, column): [cells.Kept]}, not all empty, and returns further lines of
    Markdown. `held_back`: whether held-back images are the queries."""

    title: str
    cells: Callable
    draw: Callable
    bits: tuple = tuple(BITS)
    seeds: int = 3
    paper: tuple = ()
    held_back: bool = False

    @property
    def kept(self):
        """The folder of its cells' JSON in `results/`."""
        return "held_back" if self.held_back else "cells"


EXPERIMENTS = {
    "table2": Experiment("CIFAR-10, protocol 1 (table 2)", table2, draw_table, paper=(0.858, 0.869, 0.878, 0.883)),
    "table3": Experiment("CIFAR-10, protocol 2, three unseen classes (table 3)", table3, draw_table,
                         paper=(0.321, 0.333, 0.350, 0.358)),
    "figure3": Experiment("Variants of GPQ, protocol 1 (figure 3)", figure3, draw_bars),
    "figure4": Experiment("Sensitivity to the two lambdas, protocol 1 (figure 4)", figure4, draw_surface, (12, 48), 1),
    "figure5": Experiment("t-SNE of features (figure 5)", figure5, draw_embedding, (48,), 1),
    "figure1": Experiment("Voronoi cells of a codebook (lower figure 1)", figure1, draw_voronoi, (48,), 1),
    "choices": Experiment("What to choose, protocol 1, by held-back labelled images as queries", choices, draw_table,
                          (12, 48), 1, held_back=True),
}


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


def trained(name, config, export):
    """Whether the cell's checkpoint is there, imported, trained or gone on with where need be, or else has to wait."""
    checkpoint, path, run = Path(config.checkpoint), config.ImagNet_pretrained_path, cells.accelerated(config)
    if Path(f"{checkpoint}.json").exists():
        return True
    if (run / "trained.npz").exists():
        accelerate.import_run(run, checkpoint, {})
        return True
    if path and not Path(path).is_file():
        print(f"{name}: waits for {path}, which pretrain.py makes")
        return False
    if export and run.exists():
        print(f"{name}: exported; python {run.parent}/train.py trains it where JAX is")
        return False
    task = tasks.GPQ(config)
    if export:
        print(f"{name}: exported to {accelerate.export(task, name, run.parent, config)}")
        return False
    resume = runs.newest(config.model_save_path) is not None
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
            pflop, hours = cost(waiting)
            time = f"{hours:,.0f} h" if hours >= 1 else f"{60 * hours:.0f} min"
            left[place] = f"{pflop:,.1f} PFLOP, {time} on two cores"
    paper = dict(zip((f"{bits} bits" for bits in BITS), experiment.paper, strict=False))
    todo.table.parent.mkdir(parents=True, exist_ok=True)
    more = experiment.draw(todo.table.with_suffix(".png"), grid) if kept else []
    tables.write(todo.table, experiment.title, shlex.join(["python", "reproduce.py", *sys.argv[1:]]), grid, left, paper,
                 more)


def cost(configs):
    """What the trainings cost on all of CIFAR-10: (PFLOP, hours on two cores)."""
    total = hours = 0
    for config in configs:
        labelled = 5000 if config.protocol == 1 else 3000 * len(config.known_classes)
        labelled -= config.n_validation if config.eval_term else 0
        pflop = cells.pflop(2 * labelled * config.total_epochs, config)  # an epoch shows each once
        total, hours = total + pflop, hours + pflop / RATES[config.backbone]
    return total, hours


def overview():
    """What there is, what of it is done, and what the rest costs."""
    rows = []
    for name, experiment in EXPERIMENTS.items():
        wanted = dict(configure(cell, {}, Path("models/cells"))
                      for cell in experiment.cells(experiment.bits, experiment.seeds, {}))
        kept = Path("results") / experiment.kept
        left = [config for each, config in wanted.items() if not (kept / f"{each}.json").exists()]
        rows.append([name, experiment.title, len(wanted), len(wanted) - len(left),
                     *(f"{what:,.0f}" for what in cost(left))])
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
