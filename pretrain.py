"""Pretrain F as a classifier of CIFAR-100, for want of the release's ImageNet weights.

    python -m utils.cifar100 fetch
    python pretrain.py                                # ends with models/CIFAR100_pretrained.mat
    python pretrain.py --resume                       # go on exactly where the last run stopped
    python train.py --ImagNet_pretrained_path=models/CIFAR100_pretrained.mat

The loop, checkpoints and logs are train.py's; the .mat file has the release's form.
"""
from pathlib import Path

from config import Pretraining
from model.tf1 import tf
from train import Options as TrainingOptions
from train import train
from utils import errors
from utils.session import checkpoints, machine, pretrained
from utils.settings import from_command_line
from utils.training import task as tasks


class Options(Pretraining, TrainingOptions):
    """The pretraining's settings, and how to start."""


def judge(config, task, checkpoint):
    """What the task measures of the trained classifier, but with F of the half-precision file `config.out`."""
    with tf.Graph().as_default(), machine.session(config) as session:
        measured = task.judge(session)
        checkpoints.restore(session, checkpoint, checkpoints.weights(), config)
        pretrained.load_pretrained(session, config.out)
        return measured()


def main():
    config = from_command_line(Options)
    task = tasks.Pretraining(config)
    if train(config, task):
        checkpoint = Path(config.model_save_path) / Path(config.checkpoint).name
        pretrained.save_pretrained(checkpoint, config.out)
        print(f"F is at {config.out}, {task.measure}: {judge(config, task, checkpoint):.4f}; start GPQ from it with "
              f"--ImagNet_pretrained_path={config.out}")


if __name__ == "__main__":
    errors.run(main)
