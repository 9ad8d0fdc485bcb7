"""Which cells make each table and figure of the paper, and what the paper says there."""
from collections.abc import Callable
from typing import NamedTuple

from config import GPQ
from utils.paper import self_supervised, weakly
from utils.paper.baselines import (
    DEEP,
    NUS_WIDE,
    NUS_WIDE_FILES,
    SHALLOW,
    SSGAH,
    TABLE3,
    WHOSE,
    deep,
    of_unseen,
    shallow,
    short,
)
from utils.paper.drawing import (
    draw_bars,
    draw_both,
    draw_costs,
    draw_embedding,
    draw_lengths,
    draw_longest,
    draw_surface,
    draw_table,
    draw_voronoi,
)
from utils.paper.rows import (
    BITS,
    HIDDEN,
    KNOWN,
    LONGER,
    NETWORK_SEEDS,
    NETWORKS,
    PRETRAINED_SCHEDULE,
    SCRATCH,
    SPARED,
    UNSEEN,
    VECTORS,
    Cell,
    Published,
    at_each_length,
    from_start,
    over,
    over_vectors,
)

LAMBDAS = (0.0, 0.001, 0.01, 0.1, 1.0)
CIFAR100 = {"ImagNet_pretrained_path": "./models/CIFAR100_pretrained.mat"}
STARTS = {"from scratch": SCRATCH, "F from CIFAR-100": CIFAR100}
VARIANTS = {"GPQ": {}, "GPQ-F": {"backbone": "cnn_f"}, "GPQ-H": {"lam_1": 0.0, "lam_2": 0.0},
            "GPQ-T": {"metric_loss": "triplet"}}
PAPER = "Jang and Cho, Generalized Product Quantization Network for Semi-supervised Image Retrieval, CVPR 2020"


def table2(bits, seeds, given):
    """GPQ, a classifier alone and the baselines; of vectors, where some are given, all of them. Else GPQ by the
    release's schedule from two starts, by a short one from the F that the deep baselines start from too, and the
    shallow ones of GIST."""
    seen, start, schedule = short(48, given)
    starts = {seen: (start, schedule)}
    if given.get("embeddings"):
        gpq = over_vectors(bits, seeds, {"GPQ": {}})
    else:
        forms = {f"{follow} form, {start}": {"follow": follow, **path} for follow in ("release", "paper")
                 for start, path in STARTS.items()}
        gpq = [*over(bits, seeds, forms), *from_start(bits, seeds, {f"GPQ{seen}": start}, start)]
        starts = {**{f", {words}": (path, {}) for words, path in STARTS.items()}, **starts}
    ranked = {"by predicted class": "mAP", "by softmax inner product": "unquantised_mAP"}
    alone = [Cell(f"classifier alone{start}", by, {"method": "classifier", **path, "seed": seed}, measure, schedule)
             for start, (path, schedule) in starts.items() for by, measure in ranked.items() for seed in range(seeds)]
    return [*gpq, *alone, *deep(bits, seeds, given), *shallow(bits, seeds, given)]


def table3(bits, seeds, given):
    """Three choices of known classes, and the one given; the mean of the three; what pretraining does to the first; and
    the three and their mean from the distilled F, by its short schedule, and on vectors, whose files say what is known.
    """
    unseen = {known: {"protocol": 2, "known_classes": known, "n_CLASSES": len(known)}
              for known in (*KNOWN, given.get("known_classes", KNOWN[0]))}
    scratch = over(bits, seeds, {f"{known} known, from scratch": {**settings, **SCRATCH}
                                 for known, settings in unseen.items()})
    chosen = [cell for cell in scratch if cell.settings["known_classes"] in KNOWN]
    first = {f"{KNOWN[0]} known, F from CIFAR-100": {**unseen[KNOWN[0]], **CIFAR100}}
    distilled = over(bits, seeds, {
        f"{known} known, distilled F": {**unseen[known], "ImagNet_pretrained_path": SPARED} for known in KNOWN},
        {**PRETRAINED_SCHEDULE, "total_epochs": 1})  # 210 steps
    vectors = over_vectors(bits, seeds, {
        f"{known} known, EfficientNet-Lite2's vectors":
            {"embeddings": path, "n_CLASSES": len(known), **GPQ.implied({"embeddings": path})}
        for known, path in UNSEEN.items()})
    return [*scratch, *mean(chosen, "from scratch"), *over(bits, seeds, first),
            *distilled, *mean(distilled, "distilled F"), *vectors, *mean(vectors, "EfficientNet-Lite2's vectors"),
            *of_unseen(bits, seeds)]


def mean(cells, start):
    """The same cells in the row of table 3 that is their mean."""
    return [cell._replace(row=f"mean over the three choices, {start}") for cell in cells]


