"""Cells of weak supervision: WSDHQ with its controls on Corel5k, and codes of CIFAR-10 learned from tags, from a few
labels and from neither. Where no network is named they are codes of EfficientNet-Lite2's vectors."""
from config import GPQ
from utils.paper.rows import HIDDEN, VECTOR_SCHEDULE, Cell, Published, at_each_length, column

ADDED = {8: 1, 16: 2, 24: 3, 32: 4}  # bits: codebooks of WSDHQ
SHARED = {16: 2, 32: 4}  # those that GPQ, SPQ and WSDHQ have
# Chosen by held-back training images, see docs/wsdhq.md.
WEAK_SCHEDULE = {"learning_rate": 1e-3}  # and the 800 steps of the release
WORDS_SCHEDULE = {"iterations": 1500, "learning_rate": 1e-3, "hidden": (512,), "dropout": 0.5}
SELF_SCHEDULE = {"decay": "cosine", "learning_rate": 1e-3, "total_epochs": 8, "eval_term": 0, "dropout": 0.5}
FEW_LABELS = {**VECTOR_SCHEDULE, "total_epochs": 200}  # 1,000 steps too where themes are the truth, else 200
COREL = {"themes": ("corel5k.npz", 50, 100), "keywords": ("corel5k_keywords.npz", 10, 90)}  # of GPQ too: its batch
PHOTOGRAPHS = {"data_dir": "corel5k", "batch_size": 64, "input_side": 160}  # and the release's rate and 800 steps
ORTHOGONAL = "random orthogonal tag vectors"
CONTROLS = {  # of WSDHQ, by the truth; python -m utils.data.tags makes the files
    "themes": {"themes as tags (upper bound)": {"tags": "corel5k_labels.npz"},
               ORTHOGONAL: {"tags": "corel5k_orthogonal.npz"}, "fixed margin of 0.7": {"margin_rule": "fixed"},
               "tags not merged": {"tags": "corel5k_unmerged.npz"}},
    "keywords": {ORTHOGONAL: {"tags": "corel5k_keywords_orthogonal.npz"}}}
FITTED = {  # several labels a picture; the supervised ones see the labels that GPQ sees, on 96 pictures
    "PQ": {"method": "pq"}, "ITQ": {"method": "itq"}, "SDH": {"method": "sdh", "n_anchors": 96}}
MEASURES = {"AQD": "mAP", "SQD": "symmetric_mAP", "features not quantised": "unquantised_mAP"}
LISTS = {"flickr25k": ("Flickr25K", 800), "nus-wide": ("NUS-WIDE", 1500)}  # title, steps
PAPER = ("Wang et al., Weakly Supervised Deep Hyperspherical Quantization for Image Retrieval, AAAI 2021, as a summary "
         "of it says, mAP@5000")
RERUNS = {  # at 8, 16, 24 and 32 bits
    ("flickr25k", "AQD"): (0.7661, 0.7548, 0.7653, 0.7665), ("flickr25k", "SQD"): (0.7651, 0.7531, 0.7639, 0.7672),
    ("flickr25k", "features not quantised"): (0.7666, 0.7564, 0.7677, 0.7707),
    ("nus-wide", "AQD"): (0.7167, 0.7269, 0.7304, 0.7292), ("nus-wide", "SQD"): (0.7076, 0.7246, 0.7278, 0.7276),
    ("nus-wide", "features not quantised"): (0.7196, 0.7303, 0.7316, 0.7312)}
PUBLISHED = (
    *(Published(f"{LISTS[name][0]}: WSDHQ, the paper", {column(32): figure}, PAPER)
      for name, figure in (("flickr25k", 0.772), ("nus-wide", 0.731))),
    *(Published(f"{LISTS[name][0]}: WSDHQ, {how}, its authors' rerun", at_each_length(figures, ADDED),
                "github.com/gimpong/AAAI21-WSDHQ, README, mAP@5000") for (name, how), figures in RERUNS.items()))
PROTOCOLS = {"GPQ's protocol": ("cifar10_tags.npz", 54_000), "SPQ's protocol": ("cifar10_tags_protocol3.npz", 1000)}
SUPERVISED = {  # CIFAR-10's rows: settings, schedule
    "GPQ, 500 labels a class": ({"method": "gpq"}, VECTOR_SCHEDULE),
    "WSDHQ, search words as tags": ({"method": "wsdhq", "dimension": 50, "without_hits": "zero"}, WORDS_SCHEDULE),
    "SPQ, neither": ({"method": "spq"}, SELF_SCHEDULE)}


