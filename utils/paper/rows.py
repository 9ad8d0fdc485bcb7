"""Cells of a table or figure: where they stand, and what their F starts from."""
from typing import NamedTuple

BITS = {12: 3, 24: 6, 32: 8, 48: 12}  # bits: codebooks of GPQ
SCRATCH = {"ImagNet_pretrained_path": ""}
KNOWN = [tuple(sorted((first + k) % 10 for k in range(7))) for first in (0, 3, 6)]
# What the rows of `imagenet` start from and how they are trained. The command line comes before a schedule.
SHORT = {"follow": "paper", "decay": "cosine", "learning_rate": 1e-3, "precision": "bfloat16"}
PRETRAINED = "modified VGG, pretrained F"
PRETRAINED_SCHEDULE = {**SHORT, "learning_rate": 3e-4, "batch_size": 100, "total_epochs": 4}
SPARED = "./models/ImageNet_distilled_unseen.mat"  # distilled without any image that table 3 asks with
NETWORKS = {  # 200 steps of 100 + 100 images
    "modified VGG, F from CIFAR-100's labels, 30 epochs (no ImageNet)": (
        "./models/CIFAR100_long.mat", {**PRETRAINED_SCHEDULE, "learning_rate": 1e-3}),
    PRETRAINED: ("./models/ImageNet_pretrained.mat", PRETRAINED_SCHEDULE),
    f"{PRETRAINED}, distilled twice as long": ("./models/ImageNet_distilled.mat", PRETRAINED_SCHEDULE),
    f"{PRETRAINED}, distilled on CIFAR-100's pictures first": (
        "./models/ImageNet_distilled_both.mat", PRETRAINED_SCHEDULE),
    "modified VGG, taught F (beyond the paper)": (
        "./models/ImageNet_taught.mat", {**SHORT, "learning_rate": 2e-4, "batch_size": 100, "total_epochs": 4})}
VECTOR_SCHEDULE = {**SHORT, "total_epochs": 100}  # 1,000 steps of 500 + 500 vectors
DENSE = {"hidden": (), "dropout": 0.5}
HIDDEN = {12: DENSE, **dict.fromkeys((24, 32, 48), {"hidden": (512,), "dropout": 0.7})}
VECTORS = {
    "EfficientNet-Lite2's vectors": ("cifar10_lite2.npz", HIDDEN),
    "EfficientNet-Lite0's and Lite2's vectors, joined": ("cifar10_lite0_lite2.npz", HIDDEN),
    "EfficientNet-Lite0's, Lite1's and Lite2's vectors, joined": (
        "cifar10_lite0_lite1_lite2.npz", dict.fromkeys(BITS, DENSE))}
GIST = "cifar10_gist.npz"
UNSEEN = {known: f"cifar10_lite2_known{''.join(map(str, known))}.npz" for known in KNOWN}  # Lite2's, in protocol 2
NETWORK_SEEDS = 3  # of each cell at most; those of vectors take seconds
LONGER = {"total_epochs": 20}  # 1,000 steps of 100 + 100 images, at 12 and 48 bits, once


class Cell(NamedTuple):
    """Where a training stands in its table, what it sets, `method` among it, and which mAP of it stands there.

    schedule: settings that it has where the command line and config.py do not say others.
    """

    row: str
    column: str
    settings: dict
    measure: str = "mAP"
    schedule: dict = {}


class Published(NamedTuple):
    """A row that a paper prints: {column: mAP, or None for an empty place}, and where."""

    row: str
    figures: dict
    source: str


def column(bits):
    return f"{bits} bits"


def over(bits, seeds, rows, schedule=None):
    """Every row of GPQ at every bit length and seed, by `schedule`; rows: {name: settings}."""
    return [Cell(row, column(b), {"method": "gpq", **settings, "n_book": BITS[b], "bn_word": 4, "seed": seed},
                 schedule=schedule or {})
            for row, settings in rows.items() for b in bits for seed in range(seeds)]


def over_vectors(bits, seeds, rows, hidden=HIDDEN):
    """`over`, by the schedule of vectors; hidden: {bits: the layers of F and their dropout}."""
    return [cell for b in bits for cell in over([b], seeds, rows, {**VECTOR_SCHEDULE, **hidden[b]})]


def from_start(bits, seeds, rows, given):
    """`over`, from random weights; or from the vectors or F that are given, by the short schedule that these have."""
    if path := given.get("embeddings"):
        return over_vectors(bits, seeds, rows, dict(VECTORS.values()).get(path, HIDDEN))
    start = given.get("ImagNet_pretrained_path")
    if not start:
        return over(bits, seeds, {row: {**settings, **SCRATCH} for row, settings in rows.items()})
    return over(bits, seeds, rows, dict(NETWORKS.values()).get(start, {}))


def at_each_length(figures, lengths=BITS):
    return dict(zip(map(column, lengths), figures, strict=True))
