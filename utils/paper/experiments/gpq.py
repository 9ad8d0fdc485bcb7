"""The tables and figures of GPQ's paper, with its baselines, and what ImageNet's knowledge is worth."""
from gpq.utils.paper.drawing import (
    draw_bars,
    draw_costs,
    draw_embedding,
    draw_lengths,
    draw_surface,
    draw_table,
    draw_voronoi,
)
from gpq.utils.paper.experiment import DEEP, SHALLOW, Experiment, pretrained, row, vectors

PAPER = {"follow": "paper"}
COSINE = {"decay": "cosine", "learning_rate": 1e-3, "precision": "bfloat16"}
SHORT = {**COSINE, "learning_rate": 3e-4, "batch_size": 100, "total_epochs": 4}  # 200 steps of 100 + 100 images
THOUSAND_STEPS = {"total_epochs": 20}  # of such batches
ON_VECTORS = {**COSINE, "total_epochs": 100}  # 1,000 steps of 500 + 500 vectors
CIFAR100 = pretrained("./models/CIFAR100_pretrained.mat")
STARTS = {"from scratch": {}, "F from CIFAR-100": CIFAR100}
PRETRAINED = "./models/ImageNet_pretrained.mat"
TAUGHT = "./models/ImageNet_taught.mat"
NETWORKS = {  # start: (row of `imagenet`, its schedule)
    "./models/CIFAR100_long.mat": ("modified VGG, F from CIFAR-100's labels, 30 epochs (no ImageNet)",
                                   {**SHORT, "learning_rate": 1e-3}),
    PRETRAINED: ("modified VGG, pretrained F", SHORT),
    "./models/ImageNet_distilled.mat": ("modified VGG, pretrained F, distilled twice as long", SHORT),
    "./models/ImageNet_distilled_both.mat": ("modified VGG, pretrained F, distilled on CIFAR-100's pictures first",
                                             SHORT),
    TAUGHT: ("modified VGG, taught F (beyond the paper)", {**SHORT, "learning_rate": 2e-4})}
NETWORK_SEEDS = 3  # at most; trainings on vectors take seconds
LITE2 = "cifar10_lite2.npz"
JOINED = "cifar10_lite0_lite1_lite2.npz"
VECTORS = {LITE2: "EfficientNet-Lite2's vectors",
           "cifar10_lite0_lite2.npz": "EfficientNet-Lite0's and Lite2's vectors, joined",
           JOINED: "EfficientNet-Lite0's, Lite1's and Lite2's vectors, joined"}
KNOWN = [tuple(sorted((first + k) % 10 for k in range(7))) for first in (0, 3, 6)]
F_WITHOUT_TABLE3_QUERIES = "./models/ImageNet_distilled_unseen.mat"
VECTORS_OF_KNOWN = {known: f"cifar10_lite2_known{''.join(map(str, known))}.npz" for known in KNOWN}
TABLE3_BASELINES = "ssdh", "ninh", "cnnh", "sdh", "itq", "lopq", "opq"
LAMBDAS = (0.0, 0.001, 0.01, 0.1, 1.0)
VARIANTS = {"GPQ": {}, "GPQ-F": {"backbone": "cnn_f"}, "GPQ-H": {"lam_1": 0.0, "lam_2": 0.0},
            "GPQ-T": {"metric_loss": "triplet"}}


def dense(bits):
    """F on vectors: a dense layer, and for codes of more than 12 bits a hidden one before it."""
    return {"hidden": (), "dropout": 0.5} if bits < 24 else {"hidden": (512,), "dropout": 0.7}


def start(given):
    """The settings of GPQ from the vectors or the F that are given, by their short schedule, or from random weights.

    Returns a list of parts for `row`.
    """
    if path := given.get("embeddings"):
        return [vectors(path), PAPER, ON_VECTORS, dense(12) if path == JOINED else dense]
    path = given.get("ImagNet_pretrained_path", "")
    return [pretrained(path), *([PAPER, NETWORKS[path][1]] if path in NETWORKS else [])]


def table2(bits, seeds, given):
    """GPQ, a classifier alone and the baselines, of the vectors that are given or of pictures and GIST."""
    if path := given.get("embeddings"):
        seen, of_gist, trained = "", "", [vectors(path), ON_VECTORS, dense]
        shallow, starts = vectors(path), {"": [*trained, dense(48)]}
        runs = row("GPQ", "gpq", bits, seeds, *trained, PAPER)
    else:
        seen, of_gist, trained = ", pretrained F", ", of GIST", [pretrained(PRETRAINED), SHORT]
        shallow = vectors("cifar10_gist.npz")
        starts = {**{f", {words}": [path] for words, path in STARTS.items()}, seen: trained}
        runs = [run for follow in ("release", "paper") for words, path in STARTS.items()
                for run in row(f"{follow} form, {words}", "gpq", bits, seeds, {"follow": follow}, path)]
        runs += row("GPQ, pretrained F", "gpq", bits, seeds, *trained, PAPER)
    ranked = {"by predicted class": "mAP", "by softmax inner product": "unquantised_mAP"}
    runs += [run for words, parts in starts.items() for by, measure in ranked.items()
             for run in row(f"classifier alone{words}", "classifier", [48], seeds, *parts, column=by, measure=measure)]
    runs += [run for method in DEEP for run in row(f"{method.upper()}{seen}", method, bits, seeds, *trained)]
    return runs + [run for method in SHALLOW
                   for run in row(f"{method.upper()}{of_gist}", method, bits, seeds, shallow)]


