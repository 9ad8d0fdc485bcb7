"""Encoding by EfficientNet-Lite at 224 x 224, ours against the same network in PyTorch (channels-last), in turn.

    pip install -e ".[benchmarks]"
    python benchmarks/efficientnet.py                # about 5 minutes on two cores

PyTorch's network is timed as it is written, and with batch normalisation folded into the kernels, as ours always is. It
gets images of 224 x 224; ours enlarges them from 32 x 32 within the time. Every figure is of a process of its own: one
warm-up, then timed steps. Prints the median of the rounds.
"""
import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("ours", "PyTorch", "PyTorch folded")


def ours_encoding(variant, batch_size):
    """A function that makes the 1,280 numbers of `batch_size` random uint8 images."""
    from gpq.config import GPQ
    from gpq.model.backbone import Backbone
    from gpq.model.tf1 import tf

    images = tf.placeholder(tf.uint8, [None, 32, 32, 3])
    features = Backbone(GPQ(backbone=f"efficientnet_lite{variant}"))(images)
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    batch = np.random.default_rng(0).integers(0, 256, (batch_size, 32, 32, 3), np.uint8)
    return lambda: session.run(features, {images: batch})


def measure(kind, variant, batch_size, seconds):
    """Images per second of one kind, in this process."""
    sys.path.insert(0, str(ROOT))
    if kind == "ours":
        run = ours_encoding(variant, batch_size)
    else:
        import torch_efficientnet
        run = torch_efficientnet.encoding(variant, batch_size, folded=kind == "PyTorch folded")
    run()
    began, n = time.perf_counter(), 0
    while n < 2 or time.perf_counter() - began < seconds:
        run()
        n += 1
    return n * batch_size / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, nargs="+", default=[0, 2], help="of 0, 1 and 2")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--one", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(measure(options.one, options.variants[0], options.batch_size, options.seconds))
        return
    for variant in options.variants:
        seen = {kind: [] for kind in KINDS}
        for _ in range(options.rounds):
            for kind in KINDS:
                done = subprocess.run([sys.executable, __file__, f"--one={kind}", f"--variants={variant}",
                                       f"--batch_size={options.batch_size}", f"--seconds={options.seconds}"],
                                      capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{kind} failed: {done.stderr.strip().splitlines()[-1]}")
                seen[kind].append(float(done.stdout.split()[-1]))
        ours = statistics.median(seen["ours"])
        print(f"EfficientNet-Lite{variant}, batch {options.batch_size}: ours {ours:.1f} images/s")
        for kind in KINDS[1:]:
            ratio = statistics.median(a / b for a, b in zip(seen["ours"], seen[kind], strict=True))
            rounds = ", ".join(f"{a:.0f}/{b:.0f}" for a, b in zip(seen["ours"], seen[kind], strict=True))
            print(f"    {kind} {statistics.median(seen[kind]):.1f} images/s, ratio pair by pair {ratio:.2f} ({rounds})",
                  flush=True)


if __name__ == "__main__":
    main()
