"""A table of finished runs in Markdown, with what papers print beside it.

A grid is {(row, column): [Shown]}.
"""
import csv
import functools
import statistics
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from gpq.config import Config
from gpq.utils import files
from gpq.utils.paper import runs
from gpq.utils.paper.experiment import METHODS, SHARED

PUBLISHED = Path(__file__).with_name("published.csv")


class Shown(NamedTuple):
    """A finished run in a table: its settings with the folder of its checkpoint, and which mAP stands there."""

    run: runs.FinishedRun
    config: Config
    measure: str = "mAP"

    @property
    def mean_ap(self):
        """The mAP that stands in the table."""
        return getattr(self.run.evaluation, self.measure)


def spread(done):
    """(mean, standard deviation) of the mAP over the runs, None where there are none."""
    values = [shown.mean_ap for shown in done]
    return (statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0) if values else None


def summary(values):
    """Mean, and ± standard deviation where there are several."""
    if len(values) < 2:
        return f"{values[0]:.4f}" if values else ""
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f} ({len(values)})"


def markdown(head, rows):
    """Lines of a table."""
    return [f"| {' | '.join(map(str, line))} |" for line in (head, ["---"] * len(head), *rows)]


def unique(grid):
    """(rows, columns), each once."""
    return (list(dict.fromkeys(keys)) for keys in zip(*grid, strict=True))


def parted(places):
    """A grid in which a row has one start, where runs of one row started from several files of one name.

    places: {(row, column): [Shown]}. Returns (the grid, {row: what it starts from, in words}, lines that tell more).
    """
    contents, letters = defaultdict(list), {}
    for (row, _), done in places.items():
        for run in (shown.run for shown in done):
            if run.inputs not in (there := contents[row, _files(run)]):
                there.append(run.inputs)
            if run.inputs.f and not run.training.initial_sha256:
                letters.setdefault(run.inputs.f, chr(ord("A") + len(letters)))
    numbers = {row: range(max([1, *(len(each) for (other, _), each in contents.items() if other == row)]))
               for row, _ in places}
    grid, starts = {}, {}
    for (row, column), done in places.items():
        for number in numbers[row]:
            words = dict.fromkeys(_start(each[number], files, letters) for (other, files), each in contents.items()
                                  if other == row and number < len(each))
            title = f"{row} ({'; '.join(words)})" if len(numbers[row]) > 1 else row
            starts[title] = "; ".join(words)
            grid[title, column] = [shown for shown in done
                                   if contents[row, _files(shown.run)].index(shown.run.inputs) == number]
    known = {run.inputs.f: run.start for done in places.values() for run in (shown.run for shown in done)
             if run.training.initial_sha256}
    return dict(sorted(grid.items(), key=lambda item: list(starts).index(item[0][0]))), starts, [
        *(f"F {f[:8]}, whose SHA-256 is {f}: {words}." for f, words in known.items()),
        *(f"F {letter}, whose SHA-256 nobody noted: {words}." for words, letter in letters.items())]


def _files(run):
    return tuple(run.settings[name] for name in ("dataset", *runs.FILES))


def _start(inputs, files, letters):
    """What a run started from, in a few words."""
    _, f, vectors = files
    return (f"vectors {inputs.data[:8]}" if vectors else
            f"F {letters.get(inputs.f, inputs.f[:8])}" if f else "")


@functools.cache
def published():
    """[{column: value}] of the file of what papers print."""
    with PUBLISHED.open(newline="") as file:
        return list(csv.DictReader(file))


def printed(wanted):
    """The rows that papers print.

    Args:
        wanted: (paper, table, dataset, method) each, or the first of these; "" stands for any.
    Returns: ({row: {column: value}}, lines that say whose they are).
    """
    rows, sources = {}, {}
    for one in wanted:
        for line in published():
            if any(want not in ("", found) for want, found in zip(one, line.values(), strict=False)):
                continue
            elsewhere = "" if line["dataset"].startswith("CIFAR-10") else line["dataset"]
            title = f"{line['method']}{', ' * bool(elsewhere)}{elsewhere}, printed"
            column = f"{elsewhere + ', ' if elsewhere and line['table'] else ''}{line['bits']} bits"
            rows.setdefault(title, {})[column] = line["value"]
            said = f"{line['paper']}{', table ' + line['table'] if line['table'] else ''}"
            said += "".join(f"; {line[what]}" for what in ("source", "how_sure") if line[what] not in ("", "printed"))
            sources.setdefault(said, {})[title.removesuffix(", printed")] = None
    return rows, [f"{'; '.join(titles)}: {said}." for said, titles in sources.items()]


