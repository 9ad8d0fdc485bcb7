"""The deep baselines of table 2: what the paper prints of each at rows.BITS, whose figure it is, and our cells."""
from utils.paper.rows import HIDDEN, SHORT, VECTOR_SCHEDULE, Cell, column

DEEP = {"pqn": (0.795, 0.819, 0.823, 0.830), "subic": (0.635, 0.689, 0.713, 0.721),
        "dqn": (0.527, 0.551, 0.558, 0.564), "dtq": (0.785, 0.789, 0.790, 0.792),
        "ssdh": (0.801, 0.813, 0.812, 0.814), "bgdh": (0.805, 0.824, 0.826, 0.833),
        "cnnh": (0.496, 0.580, 0.582, 0.583), "ninh": (0.600, 0.667, 0.689, 0.702)}
WHOSE = {
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
BRIEF = {name: value for name, value in SHORT.items() if name != "follow"} | {"batch_size": 100, "total_epochs": 20}
PLAIN = {name: value for name, value in VECTOR_SCHEDULE.items() if name != "follow"}


def deep(bits, seeds, given, start):
    """The deep methods' cells, of the vectors that are given, or from `start`, {setting: value} of one pretrained F, by
    a short schedule."""
    seen, start, schedule = ("", {}, PLAIN) if given.get("embeddings") else (", F from CIFAR-100", start, BRIEF)
    return [Cell(f"{method.upper()}{seen}", column(b), {"method": method, **start, "n_bits": b, "seed": seed},
                 schedule={**schedule, **(HIDDEN[b] if given.get("embeddings") else {})})
            for method in DEEP for b in bits for seed in range(seeds)]
