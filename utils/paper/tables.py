"""Tables of cells in Markdown, and the JSON behind them.

A grid is {(row, column): [cells.Kept]}, one Kept a finished training.
"""
import json
import statistics

from utils import files
from utils.data.data import Source
from utils.paper import cells


def spread(done):
    """(mean, standard deviation) of the mAP over the seeds, None where no cell is finished."""
    values = [kept.mean_ap for kept in done]
    return (statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0) if values else None


def summary(values):
    """Mean, and ± standard deviation where there are several."""
    if len(values) < 2:
        return f"{values[0]:.4f}" if values else ""
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f} ({len(values)})"


def markdown(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def unique(grid):
    return (list(dict.fromkeys(keys)) for keys in zip(*grid, strict=True))


def write(path, experiment, drawn_by, grid, left, more):
    """Write `path`, a .md, and the .json beside it: the tables of the grid, further lines, every cell.

    experiment: an `Experiment`, of which the title, the note and the published rows are shown; drawn_by: the command
    that draws it anew; left: {(row, column): what the trainings that are not finished would cost, as text}; more: lines
    of Markdown.
    """
    finished = {kept.name: kept for done in grid.values() for kept in done}
    of_source = {}
    for published in experiment.published:
        of_source.setdefault(published.source, []).append(f"{published.row[0].upper()}{published.row[1:]}")
    sources = [f"{'; '.join(rows)}: {source}." for source, rows in of_source.items()]
    text = "\n".join([
        f"# {experiment.title}", "", f"Drawn by `{drawn_by}` from the cells listed below.", "",
        "mAP, expected over ties: mean ± standard deviation (trainings). Left is what the trainings that are not "
        "finished would cost; they give no number.", "",
        *_blocks(grid, left, experiment.published), *_paragraphs([*sources, experiment.note, "\n".join(more)]),
        "## Cells", "", "Each command trains the same again where config.py is as first published: F starts from "
        "./models/ImageNet_pretrained.mat where it names none, and --n_DB and --without_hits, which count when it is "
        "evaluated, are left out.", "",
        *markdown(["cell", "mAP", "ties in gallery order", "un-quantised", "distinct codes", "steps", "images", "PFLOP",
                   "seconds", "hardware", "commit", "data", "command"],
                  [_details(kept) for kept in finished.values()])])
    behind = json.dumps(
        [{"row": row, "column": column, "cells": [kept.name for kept in done], "mAP": [kept.mean_ap for kept in done]}
         for (row, column), done in grid.items()], indent=1)
    for name, content in ((path, text), (path.with_suffix(".json"), behind)):
        with files.whole(name) as file:
            file.write(f"{content}\n".encode())


def _blocks(grid, left, published):
    """A table for the rows that have the same columns, and with it what was published of these; one of its own for what
    was published of other columns."""
    rows, blocks = {}, {}
    for row, column in grid:
        rows.setdefault(row, []).append(column)
    for row, columns in rows.items():
        blocks.setdefault(tuple(columns), []).append(
            [row, *(_place(grid[row, column], left.get((row, column))) for column in columns)])
    for one in published:
        fitting = [columns for columns in blocks if one.figures.keys() & set(columns)] or [tuple(one.figures)]
        for columns in fitting:
            figures = ("" if one.figures.get(column) is None else f"{one.figures[column]:.3f}" for column in columns)
            blocks.setdefault(columns, []).append([one.row, *figures])
    return _paragraphs("\n".join(markdown(["", *columns], lines)) for columns, lines in blocks.items())


def _paragraphs(texts):
    return [line for text in texts if text for line in (text, "")]


def _place(done, left):
    return " ".join(filter(None, [summary([kept.mean_ap for kept in done]), left and f"(left: {left})"]))


def _details(kept):
    training, found = kept.cell["training"], kept.cell["evaluation"]
    return [kept.name, *(f"{found[key]:.4f}" for key in ("mAP", "mAP_stable", "unquantised_mAP")),
            found["distinct_codes"], training["step"], training["images"], kept.cell["PFLOP"], training["seconds"],
            kept.cell["hardware"], kept.cell["commit"], Source.from_json(training["data"]),
            f"`{cells.command(cells.trained_with(training))}`"]
