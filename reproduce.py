"""Reproduce the paper: one command per table and figure.

    python reproduce.py                                   # what there is, what it costs, what is done
    python reproduce.py table2 --bits 12 48 --seeds 3     # trains what is missing, evaluates, writes results/table2.*
    python reproduce.py table2 --follow=release           # of the cells that differ in a setting, only these
    python reproduce.py figure3 --total_epochs=20         # any other setting of config.py, for every cell
    python reproduce.py table3 --accelerate               # exports what is missing, imports what JAX has trained
    python reproduce.py table2 --smoke                    # the whole path on the sample, in minutes

A cell is one training and its evaluation. Its numbers are kept in `results/cells/`, its checkpoints in
`models/cells/`; a finished cell is not run again, a broken one goes on. Nothing but a cell fills a table.
"""
import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import train
from config import Config, from_command_line
from utils import accelerate, cells, cifar10, embedding, errors, evaluation, figures, runs, tables, tasks
from utils.errors import UserError

BITS = {12: 3, 24: 6, 32: 8, 48: 12}  # bits: codebooks
LAMBDAS = (0.0, 0.001, 0.01, 0.1, 1.0)
SCRATCH = {"ImagNet_pretrained_path": ""}
PRETRAINED = {"ImagNet_pretrained_path": "./models/CIFAR100_pretrained.mat"}
VARIANTS = {"GPQ": {}, "GPQ-F": {"backbone": "cnn_f"}, "GPQ-H": {"lam_1": 0.0, "lam_2": 0.0},
            "GPQ-T": {"metric_loss": "triplet"}}
KNOWN = [tuple(sorted((first + k) % 10 for k in range(7))) for first in (0, 3, 6)]
SMOKE = {"data_dir": "./cifar10/sample", "batch_size": 50, "total_epochs": 1}
LABELLED = {1: 5000, 2: 21000}  # images of a protocol, of which an epoch shows each once
RATE = 0.44  # PFLOP an hour on two cores (results/network.txt)


class Cell(NamedTuple):
    """Where a training stands in its table, and what it sets."""

    row: str
    column: str
    settings: dict


def over(bits, seeds, rows):
    """Every row at every bit length and seed; rows: {name: settings}."""
    return [Cell(row, f"{b} bits", {**settings, "n_book": BITS[b], "seed": seed})
            for row, settings in rows.items() for b in bits for seed in range(seeds)]


def table2(bits, seeds):
    return over(bits, seeds, {f"{follow} form, {start}": {"follow": follow, **path} for follow in ("release", "paper")
                              for start, path in (("from scratch", SCRATCH), ("F from CIFAR-100", PRETRAINED))})


def table3(bits, seeds):
    unseen = {known: {"protocol": 2, "known_classes": known, "n_CLASSES": 7} for known in KNOWN}
    rows = {f"{known} known, from scratch": {**settings, **SCRATCH} for known, settings in unseen.items()}
    return over(bits, seeds, {**rows, f"{KNOWN[0]} known, F from CIFAR-100": {**unseen[KNOWN[0]], **PRETRAINED}})


def figure3(bits, seeds):
    return over(bits, seeds, {row: {**settings, **SCRATCH} for row, settings in VARIANTS.items()})


def figure4(bits, seeds):
    return [Cell(f"{b} bits, lam_1 {one:g}", f"lam_2 {two:g}",
                 {**SCRATCH, "lam_1": one, "lam_2": two, "n_book": BITS[b], "seed": seed})
            for b in bits for one in LAMBDAS for two in LAMBDAS for seed in range(seeds)]


def figure5(bits, seeds):
    return over(bits, seeds, {row: {**VARIANTS[row], **SCRATCH} for row in ("GPQ-T", "GPQ-H", "GPQ")})


def figure1(bits, seeds):
    return over(bits, seeds, {"len_code 2": {"len_code": 2, **SCRATCH}})


