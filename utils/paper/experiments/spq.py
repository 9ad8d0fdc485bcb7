"""SPQ by its own protocol, with its paper's ablations, and beside GPQ."""
from gpq.utils.paper.drawing import draw_both, draw_table
from gpq.utils.paper.experiment import Experiment, pretrained, row, vectors
from gpq.utils.paper.experiments.gpq import LITE2, start

BITS = 16, 32, 64
ROWS = {
    "SPQ, batch normalisation frozen after the first measurement (release)": {},
    "SPQ, batch normalisation never frozen": {"bn_after_eval": "train"},
    "SPQ-C": {"variant": "spq_c"}, "SPQ-H": {"variant": "spq_h"}}
BRIEF = {"bn_after_eval": "train", "decay": "cosine", "eval_term": 1, "precision": "bfloat16"}
ON_VECTORS = {"decay": "cosine", "learning_rate": 1e-3, "total_epochs": 8, "eval_term": 0, "dropout": 0.5}


def spq(bits, seeds, given):
    """The ablations of SPQ's paper, of which SPQ-Q has one codebook and so a length of its own, and a few epochs of a
    rate that falls to 0."""
    return [*(run for title, changes in ROWS.items() for run in row(title, "spq", bits, seeds, changes)),
            *row("SPQ-Q, one codebook of 256 words", "spq", [8], seeds,
                 {"variant": "spq_q", "N_books": 8, "N_words": 256}),
            *row("SPQ, 4 epochs", "spq", bits, seeds, BRIEF, {"total_epochs": 4}),
            *row("SPQ-S, pretrained F, 2 epochs", "spq", bits, seeds, BRIEF, {"total_epochs": 2},
                 pretrained("./models/ImageNet_resnet18.mat"))]


def both(bits, seeds, given):
    """GPQ and SPQ on the same images, all ranks counted for both, from random weights or on the vectors given."""
    path = given.get("embeddings")
    alone = [vectors(path), ON_VECTORS] if path else [{"protocol": 1}]
    return [*row("GPQ, a tenth of the images labelled", "gpq", bits, seeds, *start(given)),
            *row("SPQ, no labels", "spq", bits, seeds, {"n_DB": 54_000}, *alone)]


BOTH = Experiment("GPQ and SPQ side by side on CIFAR-10, protocol 1", both, draw_both, ("method",), (32,), (32,), 1,
                  method="spq",
                  note="GPQ learns from 5,000 labelled images and 54,000 others, SPQ from all 59,000 without labels.")
EXPERIMENTS = {
    "spq": Experiment(
        "SPQ on CIFAR-10, its own protocol, mAP@1000", spq, draw_table,
        ("method", "bn_after_eval", "variant", "ImagNet_pretrained_path"), BITS, BITS, 1, method="spq",
        published=(("SPQ (Jang and Cho, ICCV 2021)", ""),),
        note="206 epochs a training where the row says no other number, just past the first zero of the learning rate; "
             "the last epoch counts, and nothing is chosen by the queries. SPQ-S starts from F as it learned, of the "
             "training images alone, what EfficientNet-Lite2, which ImageNet taught, sees in them; docs/spq.md says "
             "how. The paper's starts from ImageNet's labels."),
    "both": BOTH,
    "both-vectors": BOTH._replace(title="GPQ and SPQ side by side on vectors", given=vectors(LITE2))}
