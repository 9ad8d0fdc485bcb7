"""Pretrain F as a classifier of CIFAR-100, for want of the release's ImageNet weights.

    python -m utils.cifar100 fetch
    python pretrain.py                                # ends with models/CIFAR100_pretrained.mat
    python pretrain.py --resume                       # go on exactly where the last run stopped
    python train.py --ImagNet_pretrained_path=models/CIFAR100_pretrained.mat

The loop, checkpoints and logs are train.py's; the .mat file has the release's form.
"""
from pathlib import Path

from config import Pretraining, from_command_line
from train import Options as TrainingOptions
from train import train
from utils import checkpoints, errors, tasks


class Options(Pretraining, TrainingOptions):
    """The pretraining's settings, and how to start."""


def main():
    config = from_command_line(Options)
    if train(config, tasks.Pretraining(config)):
        checkpoints.save_pretrained(Path(config.model_save_path) / Path(config.checkpoint).name, config.out)
        print(f"F is at {config.out}; start GPQ from it with --ImagNet_pretrained_path={config.out}")


if __name__ == "__main__":
    errors.run(main)