def draw_table(path, grid):
    """Precision over recall and over ranks, loss and held-back mAP over steps, each the mean over the seeds.

    Returns the mAP of each class.
    """
    means = {f"{row}, {column}": {key: np.mean([kept.cell["evaluation"][key] for kept in done], axis=0)
                                  for key in ("ranks", "recall", "precision")}
             for (row, column), done in grid.items() if done}
    figures.curves(path, {name: (m["recall"], m["precision"]) for name, m in means.items()}, "recall", "precision")
    figures.curves(path.with_name(f"{path.stem}_precision.png"),
                   {name: (m["ranks"], m["precision"]) for name, m in means.items()}, "rank", "precision")
    for what, title in (("total", "loss"), ("held_back_mAP", "held-back mAP")):
        logged = {place: [kept.cell["curves"][what] for kept in done if what in kept.cell["curves"]]
                  for place, done in grid.items()}
        courses = {", ".join(place): np.mean(each, axis=0) for place, each in logged.items() if each}
        if courses:
            figures.curves(path.with_name(f"{path.stem}_{title.replace(' ', '_')}.png"), courses, "step", title)
    classes = {f"{row}, {column}": [kept.cell["evaluation"]["class_mAP"] for kept in done]
               for (row, column), done in grid.items() if done}
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
    means = [[[tables.spread(grid.get((f"{title}, lam_1 {one:g}", f"lam_2 {two:g}"), [])) or (np.nan, np.nan)
               for two in LAMBDAS] for one in LAMBDAS] for title in titles]
    figures.surface(path, LAMBDAS, LAMBDAS, np.array(means)[..., 0], titles)
    return ["lam_1 weighs entropy and lam_2 classification, as in the release; in the paper it is the other way round."]


def draw_embedding(path, grid):
    """t-SNE of 1,000 gallery images of each class by the first checkpoint of each row, and how apart classes are."""
    firsts = {row: done[0] for (row, _), done in grid.items() if done}
    if not firsts:
        return []
    points, rows = [], []
    for row, kept in firsts.items():
        features, labels, names = evaluation.class_features(kept.config, each=1000)
        apart = embedding.separation(features, labels, seed=0)
        rows.append([f"{row} ({kept.name})", f"{apart.silhouette:.4f}", f"{apart.neighbour_agreement:.4f}"])
        points.append(embedding.tsne(features, seed=0))
    figures.embedding(path, points, labels, names, list(firsts))
    return ["## Separation in feature space", "",
            *tables.markdown(["", "silhouette (cosine)", "agreement of the 10 nearest neighbours"], rows)]


def draw_voronoi(path, grid):
    """The first codebook of the first cell, before and after training."""
    done = next((done for done in grid.values() if done), None)
    if done:
        figures.voronoi(path, [("before training", *evaluation.sub_space(done[0].config, trained=False)),
                               ("after training", *evaluation.sub_space(done[0].config, trained=True))])
    return []


class Experiment(NamedTuple):
    """A table or figure: `cells(bits, seeds)` lists what it is made of, `draw(path, grid)` draws it from
    {(row, column): [cells.Kept]} and returns further lines of Markdown."""

    title: str
    cells: Callable
    draw: Callable
    bits: tuple = tuple(BITS)
    seeds: int = 3
    paper: tuple = ()


EXPERIMENTS = {
    "table2": Experiment("CIFAR-10, protocol 1 (table 2)", table2, draw_table, paper=(0.858, 0.869, 0.878, 0.883)),
    "table3": Experiment("CIFAR-10, protocol 2, three unseen classes (table 3)", table3, draw_table,
                         paper=(0.321, 0.333, 0.350, 0.358)),
    "figure3": Experiment("Variants of GPQ, protocol 1 (figure 3)", figure3, draw_bars),
    "figure4": Experiment("Sensitivity to the two lambdas, protocol 1 (figure 4)", figure4, draw_surface, (12, 48), 1),
    "figure5": Experiment("t-SNE of features (figure 5)", figure5, draw_embedding, (48,), 1),
    "figure1": Experiment("Voronoi cells of a codebook (lower figure 1)", figure1, draw_voronoi, (48,), 1),
}


def report(name, folder, grid):
    """Write the table, its JSON and its picture of what is finished."""
    experiment, command = EXPERIMENTS[name], shlex.join(["python", "reproduce.py", *sys.argv[1:]])
    finished = any(grid.values())
    more = experiment.draw(folder / f"{name}.png", grid) if finished else []
    paper = dict(zip((f"{bits} bits" for bits in BITS), experiment.paper, strict=False))
    tables.write(folder / name, experiment.title, command, grid, paper, more)
    print(f"{folder / name}.md: {sum(map(len, grid.values()))} cells")


