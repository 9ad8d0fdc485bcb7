"""Training and encoding, ours against the same network in PyTorch (channels-last), in turn on one machine.

    pip install -r benchmarks/requirements.txt
    python benchmarks/network.py                     # about 12 minutes on two cores

Every figure is of a process of its own: one warm-up, then timed steps. Prints the median of the rounds.
"""
import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("ours", "torch")


def ours_training(batch_size):
    """A function that runs one step of train.py's graph, augmentation included."""
    from config import GPQ
    from model.tf1 import tf
    from utils.training.task import Task, build, draw

    task = Task(GPQ(batch_size=batch_size))
    feeds, graph = build(task)
    batch = draw(task, 0)
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return lambda: session.run([graph.losses, graph.step], dict(zip(feeds, batch, strict=True)))


def ours_encoding(batch_size):
    """A function that encodes `batch_size` random uint8 images with the Encoder of Demo.py."""
    from config import GPQ
    from model.tf1 import tf
    from utils.retrieval.encoder import Encoder

    session = tf.Session()
    encoder = Encoder(GPQ(), session)
    session.run(tf.global_variables_initializer())
    images = np.random.default_rng(0).integers(0, 256, (batch_size, 32, 32, 3), np.uint8)
    return lambda: encoder(images)


def measure(library, task, batch_size, seconds):
    """Images per second of one library at one task, in this process."""
    sys.path.insert(0, str(ROOT))
    if library == "ours":
        run = {"training": ours_training, "encoding": ours_encoding}[task](batch_size)
    else:
        import torch_network
        run = getattr(torch_network, task)(batch_size)
    run()
    began, n = time.perf_counter(), 0
    while n < 2 or time.perf_counter() - began < seconds:
        run()
        n += 1
    return n * batch_size * (2 if task == "training" else 1) / (time.perf_counter() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        library, task, batch_size = options.one
        print(measure(library, task, int(batch_size), options.seconds))
        return
    for task, batch_size in (("training", 500), ("training", 100), ("encoding", 500)):
        seen = {library: [] for library in LIBRARIES}
        for _ in range(options.rounds):
            for library in LIBRARIES:
                done = subprocess.run([sys.executable, __file__, f"--seconds={options.seconds}", "--one", library, task,
                                       str(batch_size)], capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{library} {task} failed: {done.stderr.strip().splitlines()[-1]}")
                seen[library].append(float(done.stdout.split()[-1]))
        ours, torch = (statistics.median(seen[library]) for library in LIBRARIES)
        ratio = statistics.median(a / b for a, b in zip(seen["ours"], seen["torch"], strict=True))
        rounds = ", ".join(f"{a:.0f}/{b:.0f}" for a, b in zip(seen["ours"], seen["torch"], strict=True))
        print(f"{task}, batch {batch_size}: ours {ours:.1f} images/s, PyTorch {torch:.1f} images/s, "
              f"ratio pair by pair {ratio:.2f} ({rounds})", flush=True)


if __name__ == "__main__":
    main()
