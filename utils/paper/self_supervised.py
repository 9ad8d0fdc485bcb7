"""Cells of self-supervision: SPQ by its own protocol, and beside GPQ."""
from utils.paper import weakly
from utils.paper.rows import Cell, Published, at_each_length, column, from_start

BOOKS = {16: 4, 32: 8, 64: 16}  # bits: codebooks of SPQ
RESNET = {"ImagNet_pretrained_path": "./models/ImageNet_resnet18.mat"}
ROWS = {
    "SPQ, batch normalisation frozen after the first measurement (release)": {},
    "SPQ, batch normalisation never frozen": {"bn_after_eval": "train"},
    "SPQ-C": {"variant": "spq_c"}, "SPQ-H": {"variant": "spq_h"}}
BRIEF = {"bn_after_eval": "train", "decay": "cosine", "eval_term": 1, "save_term": 1}
BRIEF_ROWS = {"SPQ, 4 epochs": ({}, 4), "SPQ-S, pretrained F, 2 epochs": (RESNET, 2)}  # settings, epochs
PAPER = ("Jang and Cho, Self-supervised Product Quantization for Deep Unsupervised Image Retrieval, ICCV 2021, "
         "which was not at hand: 0.793 as its authors repeat it (github.com/youngkyunJang/SPQ, issue 6), 0.812 as "
         "a summary of it says, 0.768 from memory, unchecked; best of the evaluations on the queries, of more than "
         "2,000 epochs")


def rerun(mean_ap, number, how):
    """A row of SPQ's release as somebody else ran it."""
    return Published(f"the release, run by others, {how}", {column(32): mean_ap},
                     f"github.com/youngkyunJang/SPQ, issue {number}; best of the evaluations on the queries")


PUBLISHED = (
    Published("the paper", at_each_length((0.768, 0.793, 0.812), BOOKS), PAPER), rerun(0.7747, 6, "5,000 epochs"),
    rerun(0.7728, 6, "4,500 epochs"), rerun(0.7673, 7, "2,800 epochs"),
    rerun(0.7842, 7, "3,800 epochs, pinned versions"))


def over_spq(bits, seeds, rows):
    """Every row of SPQ at every bit length and seed; rows: {name: settings}."""
    return [Cell(row, column(b), {"method": "spq", **settings, "N_books": BOOKS[b], "N_words": 16, "seed": seed})
            for row, settings in rows.items() for b in bits for seed in range(seeds)]


def spq(bits, seeds, given):
    """The ablations of SPQ's paper, of which SPQ-Q has one codebook and so a length of its own; and what a few epochs
    of a rate that falls to 0 come to, in bfloat16."""
    plain = [Cell("SPQ-Q, one codebook of 256 words", column(8),
                  {"method": "spq", "variant": "spq_q", "N_books": 8, "N_words": 256, "seed": seed})
             for seed in range(seeds)]
    brief = [cell._replace(schedule={**BRIEF, "total_epochs": epochs})
             for row, (settings, epochs) in BRIEF_ROWS.items()
             for cell in over_spq(bits, seeds, {row: {"precision": "bfloat16", **settings}})]
    return [*over_spq(bits, seeds, ROWS), *plain, *brief]


def both(bits, seeds, given):
    """GPQ and SPQ on the same images, all ranks counted for both, from random weights or on the vectors given."""
    vectors = given.get("embeddings")
    alone = over_spq(bits, seeds, {"SPQ, no labels": {"n_DB": 54_000, **({} if vectors else {"protocol": 1})}})
    return [*from_start(bits, seeds, {"GPQ, a tenth of the images labelled": {}}, given),
            *(cell._replace(schedule=weakly.SELF_SCHEDULE if vectors else {}) for cell in alone)]
