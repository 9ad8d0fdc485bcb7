"""Training and encoding, ours against the same network in PyTorch (channels-last), in turn on one machine.

    pip install -e ".[benchmarks]"
    python benchmarks/network.py                     # about 12 minutes on two cores
    python benchmarks/network.py --precision bfloat16 float32      # twice as long

Every figure is of a process of its own: one warm-up, then timed steps. Prints the median of the rounds.
"""
import argparse
import importlib
import itertools
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("ours", "torch")
PRECISIONS = ("float32", "bfloat16")


def ours_training(config):
    """A function that runs one step of train.py's graph, augmentation included, under the settings `config`."""
    from gpq.model.tf1 import tf
    from gpq.utils.checkpoints import machine
    from gpq.utils.training.task import Task, build, draw

    task = Task(config)
    feeds, graph = build(task)
    batch = draw(task, 0)
    session = machine.session(config)
    session.run(tf.global_variables_initializer())
    return lambda: session.run([graph.losses, graph.step], dict(zip(feeds, batch, strict=True)))


def ours_encoding(config):
    """A function that encodes `config.batch_size` random uint8 images with the Encoder of Demo.py."""
    from gpq.model.tf1 import tf
    from gpq.utils.checkpoints import machine
    from gpq.utils.retrieval.encoder import Encoder

    session = machine.session(config)
    encoder = Encoder(config, session)
    session.run(tf.global_variables_initializer())
    images = np.random.default_rng(0).integers(0, 256, (config.batch_size, 32, 32, 3), np.uint8)
    return lambda: encoder(images)


def theirs(module, task, batch_size, precision):
    """A function that does a task of PyTorch's `module`."""
    import torch

    run = getattr(importlib.import_module(module), task)(batch_size)

    def autocast():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            return run()
    return autocast


def measure(run, images, seconds):
    """Images per second of a function that takes `images` of them, in this process."""
    run()
    began, n = time.perf_counter(), 0
    while n < 2 or time.perf_counter() - began < seconds:
        run()
        n += 1
    return n * images / (time.perf_counter() - began)


def compare(script, settings, module, plan):
    """Print how fast both libraries are at each (task, batch size) of `plan`; script: the file that is run, which calls
    this; settings(batch_size=, precision=) -> ours; module: PyTorch's, which has a function of each task's name. A step
    of training takes two batches."""
    parser = argparse.ArgumentParser(description="Images per second, ours against PyTorch.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS[:1])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        (library, task, size), (precision,) = options.one, options.precision
        sys.path.insert(0, str(ROOT))
        run = (theirs(module, task, int(size), precision) if library == "torch"
               else {"training": ours_training, "encoding": ours_encoding}[task](
                   settings(batch_size=int(size), precision=precision)))
        print(measure(run, int(size) * (2 if task == "training" else 1), options.seconds))
        return
    for task, batch_size in plan:
        seen = {}
        for _ in range(options.rounds):
            for precision, library in itertools.product(options.precision, LIBRARIES):
                command = [sys.executable, script, f"--seconds={options.seconds}", f"--precision={precision}", "--one",
                           library, task, str(batch_size)]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{library} {task} failed: {done.stderr.strip().splitlines()[-1]}")
                seen.setdefault((precision, library), []).append(float(done.stdout.split()[-1]))
        for precision in options.precision:
            pairs = list(zip(*(seen[precision, library] for library in LIBRARIES), strict=True))
            ours, torch = map(statistics.median, zip(*pairs, strict=True))
            print(f"{task}, batch {batch_size}, {precision}: ours {ours:.1f} images/s, PyTorch {torch:.1f} images/s, "
                  f"ratio pair by pair {statistics.median(a / b for a, b in pairs):.2f} "
                  f"({', '.join(f'{a:.0f}/{b:.0f}' for a, b in pairs)})", flush=True)


def settings(**given):
    from gpq.config import GPQ

    return GPQ(**given)


if __name__ == "__main__":
    compare(__file__, settings, "torch_network", (("training", 500), ("training", 100), ("encoding", 500)))
