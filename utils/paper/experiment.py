"""What an experiment is made of: runs, each with all its settings and a place in a table."""
from collections.abc import Callable
from typing import NamedTuple

SHARED = {
    "ImagNet_pretrained_path": "", "embeddings": "", "dataset": "cifar10", "truth": "themes", "protocol": 1,
    "known_classes": (0, 1, 2, 3, 4, 5, 6), "n_CLASSES": 10, "image_size": 32, "n_DB": 54_000, "without_hits": "zero",
    "total_epochs": 300, "batch_size": 500, "backbone": "modified_vgg", "input_side": 224, "freeze": False,
    "hidden": (), "dropout": 0.0, "learning_rate": 2e-4, "augmentation": "release", "pseudo_labels": "",
    "pseudo_confidence": 0.5, "soft_labels": "", "decay": "staircase", "decay_rate": 0.95, "decay_steps": 100,
    "eval_term": 0, "n_validation": 500, "precision": "float32"}
WSDHQ = {
    "n_DB": 5000, "without_hits": "drop", "batch_size": 256, "learning_rate": 3e-4, "decay_rate": 0.5,
    "decay_steps": 300, "tags": "", "iterations": 800, "dimension": 300,
    "margin_rule": "adaptive", "gamma": 1.0, "margin": 0.7, "lam": 1e-4, "sweeps": 3, "update_epochs": 2,
    "normalize": "code"}
SHALLOW = "pq", "opq", "lopq", "itq", "sh", "sdh"
DEEP = "pqn", "subic", "dqn", "dtq", "ssdh", "bgdh", "cnnh", "ninh"
METHODS = {  # what each method's release sets otherwise, or besides
    "gpq": {"len_code": 12, "alpha": 20.0, "beta": 4.0, "lam_1": 0.1, "lam_2": 0.1, "follow": "release",
            "metric_loss": "n_pair", "margin": 0.1},
    "classifier": {},
    "spq": {"protocol": 3, "n_DB": 1000, "backbone": "resnet18", "total_epochs": 206, "batch_size": 256,
            "learning_rate": 3e-4, "eval_term": 100, "decay": "periodic", "L_word": 16, "soft_quantization_scale": 5.0,
            "contrastive_temperature": 0.5, "weight_decay": 1e-5, "blur": "kornia0510", "loss": "code",
            "variant": "spq", "init": "dec2021", "bn_after_eval": "frozen"},
    "wsdhq": WSDHQ, "wdht": WSDHQ, **dict.fromkeys(SHALLOW, {"backbone": "gist"}), **dict.fromkeys(DEEP, {})}
METHODS["sdh"] = {"backbone": "gist", "n_anchors": 1000, "sigma": 0.4}
METHODS["ssdh"] = {"lam": 0.1, "graph": "features"}
METHODS["bgdh"] = {"n_neighbours": 5, "lam": 0.1, "eta": 0.1}


class Run(NamedTuple):
    """A training and its evaluation: its place in the table, all its settings, and which mAP of it stands there."""

    row: str
    column: str
    settings: dict
    measure: str = "mAP"


class Experiment(NamedTuple):
    """A table or figure.

    title: what it shows.
    runs: (bits, seeds, given) -> [Run], under the settings `given` on the command line.
    draw: (path, grid) -> lines of Markdown; grid: {(row, column): [report.Shown]}.
    varies: settings on which its runs differ; one of these on the command line chooses among them, and another holds
        for all.
    lengths: code lengths that may be asked for; bits: those that are where none are named; seeds: how many.
    given: settings that hold without being asked for.
    published: (paper, table) of published.csv whose rows stand beside ours.
    note: what a reader must know besides.
    """

    title: str
    runs: Callable
    draw: Callable
    varies: tuple
    lengths: tuple = (12, 24, 32, 48)
    bits: tuple = (12, 24, 32, 48)
    seeds: int = 3
    given: dict = {}
    published: tuple = ()
    note: str = ""
    method: str = "gpq"


def code_length(method, bits):
    """The settings by which a code has so many bits."""
    if method == "spq":
        return {"N_books": bits // 4, "N_words": 16}
    if method in ("wsdhq", "wdht"):
        return {"n_book": bits // 8, "bn_word": 8}
    return {} if method == "classifier" else {
        "n_book": bits // 4, "bn_word": 4} if method == "gpq" else {"n_bits": bits}


def row(title, method, bits, seeds, *parts, column=None, measure="mAP"):
    """The runs of a row, at each length and seed.

    Args:
        parts: settings that change those of the method's release, each a dict or a function of the bits.
        column: where the runs stand, else at their bits.
    """
    runs = []
    for b in bits:
        changes = {}
        for part in parts:
            changes |= part(b) if callable(part) else part
        settings = {**SHARED, **METHODS[method], "method": method, **code_length(method, b), **changes}
        runs += [Run(title, column or f"{b} bits", {**settings, "seed": seed}, measure) for seed in range(seeds)]
    return runs


def pretrained(path):
    """The settings of a start from the pretrained F in a file."""
    return {"ImagNet_pretrained_path": path}


def vectors(path):
    """The settings of F as a small network on the vectors in a file."""
    return {"embeddings": path, "dataset": "embeddings", "backbone": "embeddings", "ImagNet_pretrained_path": ""}