def books(method, bits):
    """The settings by which the codes of a method have so many bits."""
    if method == "spq":
        return {"N_books": bits // 4, "N_words": 16}
    if method in ("pq", "itq", "sdh"):
        return {"n_bits": bits}
    return {"n_book": ADDED[bits], "bn_word": 8} if method in ("wsdhq", "wdht") else {"n_book": bits // 4, "bn_word": 4}


def of_vectors(row, path, bits, seeds, settings, schedule, measure="mAP"):
    """A row of codes of the vectors at `path`; settings: `method` among them."""
    method, found = settings["method"], {"embeddings": path, **GPQ.implied({"embeddings": path}), **settings}
    return [Cell(row, column(b), {**found, **books(method, b), "seed": seed}, measure,
                 {**schedule, **(HIDDEN[b if b in HIDDEN else 12] if method == "gpq" else {})})
            for b in bits for seed in range(seeds)]


def of_corel5k(truth, bits, seeds):
    """WSDHQ, its controls, WDHT and GPQ by one truth; by keywords, of which a picture has several, three of table 2's
    baselines too."""
    path, n_classes, batch = COREL[truth]
    rows = [*((f"WSDHQ, {how}", {"method": "wsdhq"}, WEAK_SCHEDULE, measure) for how, measure in MEASURES.items()),
            *((f"WSDHQ, {row}", {"method": "wsdhq", **settings}, WEAK_SCHEDULE, "mAP")
              for row, settings in CONTROLS[truth].items()),
            ("WDHT", {"method": "wdht"}, WEAK_SCHEDULE, "mAP"),
            ("GPQ, ten labelled pictures of each", {"method": "gpq"}, {**FEW_LABELS, "batch_size": batch}, "mAP"),
            *((row, settings, {}, "mAP") for row, settings in FITTED.items() if truth == "keywords")]
    return [cell for row, settings, schedule, measure in rows
            for cell in of_vectors(f"{truth}: {row}", path, bits, seeds, {"n_CLASSES": n_classes, **settings},
                                   schedule, measure)]


def of_photographs(bits):
    """WSDHQ with EfficientNet-Lite0 on the photographs themselves, all of it trained or its last layer alone, once."""
    return [Cell(f"themes: WSDHQ of the photographs, {how}, AQD", column(32),
                 {"method": "wsdhq", "dataset": "corel5k", "backbone": "efficientnet_lite0", "freeze": freeze,
                  "n_CLASSES": 50, **books("wsdhq", 32), "seed": 0}, schedule=PHOTOGRAPHS)
            for how, freeze in (("EfficientNet-Lite0 fine-tuned", False), ("its last layer alone", True)) if 32 in bits]


def of_lists(bits):
    """WSDHQ as its release trains it, on the sets of its paper."""
    return [Cell(f"{title}: WSDHQ, AQD; waits for data/{name}/ and alexnet.npy", column(b),
                 {"method": "wsdhq", "dataset": name, "backbone": "alexnet", "image_size": 256,
                  "ImagNet_pretrained_path": "alexnet.npy", **books("wsdhq", b), "seed": 0},
                 schedule={"data_dir": ".", "iterations": steps})
            for name, (title, steps) in LISTS.items() for b in bits]


def wsdhq(bits, seeds, given):
    """Corel5k by both of its truths, and from its photographs; and the sets of WSDHQ's paper, whose files few people
    have."""
    return [*(cell for truth in COREL for cell in of_corel5k(truth, bits, seeds)), *of_photographs(bits),
            *of_lists(bits)]


def compare(bits, seeds, given):
    """CIFAR-10 by two protocols; all ranks count in GPQ's, a thousand in SPQ's."""
    return [cell for protocol, (path, ranks) in PROTOCOLS.items()
            for row, (settings, schedule) in SUPERVISED.items()
            for more, measure in (("", "mAP"), (", features not quantised", "unquantised_mAP"))
            for cell in of_vectors(f"{protocol}: {row}{more}", path, bits, seeds, {**settings, "n_DB": ranks},
                                   schedule, measure)]
