"""Tables of cells in Markdown, and the JSON behind them.

A grid is {(row, column): [cells.Kept]}, one Kept a finished training.
"""
import json
import statistics


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


def write(path, title, command, grid, left, paper, more):
    """Write `path`, a .md, and the .json beside it: the table of the grid, the paper's row, further lines, every cell.

    left: {(row, column): what the trainings that are not finished would cost, as text}; paper: {column: what the paper
    says}, or {}; more: lines of Markdown.
    """
    rows, columns = unique(grid)
    table = [[row, *(_place(grid.get((row, column), []), left.get((row, column))) for column in columns)]
             for row in rows]
    if paper:
        table.append(["the paper", *(f"{paper[column]:.3f}" for column in columns)])
    finished = {kept.name: kept for done in grid.values() for kept in done}
    path.write_text("\n".join([
        f"# {title}", "", f"    {command}", "",
        "mAP, expected over ties: mean ± standard deviation (trainings). Left is what the trainings that are not "
        "finished would cost; they give no number.", "",
        *markdown(["", *columns], table), "", *more, "", "## Cells", "",
        *markdown(["cell", "mAP", "ties in gallery order", "un-quantised", "distinct codes", "steps", "images", "PFLOP",
                   "seconds", "hardware", "commit"], [_details(kept) for kept in finished.values()])]) + "\n")
    path.with_suffix(".json").write_text(json.dumps(
        [{"row": row, "column": column, "cells": [kept.name for kept in done], "mAP": [kept.mean_ap for kept in done]}
         for (row, column), done in grid.items()], indent=1) + "\n")


def _place(done, left):
    return " ".join(filter(None, [summary([kept.mean_ap for kept in done]), left and f"(left: {left})"]))


def _details(kept):
    training, found = kept.cell["training"], kept.cell["evaluation"]
    return [kept.name, *(f"{found[key]:.4f}" for key in ("mAP", "mAP_stable", "unquantised_mAP")),
            found["distinct_codes"], training["step"], training["images"], kept.cell["PFLOP"], training["seconds"],
            kept.cell["hardware"], kept.cell["commit"]]
