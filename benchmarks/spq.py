"""Training and encoding by SPQ, ours against the same network in PyTorch (channels-last), in turn on one machine.

    pip install -e ".[benchmarks]"
    python benchmarks/spq.py                         # about 25 minutes on two cores

PyTorch's images are ready-made; ours are varied within the time. Every figure is of a process of its own: one warm-up,
then timed steps. Prints the median of the rounds, in images a second; in training each is seen
in two views, which count.
"""
from pathlib import Path

from network import compare

ROOT = Path(__file__).resolve().parent.parent


def settings(**given):
    from gpq.config import SPQ

    return SPQ(**given, data_dir=str(ROOT / "cifar10" / "sample"), protocol=1, eval_term=0)


if __name__ == "__main__":
    compare(__file__, settings, "torch_spq", (("training", 256), ("encoding", 250)))
