"""The baselines of tables 2 and 3: what the paper prints of each at rows.BITS, whose figure it is, and our cells."""
from config import GPQ
from utils.paper.rows import GIST, HIDDEN, NETWORKS, PRETRAINED, UNSEEN, VECTOR_SCHEDULE, Cell, column

SHALLOW = {"pq": (0.237, 0.265, 0.268, 0.266), "opq": (0.265, 0.315, 0.323, 0.345),
           "lopq": (0.279, 0.324, 0.366, 0.370), "itq": (0.158, 0.163, 0.168, 0.169),
           "sh": (0.124, 0.125, 0.125, 0.126), "sdh": (0.255, 0.330, 0.344, 0.360)}  # table 2 of the paper, at BITS
DEEP = {"pqn": (0.795, 0.819, 0.823, 0.830), "subic": (0.635, 0.689, 0.713, 0.721),
        "dqn": (0.527, 0.551, 0.558, 0.564), "dtq": (0.785, 0.789, 0.790, 0.792),
        "ssdh": (0.801, 0.813, 0.812, 0.814), "bgdh": (0.805, 0.824, 0.826, 0.833),
        "cnnh": (0.496, 0.580, 0.582, 0.583), "ninh": (0.600, 0.667, 0.689, 0.702)}
SSGAH = (0.819, 0.837, 0.847, 0.855)
GIST_TABLE = "which from memory, unchecked, are those of SSDH's paper, of GIST"
NOT_GIST = "which does not say whose figures these are; of GIST they cannot be"
WHOSE = {
    **dict.fromkeys(("sh", "itq", "sdh"), GIST_TABLE), **dict.fromkeys(("pq", "opq", "lopq"), NOT_GIST),
    "ssgah": "which from memory, unchecked, are those of SSGAH's paper; left out here, see docs/baselines.md",
    "pqn": "whose first and last figure are those of PQN's paper for NUS-WIDE, as a summary of that says",
    "subic": "which from memory, unchecked, are those of DTQ's paper for 8, 16, 24 and 32 bits; SUBIC's own, from "
             "50,000 labels, are 0.635 at 12 bits, from memory, unchecked, and 0.686 at 48, as a summary says",
    "dqn": "which from memory, unchecked, are those of DTQ's paper for 8, 16, 24 and 32 bits: 0.564 is at 32 bits "
           "(github.com/thulab/DeepHash, issue 29); DQN's own are 0.554 at 12 and 0.580 at 48, from memory, unchecked",
    "dtq": "which from memory, unchecked, are those of DTQ's paper for 8, 16, 24 and 32 bits",
    "ssdh": "which from memory, unchecked, are those of SSDH's paper, by a protocol of its own",
    "bgdh": "which from memory, unchecked, are those of BGDH's paper, of which variant is not known",
    "cnnh": "which from memory, unchecked, are those of SSDH's paper, run anew on another network",
    "ninh": "which from memory, unchecked, are those of SSDH's paper, run anew on another network"}
TABLE3 = {"ssgah": (0.309, 0.323, 0.341, 0.339), "ssdh": (0.285, 0.291, 0.311, 0.325),
          "ninh": (0.241, 0.249, 0.253, 0.272), "cnnh": (0.210, 0.225, 0.227, 0.231),
          "sdh": (0.185, 0.193, 0.199, 0.213), "itq": (0.157, 0.165, 0.189, 0.201),
          "lopq": (0.134, 0.127, 0.126, 0.124), "opq": (0.107, 0.119, 0.125, 0.138)}  # of the paper; chance is 0.1

NUS_WIDE = {"gpq": (0.852, 0.865, 0.876, 0.878), "ssgah": (0.838, 0.849, 0.863, 0.867),
            "bgdh": (0.810, 0.821, 0.825, 0.829), "ssdh": (0.783, 0.788, 0.791, 0.794),
            "pqn": (0.803, 0.818, 0.822, 0.824), "dtq": (0.791, 0.798, 0.808, 0.811),
            "dqn": (0.764, 0.778, 0.785, 0.793), "subic": (0.652, 0.783, 0.792, 0.796),
            "ninh": (0.597, 0.627, 0.647, 0.651), "cnnh": (0.536, 0.522, 0.533, 0.531),
            "lopq": (0.436, 0.452, 0.463, 0.468), "opq": (0.429, 0.433, 0.450, 0.458),
            "pq": (0.398, 0.406, 0.413, 0.422), "sdh": (0.414, 0.465, 0.451, 0.454),
            "itq": (0.428, 0.430, 0.432, 0.435), "sh": (0.390, 0.394, 0.393, 0.396)}  # table 2 of the paper too
NUS_WIDE_FILES = ("nuswide_labels81.npz", "nuswide_21_m_train.txt", "nuswide_21_m_test.txt", "images/")


def without_form(schedule):
    """A schedule of GPQ's for a method that has one form alone."""
    return {name: value for name, value in schedule.items() if name != "follow"}


PLAIN = without_form(VECTOR_SCHEDULE)


def shallow(bits, seeds, given):
    """The shallow methods, of GIST or of the vectors that are given. They train no network, so none may be given."""
    if given.get("embeddings"):
        seen, settings = "", {}
    elif "backbone" in given:
        return []
    else:
        seen, settings = ", of GIST", {"embeddings": GIST, **GPQ.implied({"embeddings": GIST})}
    return [Cell(f"{method.upper()}{seen}", column(b), {"method": method, **settings, "n_bits": b, "seed": seed})
            for method in SHALLOW for b in bits for seed in range(seeds)]


def short(bits, given):
    """The short training: of the vectors that are given, or of one pretrained F. Returns (words behind a row's name,
    settings, schedule)."""
    if given.get("embeddings"):
        return "", {}, {**PLAIN, **HIDDEN[bits]}
    path, schedule = NETWORKS[PRETRAINED]
    return ", pretrained F", {"ImagNet_pretrained_path": path}, without_form(schedule)


def deep(bits, seeds, given):
    """The deep methods' cells, by the `short` training."""
    return [Cell(f"{method.upper()}{seen}", column(b), {"method": method, **start, "n_bits": b, "seed": seed},
                 schedule=schedule)
            for method in DEEP for b in bits for seen, start, schedule in [short(b, given)] for seed in range(seeds)]


def of_unseen(bits, seeds):
    """Table 3's baselines of vectors, whose files say which classes are known; a row is of the three choices."""
    return [Cell(f"{method.upper()}, EfficientNet-Lite2's vectors", column(b),
                 {"method": method, "n_bits": b, "seed": seed, "embeddings": path, "n_CLASSES": len(known),
                  **GPQ.implied({"embeddings": path})},
                 schedule={**PLAIN, **HIDDEN[b]} if method in DEEP else {})
            for method in TABLE3 if method != "ssgah" for b in bits for seed in range(seeds)
            for known, path in UNSEEN.items()]
