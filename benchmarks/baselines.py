"""What a vector costs to encode and a query to search by each method of table 2, from the checkpoints of its runs.

    python reproduce.py table2 --embeddings=cifar10_lite2.npz --seeds 1      # trains them
    python benchmarks/baselines.py --embeddings=cifar10_lite2.npz

Draws mAP over both costs, results/table2_speed.png. The gallery's vectors are in memory; a figure is the best of the
runs. 1,000 queries are searched for their nearest 100 of 54,000.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.search import timed
from gpq.model.tf1 import tf
from gpq.reproduce import Plan, collected, configured, in_folder
from gpq.utils import errors
from gpq.utils.checkpoints import machine
from gpq.utils.checkpoints.runs import finished
from gpq.utils.data import sets
from gpq.utils.errors import UserError
from gpq.utils.paper.experiment import vectors
from gpq.utils.paper.experiments import EXPERIMENTS
from gpq.utils.retrieval.encoder import Encoder
from gpq.utils.retrieval.search import search

NEAREST = 100
MARKS = cycler(marker=["o", "s", "^", "x"]) * cycler(color=[f"C{n}" for n in range(10)])


def measure(config, data, runs):
    """(microseconds to encode a vector, milliseconds to search for a query)."""
    gallery = np.asarray(data.images[data.gallery])
    with tf.Graph().as_default(), machine.session(config) as session:
        encoder = Encoder(config, session, config.final_checkpoint, like=data.images)
        queries, _ = encoder(data.images, rows=data.query)
        encoder.codes(gallery[:1000])
        encoding, codes = timed(encoder.codes, runs, gallery)
        database = encoder.database(codes)
    searching, _ = timed(search, runs, database, queries, NEAREST)
    return 1e6 * min(encoding) / len(gallery), 1e3 * min(searching) / len(queries)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embeddings", required=True)
    parser.add_argument("--bits", type=int, default=48)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    experiment = EXPERIMENTS["table2"]._replace(given=vectors(options.embeddings))
    places = configured(experiment, [options.bits], 1, {}, {})
    done = collected(Plan(experiment, Path("results/table2-vectors.md"), "", places, []))
    data, shown = sets.load(places[0][1]), {}
    print(f"{options.bits} bits, top {NEAREST}\n{'':30}{'mAP':>8}{'us a vector':>14}{'ms a query':>14}")
    for run, config in places:
        if run.measure != "mAP":
            continue
        here = in_folder(config, done[config][0].id) if done[config] else config
        if not done[config] or not finished(here):
            raise UserError(f"{run.row} is not trained; run `python reproduce.py table2 --bits {options.bits} "
                            f"--seeds 1 --embeddings={options.embeddings}` first")
        mean_ap, costs = done[config][0].evaluation.mAP, measure(here, data, options.runs)
        shown[run.row] = (mean_ap, *costs)
        print(f"{run.row:30}{mean_ap:8.4f}{costs[0]:14.2f}{costs[1]:14.2f}", flush=True)
    figure = Figure(figsize=(9, 4.2), dpi=100, layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, cost, label in zip(axes, (1, 2), ("us a vector", "ms a query"), strict=True):
        axis.set_prop_cycle(MARKS)
        for row, found in shown.items():
            axis.plot(found[cost], found[0], linestyle="", label=row)
        axis.set(xlabel=label, ylabel="mAP")
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.savefig("results/table2_speed.png")


if __name__ == "__main__":
    errors.run(main)
