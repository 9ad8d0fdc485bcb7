"""WSDHQ with its controls on Corel5k, and CIFAR-10's codes by tags, by a few labels and by neither."""
from gpq.utils.paper.drawing import draw_longest, draw_table
from gpq.utils.paper.experiment import Experiment, row, vectors
from gpq.utils.paper.experiments import gpq
from gpq.utils.paper.experiments.spq import ON_VECTORS as SPQ_ON_VECTORS

BITS = 8, 16, 24, 32
# Schedules chosen by held-back training images, see docs/wsdhq.md; the first has the release's 800 steps.
FAST = {"learning_rate": 1e-3}
OF_WORDS = {"iterations": 1500, "learning_rate": 1e-3, "hidden": (512,), "dropout": 0.5, "dimension": 50,
            "without_hits": "zero"}
FEW_LABELS = {**gpq.ON_VECTORS, "total_epochs": 200}  # 1,000 steps where themes are the truth, else 200
COREL5K = {"themes": ("corel5k.npz", 50, 100), "keywords": ("corel5k_keywords.npz", 10, 90)}  # file, classes, batch
PHOTOGRAPHS = {"dataset": "corel5k", "data_dir": "corel5k", "image_size": 256, "n_CLASSES": 50, "batch_size": 64,
               "backbone": "efficientnet_lite0", "input_side": 160}
ORTHOGONAL = "random orthogonal tag vectors"
CONTROLS = {  # python -m utils.data.tags makes the files
    "themes": {"themes as tags (upper bound)": {"tags": "corel5k_labels.npz"},
               ORTHOGONAL: {"tags": "corel5k_orthogonal.npz"}, "fixed margin of 0.7": {"margin_rule": "fixed"},
               "tags not merged": {"tags": "corel5k_unmerged.npz"}},
    "keywords": {ORTHOGONAL: {"tags": "corel5k_keywords_orthogonal.npz"}}}
FITTED = {"PQ": ("pq", {}), "ITQ": ("itq", {}), "SDH": ("sdh", {"n_anchors": 96})}  # of the pictures that GPQ sees
MEASURES = {"AQD": "mAP", "SQD": "symmetric_mAP", "features not quantised": "unquantised_mAP"}
LISTS = {"flickr25k": ("Flickr25K", 800), "nus-wide": ("NUS-WIDE", 1500)}  # title, steps
PROTOCOLS = {"GPQ's protocol": ("cifar10_tags.npz", 54_000), "SPQ's protocol": ("cifar10_tags_protocol3.npz", 1000)}
CIFAR10 = {  # row: (method, settings)
    "GPQ, 500 labels a class": ("gpq", [gpq.PAPER, gpq.ON_VECTORS, gpq.dense]),
    "WSDHQ, search words as tags": ("wsdhq", [OF_WORDS]), "SPQ, neither": ("spq", [SPQ_ON_VECTORS])}


def of_corel5k(truth, bits, seeds):
    """WSDHQ, its controls, WDHT and GPQ by one truth; by keywords, of which a picture has several, three of table 2's
    baselines too."""
    path, classes, batch = COREL5K[truth]
    rows = [*((f"WSDHQ, {how}", "wsdhq", [FAST], measure) for how, measure in MEASURES.items()),
            *((f"WSDHQ, {how}", "wsdhq", [FAST, changes], "mAP") for how, changes in CONTROLS[truth].items()),
            ("WDHT", "wdht", [FAST], "mAP"),
            ("GPQ, ten labelled pictures of each", "gpq",
             [gpq.PAPER, FEW_LABELS, {"batch_size": batch}, gpq.dense], "mAP"),
            *((title, method, [changes], "mAP") for title, (method, changes) in FITTED.items() if truth == "keywords")]
    return [run for title, method, parts, measure in rows for run in row(
        f"{truth}: {title}", method, bits, seeds, vectors(path), {"n_CLASSES": classes}, *parts, measure=measure)]


def wsdhq(bits, seeds, given):
    """Corel5k by both of its truths and from its photographs, once, and the sets of WSDHQ's paper, whose files few
    people have, as its release trains on them."""
    photographs = [run for how, freeze in (("EfficientNet-Lite0 fine-tuned", False), ("its last layer alone", True))
                   for run in row(f"themes: WSDHQ of the photographs, {how}, AQD", "wsdhq",
                                  [b for b in bits if b == 32], 1, PHOTOGRAPHS, {"freeze": freeze})]
    lists = [run for name, (title, steps) in LISTS.items() for run in row(
        f"{title}: WSDHQ, AQD; waits for data/{name}/ and alexnet.npy", "wsdhq", bits, 1,
        {"dataset": name, "data_dir": ".", "backbone": "alexnet", "image_size": 256, "iterations": steps,
         "ImagNet_pretrained_path": "alexnet.npy"})]
    return [*(run for truth in COREL5K for run in of_corel5k(truth, bits, seeds)), *photographs, *lists]


def compare(bits, seeds, given):
    """CIFAR-10 by two protocols; all ranks count in GPQ's, a thousand in SPQ's."""
    return [run for protocol, (path, ranks) in PROTOCOLS.items() for title, (method, parts) in CIFAR10.items()
            for more, measure in (("", "mAP"), (", features not quantised", "unquantised_mAP"))
            for run in row(f"{protocol}: {title}{more}", method, bits, seeds, vectors(path), *parts, {"n_DB": ranks},
                           measure=measure)]


EXPERIMENTS = {
    "wsdhq": Experiment(
        "WSDHQ and its controls on Corel5k, from people's tags", wsdhq, draw_longest,
        ("method", "embeddings", "dataset", "backbone", "ImagNet_pretrained_path", "tags", "margin_rule", "freeze",
         "n_CLASSES"),
        BITS, BITS, method="wsdhq", published=(("WSDHQ (Wang et al., AAAI 2021)", ""),),
        note="Vectors of EfficientNet-Lite2, which ImageNet taught; 499 test pictures ask 4,500. Themes: pictures of "
             "one CD are alike, and all keywords are tags. Keywords: pictures that share one of the ten commonest are "
             "alike, and the others are tags. GPQ knows the label of ten pictures of each theme or keyword, and no "
             "tags. Flickr25K and NUS-WIDE wait for files of WSDHQ's authors: data.tar.gz, unpacked, and alexnet.npy. "
             "The random orthogonal vectors were drawn once, so that the deviations of these rows are those of "
             "training alone."),
    "compare": Experiment(
        "Weakly, semi- and self-supervised codes of CIFAR-10", compare, draw_table,
        ("method", "embeddings", "n_DB"), (16, 32), (16, 32), method="wsdhq",
        note="All on the same vectors of EfficientNet-Lite2, which ImageNet taught. GPQ's protocol: 1,000 queries, "
             "54,000 images, all ranks count. SPQ's: 10,000 test images, 50,000 training images, a thousand ranks "
             "count. GPQ learns from 5,000 labels and all images, WSDHQ from the word that was typed to find each, SPQ "
             "from images alone. The words are no weak labels in the usual sense: people took out what did not show "
             "the class, and all words but one are of one class. What is weak is that nobody tells which of them "
             "belong together.")}
