"""A grid of runs, {(row, column): [report.Shown]}, as pictures; each returns further lines of Markdown."""
import numpy as np

from gpq.utils import figures
from gpq.utils.checkpoints.runs import finished
from gpq.utils.paper import report, tsne
from gpq.utils.paper.figure_data import class_features, sub_space


def average(courses):
    """{name: (x, y)} of {(row, column): [(x, y)]}: the mean over the trainings, at the first one's x."""
    return {", ".join(place): (each[0][0], np.mean([np.interp(each[0][0], *one) for one in each], axis=0))
            for place, each in courses.items() if each}


def draw_table(path, grid):
    """Precision over recall and over ranks, loss and held-back mAP over steps, each the mean over the trainings, of the
    places that show a ranking by codes.

    Returns the mAP of each class.
    """
    grid = {place: done for place, done in grid.items() if all(shown.measure == "mAP" for shown in done)}
    found = {place: [shown.run.evaluation for shown in done] for place, done in grid.items()}
    recall, precision = (average({place: [(each.ranks, getattr(each, what)) for each in done]
                                  for place, done in found.items()}) for what in ("recall", "precision"))
    figures.curves(path, {name: (recall[name][1], precision[name][1]) for name in recall}, "recall", "precision")
    figures.curves(path.with_name(f"{path.stem}_precision.png"), precision, "rank", "precision")
    for what, title in (("total", "loss"), ("held_back_mAP", "held-back mAP")):
        courses = average({place: [shown.run.curves[what] for shown in done if what in shown.run.curves]
                           for place, done in grid.items()})
        if courses:
            figures.curves(path.with_name(f"{path.stem}_{title.replace(' ', '_')}.png"), courses, "step", title)
    classes = {", ".join(place): [each.class_mAP for each in done] for place, done in found.items() if done}
    names = sorted({name for done in classes.values() for each in done for name in each})
    rows = [[title, *(report.summary([each[name] for each in done if name in each]) for name in names)]
            for title, done in classes.items()]
    return ["## mAP of the queries of each class", "", *report.markdown(["", *names], rows)]


def draw_longest(path, grid):
    """As `draw_table`, of the last column alone where anything is finished."""
    last = [column for _, column in grid if any(done for (_, other), done in grid.items() if other == column)][-1]
    return draw_table(path, {place: done for place, done in grid.items() if place[1] == last})


def draw_lengths(path, grid):
    """As `draw_table`, of the longest codes alone, and beside it the mAP of each row over the lengths of its codes."""
    ranked = {place: done for place, done in grid.items() if done and done[0].measure == "mAP"}
    bits = {place: done[0].config.n_bits for place, done in ranked.items()}
    rows = {row: sorted((bits[place], np.mean([shown.mean_ap for shown in done]))
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
        found = [shown.run.evaluation for shown in done]
        if done:
            rows.append([", ".join(place), report.summary([each.unquantised_mAP for each in found]),
                         ", ".join(str(each.distinct_codes) for each in found),
                         ", ".join(f"{shown.run.training.seconds:.0f}" for shown in done),
                         "; ".join(dict.fromkeys(shown.run.start for shown in done))])
    return ["## What it took", "", *report.markdown(["", "un-quantised mAP", "distinct codes", "seconds", "F's start"],
                                                    rows), "", *draw_table(path, grid)]


def draw_both(path, grid):
    """What `draw_table` and `draw_embedding` draw, the latter beside `path`."""
    return [*draw_table(path, grid), "", *draw_embedding(path.with_name(f"{path.stem}_tsne.png"), grid)]


def draw_bars(path, grid):
    """Bars of each row, with deviations, in groups of a column."""
    rows, columns = report.unique(grid)
    series = {row: [report.spread(grid[row, column]) for column in columns] for row in rows}
    figures.bars(path, columns, series, "mAP")
    return []


def draw_surface(path, grid):
    """Columns over both weights, which are the last words of rows and columns; a panel for what precedes the comma."""
    rows, columns = report.unique(grid)
    panels = {}
    for row in rows:
        panels.setdefault(row.split(",")[0], []).append(row)
    first, second = ([float(title.split()[-1]) for title in titles]
                     for titles in (next(iter(panels.values())), columns))
    means = [[[(report.spread(grid[row, column]) or [np.nan])[0] for column in columns] for row in panel]
             for panel in panels.values()]
    figures.surface(path, first, second, np.array(means), list(panels))
    return []


def first_of_rows(grid):
    """{row: (Shown, its checkpoint or None where that is not here)} of the first run of each row in the first column
    where any is finished."""
    rows, columns = report.unique(grid)
    column = next(column for column in columns if any(grid[row, column] for row in rows))
    firsts = {row: grid[row, column][0] for row in rows if grid[row, column]}
    return {row: (shown, finished(shown.config)) for row, shown in firsts.items()}


def draw_embedding(path, grid):
    """t-SNE of 1,000 gallery images of each class by a checkpoint of each row, and how apart the classes are.

    What is drawn stays where a checkpoint is not here, and so do the figures of it, in `separation` of its run.
    """
    firsts, points = first_of_rows(grid), []
    for shown, checkpoint in firsts.values():
        if checkpoint:
            features, labels, names = class_features(shown.config, checkpoint, each=1000)
            shown.run.separation = tuple(tsne.separation(features, labels, seed=0))
            points.append(tsne.tsne(features, seed=0))
    if points and len(points) == len(firsts):
        figures.embedding(path, points, labels, names, list(firsts))
    rows = [[f"{row} ({shown.run.id})", *(f"{figure:.4f}" for figure in shown.run.separation or ())]
            for row, (shown, _) in firsts.items()]
    return ["## Separation in feature space", "",
            *report.markdown(["", "silhouette (cosine)", "agreement of the 10 nearest neighbours"], rows)]


def draw_voronoi(path, grid):
    """The first codebook of a run, before and after training; what is drawn stays where no checkpoint is here."""
    for shown, checkpoint in first_of_rows(grid).values():
        if checkpoint:
            figures.voronoi(path, [("before training", *sub_space(shown.config)),
                                   ("after training", *sub_space(shown.config, checkpoint))])
    return []
