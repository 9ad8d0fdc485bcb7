"""A grid of cells, {(row, column): [cells.Kept]}, as pictures; each returns further lines of Markdown."""
import numpy as np

from utils import figures
from utils.checkpoints.runs import finished
from utils.paper import embedding, tables
from utils.paper.features import class_features, sub_space


def average(courses):
    """{name: (x, y)} of {(row, column): [(x, y)]}: the mean over the trainings, at the first one's x."""
    return {", ".join(place): (each[0][0], np.mean([np.interp(each[0][0], *one) for one in each], axis=0))
            for place, each in courses.items() if each}


def draw_table(path, grid):
    """Precision over recall and over ranks, loss and held-back mAP over steps, each the mean over the trainings, of the
    places that show a ranking by codes.

    Returns the mAP of each class.
    """
    grid = {place: done for place, done in grid.items() if all(kept.measure == "mAP" for kept in done)}
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


def draw_longest(path, grid):
    """As `draw_table`, of the last column alone where anything is finished."""
    last = [column for _, column in grid if any(done for (_, other), done in grid.items() if other == column)][-1]
    return draw_table(path, {place: done for place, done in grid.items() if place[1] == last})


def draw_lengths(path, grid):
    """As `draw_table`, of the longest codes alone, and beside it the mAP of each row over the lengths of its codes."""
    ranked = {place: done for place, done in grid.items() if done and done[0].measure == "mAP"}
    bits = {place: done[0].config.n_bits for place, done in ranked.items()}
    rows = {row: sorted((bits[place], np.mean([kept.mean_ap for kept in done]))
                        for place, done in ranked.items() if place[0] == row) for row, _ in ranked}
    figures.curves(path.with_name(f"{path.stem}_lengths.png"),
                   {row: tuple(zip(*points, strict=True)) for row, points in rows.items()}, "bits", "mAP")
    longest = {row: points[-1][0] for row, points in rows.items()}
    return draw_table(path, {place: done for place, done in ranked.items() if bits[place] == longest[place[0]]})


def draw_costs(path, grid):
    """As `draw_table`, and beside it what else there is to say of each place: unquantised mAP, distinct codes, seconds
    of a training, and what F started from."""
    rows = []
    for place, done in grid.items():
        found, trained = [kept.cell["evaluation"] for kept in done], [kept.cell["training"] for kept in done]
        if done:
            rows.append([", ".join(place), tables.summary([each["unquantised_mAP"] for each in found]),
                         ", ".join(str(each["distinct_codes"]) for each in found),
                         ", ".join(f"{each['seconds']:.0f}" for each in trained),
                         "; ".join(dict.fromkeys(kept.cell.get("start", "") for kept in done))])
    return ["## What it took", "", *tables.markdown(["", "un-quantised mAP", "distinct codes", "seconds", "F's start"],
                                                    rows), "", *draw_table(path, grid)]


def draw_both(path, grid):
    """What `draw_table` and `draw_embedding` draw, the latter beside `path`."""
    return [*draw_table(path, grid), "", *draw_embedding(path.with_name(f"{path.stem}_tsne.png"), grid)]


def draw_bars(path, grid):
    rows, columns = tables.unique(grid)
    series = {row: [tables.spread(grid[row, column]) for column in columns] for row in rows}
    figures.bars(path, columns, series, "mAP")
    return []


def draw_surface(path, grid):
    """Columns over both weights, which are the last words of rows and columns; a panel for what precedes the comma."""
    rows, columns = tables.unique(grid)
    panels = {}
    for row in rows:
        panels.setdefault(row.split(",")[0], []).append(row)
    first, second = ([float(title.split()[-1]) for title in titles]
                     for titles in (next(iter(panels.values())), columns))
    means = [[[(tables.spread(grid[row, column]) or [np.nan])[0] for column in columns] for row in panel]
             for panel in panels.values()]
    figures.surface(path, first, second, np.array(means), list(panels))
    return []


def with_checkpoints(grid):
    """The first cell of each row in the first column where any is finished.

    Returns ({row: (cells.Kept, its checkpoint)} of those whose checkpoint is here, lines that name the others).
    """
    rows, columns = tables.unique(grid)
    column = next(column for column in columns if any(grid[row, column] for row in rows))
    firsts = {row: grid[row, column][0] for row in rows if grid[row, column]}
    found = {row: (kept, finished(kept.config)) for row, kept in firsts.items()}
    here = {row: (kept, checkpoint) for row, (kept, checkpoint) in found.items() if checkpoint}
    return here, [f"* Not drawn: {row}, whose checkpoint {kept.config.final_checkpoint} is not here."
                  for row, kept in firsts.items() if row not in here]


def draw_embedding(path, grid):
    """t-SNE of 1,000 gallery images of each class by a checkpoint of each row, and how apart the classes are."""
    here, missing = with_checkpoints(grid)
    if not here:
        return missing
    points, rows = [], []
    for row, (kept, checkpoint) in here.items():
        features, labels, names = class_features(kept.config, checkpoint, each=1000)
        apart = embedding.separation(features, labels, seed=0)
        rows.append([f"{row} ({kept.name})", f"{apart.silhouette:.4f}", f"{apart.neighbour_agreement:.4f}"])
        points.append(embedding.tsne(features, seed=0))
    figures.embedding(path, points, labels, names, list(here))
    return ["## Separation in feature space", "",
            *tables.markdown(["", "silhouette (cosine)", "agreement of the 10 nearest neighbours"], rows), "", *missing]


def draw_voronoi(path, grid):
    """The first codebook of a cell, before and after training."""
    here, missing = with_checkpoints(grid)
    for kept, checkpoint in here.values():
        figures.voronoi(path, [("before training", *sub_space(kept.config)),
                               ("after training", *sub_space(kept.config, checkpoint))])
    return missing