def table3(bits, seeds, given):
    """Three choices of known classes, or one more that is given, their mean, and the baselines, of pictures and of
    vectors, whose files say what is known."""
    def known(classes):
        return {"protocol": 2, "known_classes": classes, "n_CLASSES": len(classes)}

    def mean(runs, words):
        return [run._replace(row=f"mean over the three choices, {words}") for run in runs
                if run.settings["embeddings"] or run.settings["known_classes"] in KNOWN]

    scratch = [run for each in dict.fromkeys((*KNOWN, tuple(given.get("known_classes", KNOWN[0]))))
               for run in row(f"{each} known, from scratch", "gpq", bits, seeds, known(each))]
    first = row(f"{KNOWN[0]} known, F from CIFAR-100", "gpq", bits, seeds, known(KNOWN[0]), CIFAR100)
    distilled = [run for each in KNOWN for run in row(
        f"{each} known, distilled F", "gpq", bits, seeds, known(each), pretrained(F_WITHOUT_TABLE3_QUERIES), PAPER,
        SHORT, {"total_epochs": 1})]  # 210 steps
    parts = {each: [vectors(path), {"n_CLASSES": len(each)}] for each, path in VECTORS_OF_KNOWN.items()}
    on_vectors = [run for each in KNOWN for run in row(
        f"{each} known, EfficientNet-Lite2's vectors", "gpq", bits, seeds, *parts[each], PAPER, ON_VECTORS, dense)]
    baselines = [run for method in TABLE3_BASELINES for b in bits for each in KNOWN for run in row(
        f"{method.upper()}, EfficientNet-Lite2's vectors", method, [b], seeds, *parts[each],
        *([ON_VECTORS, dense] if method in DEEP else []))]
    return [*scratch, *mean(scratch, "from scratch"), *first, *distilled, *mean(distilled, "distilled F"), *on_vectors,
            *mean(on_vectors, "EfficientNet-Lite2's vectors"), *baselines]


def figure3(bits, seeds, given):
    """Variants of GPQ; GPQ-F is another F, so it has no runs where one is given."""
    one = given.get("embeddings") or given.get("ImagNet_pretrained_path")
    return [run for title, changes in VARIANTS.items() if not (one and "backbone" in changes)
            for run in row(title, "gpq", bits, seeds, *start(given), changes)]


def figure4(bits, seeds, given):
    """Rows weigh classification, columns entropy: the paper's lambda_1 and lambda_2, which the release swaps."""
    parts = start(given)
    form = row("", "gpq", [12], 1, *parts)[0].settings["follow"]
    one, two = ("lam_1", "lam_2") if given.get("follow", form) == "paper" else ("lam_2", "lam_1")
    return [run for b in bits for first in LAMBDAS for second in LAMBDAS for run in row(
        f"{b} bits, classification {first:g}", "gpq", [b], seeds, *parts, {one: first, two: second},
        column=f"entropy {second:g}")]


def figure5(bits, seeds, given):
    """The variants whose features are drawn."""
    return [run for title in ("GPQ-T", "GPQ-H", "GPQ")
            for run in row(title, "gpq", bits, seeds, *start(given), VARIANTS[title])]


def figure1(bits, seeds, given):
    """Codewords of two numbers."""
    return row("len_code 2", "gpq", bits, seeds, *start(given), {"len_code": 2})


def imagenet(bits, seeds, given):
    """Vectors of a network that ImageNet taught, and the paper's network, pretrained, by 200 steps and by 1,000."""
    path = given.get("embeddings")
    seen = {path: "the vectors given"} if path and path not in VECTORS else VECTORS
    some = min(seeds, NETWORK_SEEDS)
    return [*(run for path, title in seen.items()
              for run in row(title, "gpq", bits, seeds, *start({"embeddings": path}))),
            *(run for path, (title, _) in NETWORKS.items()
              for run in row(title, "gpq", bits, some, *start(pretrained(path)))),
            *(run for path, (title, _) in NETWORKS.items() for run in row(
                f"{title}, 1,000 steps", "gpq", [b for b in bits if b in (12, 48)], 1, *start(pretrained(path)),
                THOUSAND_STEPS))]