def blocks(grid, starts, rows):
    """Tables in Markdown, one for the rows that have the same columns.

    Args:
        grid, starts: as of `parted`.
        rows: as of `printed`.
    Returns: a list of texts.
    """
    columns, found = defaultdict(list), defaultdict(list)
    for row, column in grid:
        columns[row].append(column)
    for row, own in columns.items():
        found[tuple(own)].append([row, starts[row], *(summary([shown.mean_ap for shown in grid[row, column]])
                                                      for column in own)])
    for row, figures in rows.items():
        for own in [own for own in found if figures.keys() & set(own)] or [tuple(figures)]:
            found[own].append([row, "", *(figures.get(column, "") for column in own)])
    return ["\n".join(markdown(["", "starts from", *own], lines)) for own, lines in found.items()]


def write(path, experiment, drawn_by, places, left, smoke=False):
    """Write a table, and draw it.

    Args:
        path: of the table, .md; the runs lie beside it in .jsonl, the drawing in .png.
        experiment: an Experiment.
        drawn_by: the command that draws it anew.
        places: {(row, column): [Shown]}.
        left: {row: configurations of the runs that are not finished}.
        smoke: whether it is a test on the sample.
    Returns: the tables as text, without the list of runs.
    """
    grid, starts, told = parted(places)
    rows, sources = printed(experiment.published)
    tables = blocks(grid, starts, rows)
    done = list({shown.run.id: shown.run for each in grid.values() for shown in each}.values())
    more = experiment.draw(path.with_suffix(".png"), grid) if done else []
    runs.keep(path.with_suffix(".jsonl"), *done)
    costs = [[row, len(configs), *(f"{what:,.1f}" for what in runs.cost(configs))] for row, configs in left.items()]
    text = [
        f"# {'Smoke test on the sample: ' * smoke}{experiment.title}",
        f"Drawn by `{drawn_by}` from the runs below.",
        "mAP, expected over ties: mean ± standard deviation (trainings); what a row starts from, by its SHA-256.",
        *tables, *told, *sources, experiment.note, "\n".join(more),
        *(["## Not trained", "\n".join(markdown(["", "runs", "PFLOP", "hours on two cores"], costs))] if costs else ()),
        "## Runs",
        f"All settings of each are in `{path.with_suffix('.jsonl').name}`; here stands what is not as in "
        "`utils/paper/experiment.py`.",
        "\n".join(markdown(
            ["run", "mAP", "ties in gallery order", "un-quantised", "distinct codes", "steps", "images", "PFLOP",
             "seconds", "hardware", "commit", "data", "settings"], map(_details, done)))]
    save(path, "".join(f"{part}\n\n" for part in text if part).rstrip("\n") + "\n")
    return "\n\n".join(tables)


def save(path, text):
    """Write a text file."""
    with files.whole(path, over_input=True) as file:
        file.write(text.encode())


def changes(settings):
    """What of a run's settings is not as experiment.py has it, as text."""
    usual = {**SHARED, **METHODS[settings["method"]]}
    usual |= {name: list(value) for name, value in usual.items() if isinstance(value, tuple)}
    return " ".join(f"{name}={value}" for name, value in settings.items() if usual.get(name) != value)


def _details(run):
    found, trained = run.evaluation, run.training
    return [run.id, *(f"{value:.4f}" for value in (found.mAP, found.mAP_stable, found.unquantised_mAP)),
            found.distinct_codes, trained.step, trained.images, run.PFLOP, trained.seconds, trained.device,
            trained.commit, run.source, changes(run.settings)]
