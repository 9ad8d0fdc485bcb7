"""Which cells make each table and figure of the paper, and what the paper says there."""
from collections.abc import Callable
from typing import NamedTuple

from config import GPQ
from utils.paper.drawing import draw_bars, draw_embedding, draw_surface, draw_table, draw_voronoi

BITS = {12: 3, 24: 6, 32: 8, 48: 12}  # bits: codebooks
LAMBDAS = (0.0, 0.001, 0.01, 0.1, 1.0)
SCRATCH = {"ImagNet_pretrained_path": ""}
PRETRAINED = {"ImagNet_pretrained_path": "./models/CIFAR100_pretrained.mat"}
STARTS = {"from scratch": SCRATCH, "F from CIFAR-100": PRETRAINED}
VARIANTS = {"GPQ": {}, "GPQ-F": {"backbone": "cnn_f"}, "GPQ-H": {"lam_1": 0.0, "lam_2": 0.0},
            "GPQ-T": {"metric_loss": "triplet"}}
KNOWN = [tuple(sorted((first + k) % 10 for k in range(7))) for first in (0, 3, 6)]
PAPER = "Jang and Cho, Generalized Product Quantization Network for Semi-supervised Image Retrieval, CVPR 2020"


class Cell(NamedTuple):
    """Where a training stands in its table, what it sets, `method` among it, and which mAP of it stands there."""

    row: str
    column: str
    settings: dict
    measure: str = "mAP"


class Published(NamedTuple):
    """A row that a paper prints: {column: mAP}, and where."""

    row: str
    figures: dict
    source: str


def column(bits):
    return f"{bits} bits"


def over(bits, seeds, rows):
    """Every row of GPQ at every bit length and seed; rows: {name: settings}."""
    return [Cell(row, column(b), {"method": "gpq", **settings, "n_book": BITS[b], "bn_word": 4, "seed": seed})
            for row, settings in rows.items() for b in bits for seed in range(seeds)]


def table2(bits, seeds, given):
    forms = {f"{follow} form, {start}": {"follow": follow, **path} for follow in ("release", "paper")
             for start, path in STARTS.items()}
    ranked = {"by predicted class": "mAP", "by softmax inner product": "unquantised_mAP"}
    alone = [Cell(f"classifier alone, {start}", by, {"method": "classifier", **path, "seed": seed}, measure)
             for start, path in STARTS.items() for by, measure in ranked.items() for seed in range(seeds)]
    return [*over(bits, seeds, forms), *alone]


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
    """Rows weigh classification, columns entropy: the paper's lambda_1 and lambda_2."""
    classification, entropy = GPQ.lambdas(given.get("follow", "release"))
    return [Cell(f"{b} bits, classification {one:g}", f"entropy {two:g}", {**cell.settings, classification: one,
                                                                           entropy: two})
            for b in bits for one in LAMBDAS for two in LAMBDAS for cell in over([b], seeds, {"GPQ": SCRATCH})]


def figure5(bits, seeds, given):
    return over(bits, seeds, {row: {**VARIANTS[row], **SCRATCH} for row in ("GPQ-T", "GPQ-H", "GPQ")})


def choices(bits, seeds, given):
    """One change at a time, judged on labelled images that are held back: the queries are not chosen by."""
    changes = {"release form, F from CIFAR-100": {}, "from scratch": SCRATCH, "paper form": {"follow": "paper"},
               "cosine decay": {"decay": "cosine"}, "strong augmentation": {"augmentation": "strong"},
               "joint batch statistics": {"batch_statistics": "joint"},
               "pseudo-labels (beyond the paper)": {"lam_u": 1.0, "confidence": given.get("confidence", 0.95)}}
    common = {**PRETRAINED, "eval_term": given.get("eval_term", 10)}
    return over(bits, seeds, {row: {**common, **change} for row, change in changes.items()})


def figure1(bits, seeds, given):
    return over(bits, seeds, {"len_code 2": {"len_code": 2, **SCRATCH}})


class Experiment(NamedTuple):
    """A table or figure.

    `cells(bits, seeds, given)` lists the `Cell`s that it is made of under the settings `given` of `method`. `draw(path,
    grid)` draws it from {(row, column): [cells.Kept]}, not all empty, and returns further lines of Markdown.
    `published`: the rows that papers print. `note`: what a reader of the table must know besides. `held_back`: whether
    held-back images are the queries.
    """

    title: str
    cells: Callable
    draw: Callable
    bits: tuple = tuple(BITS)
    seeds: int = 3
    published: tuple = ()
    note: str = ""
    held_back: bool = False
    method: str = "gpq"

    @property
    def kept(self):
        """The folder of its cells' JSON in `results/`."""
        return "held_back" if self.held_back else "cells"


def at_each_length(figures):
    return dict(zip(map(column, BITS), figures, strict=True))


EXPERIMENTS = {
    "table2": Experiment(
        "CIFAR-10, protocol 1 (table 2)", table2, draw_table,
        published=(Published("the paper", at_each_length((0.858, 0.869, 0.878, 0.883)), f"{PAPER}, table 2"),),
        note="Classifier alone: F and a softmax layer, trained on the labelled images only (Sablayrolles et al., How "
             "should we evaluate supervised hashing?, ICASSP 2017). Its code is the class that it predicts, 4 bits, so "
             "there is no length to vary; both of its columns are of the same trainings."),
    "table3": Experiment(
        "CIFAR-10, protocol 2, three unseen classes (table 3)", table3, draw_table,
        published=(Published("the paper", at_each_length((0.321, 0.333, 0.350, 0.358)), f"{PAPER}, table 3"),)),
    "figure3": Experiment("Variants of GPQ, protocol 1 (figure 3)", figure3, draw_bars),
    "figure4": Experiment("Sensitivity to the two lambdas, protocol 1 (figure 4)", figure4, draw_surface, (12, 48), 1),
    "figure5": Experiment("t-SNE of features (figure 5)", figure5, draw_embedding, (48,), 1),
    "figure1": Experiment("Voronoi cells of a codebook (lower figure 1)", figure1, draw_voronoi, (48,), 1),
    "choices": Experiment("What to choose, protocol 1, by held-back labelled images as queries", choices, draw_table,
                          (12, 48), 1, held_back=True),
}