GPQ_PAPER = "GPQ (Jang and Cho, CVPR 2020)"
TABLE2 = Experiment(
    "CIFAR-10, protocol 1 (table 2)", table2, draw_lengths, ("method", "follow", "ImagNet_pretrained_path"),
    published=((GPQ_PAPER, "2"),),
    note="Each row says what it starts from; not all that is called pretrained F is one F. GPQ by the short schedule "
         "from the F of PQN's row, one training each that was not kept: 0.7670 at 12 bits and 0.8162 at 48 "
         "(pretrained.txt). Classifier alone: F and a softmax layer, trained on the labelled images only (Sablayrolles "
         "et al., How should we evaluate supervised hashing?, ICASSP 2017). Its code is the class that it predicts, 4 "
         "bits, so there is no length to vary; both of its columns are of the same trainings. The shallow methods are "
         "fitted to the labelled images. The deep baselines are trained on them (SSDH and BGDH, as GPQ, on the "
         "unlabelled ones too), all by the short schedule; the paper's figures of these come from other protocols and "
         "networks, and nothing is tuned to them. The paper's PQ, OPQ and LOPQ cannot be of GIST: ranked by GIST "
         "itself, nothing quantised, the gallery reaches 0.17. Of PQN, DTQ, SSDH and NINH on cifar10_lite2.npz the "
         "trainings of seeds 1 and 2 drew which images are compared as seed 0 did, so that the deviations of these "
         "rows are too small. Our row of NUS-WIDE waits for nuswide_labels81.npz, nuswide_21_m_train.txt, "
         "nuswide_21_m_test.txt and images/, which docs/baselines.md describes.")
FIGURES = {
    "figure1": Experiment("Voronoi cells of a codebook (lower figure 1)", figure1, draw_voronoi, ("method",),
                          bits=(48,), seeds=1),
    "figure3": Experiment("Variants of GPQ, protocol 1 (figure 3)", figure3, draw_bars,
                          ("method", "backbone", "lam_1", "lam_2", "metric_loss")),
    "figure4": Experiment("The two lambdas, protocol 1 (figure 4)", figure4, draw_surface,
                          ("method", "lam_1", "lam_2"), bits=(12, 48), seeds=1),
    "figure5": Experiment("t-SNE of features (figure 5)", figure5, draw_embedding,
                          ("method", "lam_1", "lam_2", "metric_loss"), bits=(48,), seeds=1)}
EXPERIMENTS = {
    "table2": TABLE2,
    "table2-vectors": TABLE2._replace(title="Table 2 on EfficientNet-Lite2's vectors", given=vectors(LITE2)),
    "table2-short": TABLE2._replace(title="Table 2 by a fifteenth of the schedule", given={
        "batch_size": 100, "decay_steps": 20, "learning_rate": 0.001, "total_epochs": 20}),
    "table3": Experiment(
        "CIFAR-10, protocol 2, three unseen classes (table 3)", table3, draw_table,
        ("method", "ImagNet_pretrained_path", "embeddings", "dataset", "backbone", "protocol", "known_classes",
         "n_CLASSES"),
        published=((GPQ_PAPER, "3"),),
        note="EfficientNet-Lite learned from ImageNet, whose classes include CIFAR-10's, the unseen ones too; so did "
             "the paper's F before it was trained. The distilled F learned the probabilities that EfficientNet-Lite2 "
             "gives images of CIFAR-10, without labels, and saw none that is a query here. The baselines' rows are "
             "means over the three choices. The paper's OPQ and LOPQ are at chance, 0.100, though methods that see no "
             "labels should find unseen classes about as well as known ones. SSGAH is left out, docs/baselines.md says "
             "why."),
    **FIGURES,
    **{f"{name}-vectors": each._replace(title=f"{each.title[:-1]}, on vectors)", given=vectors(LITE2))
       for name, each in FIGURES.items()},
    **{f"{name}-taught": each._replace(title=f"{each.title[:-1]}, taught F)", given=pretrained(TAUGHT))
       for name, each in FIGURES.items() if name != "figure4"},
    "imagenet": Experiment(
        "ImageNet's knowledge, protocol 1", imagenet, draw_costs,
        ("method", "ImagNet_pretrained_path", "embeddings", "dataset", "backbone"), seeds=5,
        published=((GPQ_PAPER, "2", "CIFAR-10", "GPQ"),),
        note="ImageNet's classes include CIFAR-10's; the paper's F starts from ImageNet too. The vectors are what "
             "EfficientNet-Lite, trained on ImageNet, sees in each image enlarged to 224 x 224, and F is a small "
             "network on them. The taught F learned pseudo-labels of unlabelled images, which a classifier on such "
             "vectors gave after it had seen the 5,000 labels. Each row has a short schedule of its own, as its runs "
             "say.")}