def figure3(bits, seeds, given):
    """GPQ-F is another F, so it has no cells where one is given."""
    given_f = given.get("embeddings") or given.get("ImagNet_pretrained_path")
    return from_start(bits, seeds, {row: settings for row, settings in VARIANTS.items()
                                    if not (given_f and "backbone" in settings)}, given)


def figure4(bits, seeds, given):
    """Rows weigh classification, columns entropy: the paper's lambda_1 and lambda_2."""
    classification, entropy = GPQ.lambdas(given.get("follow", "release"))
    return [cell._replace(row=f"{b} bits, classification {one:g}", column=f"entropy {two:g}")
            for b in bits for one in LAMBDAS for two in LAMBDAS
            for cell in from_start([b], seeds, {"": {classification: one, entropy: two}}, given)]


def figure5(bits, seeds, given):
    return from_start(bits, seeds, {row: VARIANTS[row] for row in ("GPQ-T", "GPQ-H", "GPQ")}, given)


def figure1(bits, seeds, given):
    return from_start(bits, seeds, {"len_code 2": {"len_code": 2}}, given)


def imagenet(bits, seeds, given):
    """What ImageNet knows: vectors of a network trained on it, and the paper's network, pretrained, by a short schedule
    and at two lengths by a longer one."""
    path = given.get("embeddings")
    own = path and path not in dict(VECTORS.values())
    vectors = {"the vectors given": (path, HIDDEN)} if own else VECTORS
    networks = [(row, path, schedule, bits, min(seeds, NETWORK_SEEDS)) for row, (path, schedule) in NETWORKS.items()]
    longer = [(f"{row}, 1,000 steps", path, {**schedule, **LONGER}, [b for b in bits if b in (12, 48)], 1)
              for row, (path, schedule) in NETWORKS.items()]
    return [*(cell for row, (path, hidden) in vectors.items() for cell in over_vectors(
                bits, seeds, {row: {"embeddings": path, **GPQ.implied({"embeddings": path})}}, hidden)),
            *(cell for row, path, schedule, lengths, count in (*networks, *longer)
              for cell in over(lengths, count, {row: {"ImagNet_pretrained_path": path}}, schedule))]


class Experiment(NamedTuple):
    """A table or figure.

    `cells(bits, seeds, given)` lists the `Cell`s that it is made of under the settings `given` of `method`. `draw(path,
    grid)` draws it from {(row, column): [cells.Kept]}, not all empty, and returns further lines of Markdown.
    `lengths`: {bits that may be asked for: codebooks}, `bits`: those that are where none are named. `published`: the
    rows that papers print. `note`: what a reader of the table must know besides.
    """

    title: str
    cells: Callable
    draw: Callable
    bits: tuple = tuple(BITS)
    seeds: int = 3
    published: tuple = ()
    note: str = ""
    method: str = "gpq"
    lengths: dict = BITS


def printed(figures, where, whose):
    """The rows that the paper prints of baselines; figures: {method: mAP at BITS}, where: in the paper, whose: {method:
    whose these are, in words}."""
    return [Published(f"{method.upper()}, the paper", at_each_length(each), f"{PAPER}, {where}, {whose[method]}")
            for method, each in figures.items()]


def on_nus_wide():
    """Table 2's column of NUS-WIDE: the rows that the paper prints, and an empty one."""
    files = f"waits for {', '.join(NUS_WIDE_FILES)}, which docs/baselines.md describes"
    rows = [*((f"{method.upper()} on NUS-WIDE, the paper", figures, f"{PAPER}, table 2")
              for method, figures in NUS_WIDE.items()), ("ours on NUS-WIDE", [None] * len(BITS), files)]
    return [Published(row, {f"NUS-WIDE, {bits}": figure for bits, figure in at_each_length(figures).items()}, source)
            for row, figures, source in rows]


