from pathlib import Path

import numpy as np

from utils import figures
from utils.paper import embedding, tables
from utils.paper.features import class_features, sub_space

LAMBDAS = (0.0, 0.001, 0.01, 0.1, 1.0)


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
        features, labels, names = class_features(kept.config, each=1000)
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
        figures.voronoi(path, [("before training", *sub_space(kept.config, trained=False)),
                               ("after training", *sub_space(kept.config, trained=True))])
    return missing