def configure(cell, given, models):
    """(name, configuration) of a cell under the settings `given` on the command line."""
    settings = {**given, **cell.settings}
    name = cells.name(settings)
    folder = models / name
    return name, train.Options(**settings, model_save_path=str(folder),
                               model_load_path=str(folder / "{n_bits}bits_example.ckpt"))


def run(name, config, file, arguments):
    """The finished cell, trained or gone on with where need be; None where it has to wait for something."""
    cell = cells.load(file, config)
    if cell:
        return cells.Kept(name, config, cell)
    checkpoint = Path(config.checkpoint)
    path = config.ImagNet_pretrained_path
    if path and not Path(path).is_file():
        print(f"{name}: waits for {path}, which pretrain.py makes")
        return None
    if not checkpoint.with_name(f"{checkpoint.name}.json").exists():
        elsewhere = Path(config.model_save_path).parent.parent / "accelerated"
        if (elsewhere / name / "trained.npz").exists():
            accelerate.import_run(elsewhere / name, checkpoint, {})
        elif arguments.accelerate and (elsewhere / name).exists():
            print(f"{name}: exported; python {elsewhere}/train.py trains it where JAX is")
            return None
        else:
            task = tasks.GPQ(config)
            if arguments.accelerate:
                print(f"{name}: exported to {accelerate.export(task, name, elsewhere, config)}")
                return None
            resume = runs.newest(config.model_save_path) is not None
            if not train.train(config.model_copy(update={"resume": resume}), task):
                raise KeyboardInterrupt
    cells.save(file, config, json.loads(checkpoint.with_name(f"{checkpoint.name}.json").read_text()),
               evaluation.evaluate(config))
    return cells.Kept(name, config, cells.load(file, config))


def reproduce(arguments, given):
    """Run what `arguments` ask for under the settings `given`, and report."""
    experiment = EXPERIMENTS[arguments.what]
    folder = Path("results/smoke" if arguments.smoke else "results")
    models = Path("models/smoke/cells" if arguments.smoke else "models/cells")
    folder.mkdir(parents=True, exist_ok=True)
    bits, seeds = (experiment.bits[:1], 1) if arguments.smoke else (experiment.bits, experiment.seeds)
    wanted = [cell for cell in experiment.cells(arguments.bits or bits, arguments.seeds or seeds)
              if all(cell.settings.get(key, value) == value for key, value in given.items())]
    if not wanted:
        raise UserError(f"{arguments.what} has no cell with these settings; leave some out")
    data_dir = given.get("data_dir", Config.model_fields["data_dir"].default)
    if not arguments.smoke and cifar10.load(data_dir).sample:
        raise UserError(f"reproducing the paper needs all of CIFAR-10, and {data_dir} has the sample; "
                        "run `python -m utils.cifar10 fetch`, or try --smoke")
    grid = {(cell.row, cell.column): [] for cell in wanted}
    try:
        for number, cell in enumerate(wanted, 1):
            name, config = configure(cell, given, models)
            print(f"cell {number} of {len(wanted)}: {name}", flush=True)
            kept = run(name, config, folder / "cells" / f"{name}.json", arguments)
            if kept:
                grid[cell.row, cell.column].append(kept)
    finally:
        report(arguments.what, folder, grid)


def overview():
    """What there is, what it costs and what is done."""
    rows = []
    for name, experiment in EXPERIMENTS.items():
        wanted = [configure(cell, {}, Path("models/cells"))
                  for cell in experiment.cells(experiment.bits, experiment.seeds)]
        done = sum(Path(f"results/cells/{each}.json").exists() for each, _ in wanted)
        cost = sum(cells.pflop(2 * LABELLED[config.protocol] * config.total_epochs, config.backbone)
                   for _, config in wanted)
        rows.append([name, experiment.title, len(wanted), done, f"{cost:,.0f}", f"{cost / RATE:,.0f}"])
    print("\n".join(tables.markdown(["name", "what", "cells", "done", "PFLOP", "hours on two cores"], rows)))


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
    named = from_command_line(Config, rest)
    given = {**(SMOKE if arguments.smoke else {}), **{key: getattr(named, key) for key in named.model_fields_set}}
    reproduce(arguments, given)


if __name__ == "__main__":
    errors.run(main)