TABLE2 = Published("the paper", at_each_length((0.858, 0.869, 0.878, 0.883)), f"{PAPER}, table 2")
EXPERIMENTS = {
    "table2": Experiment(
        "CIFAR-10, protocol 1 (table 2)", table2, draw_lengths,
        published=(TABLE2, *printed({**SHALLOW, **DEEP, "ssgah": SSGAH}, "table 2", WHOSE), *on_nus_wide()),
        note="Classifier alone: F and a softmax layer, trained on the labelled images only (Sablayrolles et al., How "
             "should we evaluate supervised hashing?, ICASSP 2017). Its code is the class that it predicts, 4 bits, so "
             "there is no length to vary; both of its columns are of the same trainings. The shallow methods are "
             "fitted to the labelled images. The deep baselines are trained on them (SSDH and BGDH, as GPQ, on the "
             "unlabelled ones too), all by the short schedule that GPQ has from the same start; the paper's figures of "
             "these come from other protocols and networks, and nothing is tuned to them. The paper's PQ, OPQ and LOPQ "
             "cannot be of GIST: ranked by GIST itself, nothing quantised, the gallery reaches 0.17. Of PQN, DTQ, SSDH "
             "and NINH on cifar10_lite2.npz the trainings of seeds 1 and 2 drew which images are compared as seed 0 "
             "did, so that the deviations of these rows are too small."),
    "table3": Experiment(
        "CIFAR-10, protocol 2, three unseen classes (table 3)", table3, draw_table,
        published=(Published("the paper", at_each_length((0.321, 0.333, 0.350, 0.358)), f"{PAPER}, table 3"),
                   *printed(TABLE3, "table 3", dict.fromkeys(
                       TABLE3, "from memory, unchecked, those of SSGAH's paper on unseen classes"))),
        note="EfficientNet-Lite learned from ImageNet, whose classes include CIFAR-10's, the unseen ones too; so did "
             "the paper's F before it was trained. The distilled F learned the probabilities that EfficientNet-Lite2 "
             "gives images of CIFAR-10, without labels, and saw none that is a query here. The baselines' rows are "
             "means over the three choices. The paper's OPQ and LOPQ are at chance, 0.100, though methods that see no "
             "labels should find unseen classes about as well as known ones. SSGAH is left out, docs/baselines.md says "
             "why."),
    "figure3": Experiment("Variants of GPQ, protocol 1 (figure 3)", figure3, draw_bars),
    "figure4": Experiment("Sensitivity to the two lambdas, protocol 1 (figure 4)", figure4, draw_surface, (12, 48), 1),
    "figure5": Experiment("t-SNE of features (figure 5)", figure5, draw_embedding, (48,), 1),
    "figure1": Experiment("Voronoi cells of a codebook (lower figure 1)", figure1, draw_voronoi, (48,), 1),
    "imagenet": Experiment(
        "ImageNet's knowledge, protocol 1", imagenet, draw_costs, seeds=5, published=(TABLE2,),
        note="ImageNet's classes include CIFAR-10's; the paper's F starts from ImageNet too. The vectors are what "
             "EfficientNet-Lite, trained on ImageNet, sees in each image enlarged to 224 x 224, and F is a small "
             "network on them. The taught F learned pseudo-labels of unlabelled images, which a classifier on such "
             "vectors gave after it had seen the 5,000 labels. Each row has a short schedule of its own; the cells' "
             "commands say it."),
    "spq": Experiment(
        "SPQ on CIFAR-10, its own protocol, mAP@1000", self_supervised.spq, draw_table, tuple(self_supervised.BOOKS),
        1, method="spq", lengths=self_supervised.BOOKS, published=self_supervised.PUBLISHED,
        note="206 epochs a training where the row says no other number, just past the first zero of the learning rate; "
             "the last epoch counts, and nothing is chosen by the queries. SPQ-S starts from F as it learned, of the "
             "training images alone, what EfficientNet-Lite2, which ImageNet taught, sees in them; docs/spq.md says "
             "how. The paper's starts from ImageNet's labels."),
    "both": Experiment(
        "GPQ and SPQ side by side on CIFAR-10, protocol 1", self_supervised.both, draw_both, (32,), 1,
        method="spq", lengths={32: self_supervised.BOOKS[32]},
        note="GPQ learns from 5,000 labelled images and 54,000 others, SPQ from all 59,000 without labels."),
    "wsdhq": Experiment(
        "WSDHQ and its controls on Corel5k, from people's tags", weakly.wsdhq, draw_longest, tuple(weakly.ADDED),
        method="wsdhq", lengths=weakly.ADDED, published=weakly.PUBLISHED,
        note="Vectors of EfficientNet-Lite2, which ImageNet taught; 499 test pictures ask 4,500. Themes: pictures of "
             "one CD are alike, and all keywords are tags. Keywords: pictures that share one of the ten commonest are "
             "alike, and the others are tags. GPQ knows the label of ten pictures of each theme or keyword, and no "
             "tags. Flickr25K and NUS-WIDE wait for files of WSDHQ's authors: data.tar.gz, unpacked, and alexnet.npy. "
             "The random orthogonal vectors were drawn once, so that the deviations of these rows are those of "
             "training alone."),
    "compare": Experiment(
        "Weakly, semi- and self-supervised codes of CIFAR-10", weakly.compare, draw_table, tuple(weakly.SHARED),
        method="wsdhq", lengths=weakly.SHARED,
        note="All on the same vectors of EfficientNet-Lite2, which ImageNet taught. GPQ's protocol: 1,000 queries, "
             "54,000 images, all ranks count. SPQ's: 10,000 test images, 50,000 training images, a thousand ranks "
             "count. GPQ learns from 5,000 labels and all images, WSDHQ from the word that was typed to find each, SPQ "
             "from images alone. The words are no weak labels in the usual sense: people took out what did not show "
             "the class, and all words but one are of one class. What is weak is that nobody tells which of them "
             "belong together."),
}
