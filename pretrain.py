"""Pretrain F as a classifier of CIFAR-100, for want of the release's ImageNet weights.

    python -m utils.data fetch cifar100
    python pretrain.py                                # ends with models/CIFAR100_pretrained.mat
    python pretrain.py --resume                       # go on exactly where the last run stopped
    python train.py --ImagNet_pretrained_path=models/CIFAR100_pretrained.mat

The loop, checkpoints and logs are train.py's; the .mat file has the release's form.
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.pretrain")

from gpq import train
from gpq.config import Pretraining
from gpq.model.tf1 import tf
from gpq.utils import files, settings
from gpq.utils.base_settings import PathText
from gpq.utils.checkpoints import machine, pretrained, store
from gpq.utils.training import task as tasks


class Options(train.Options):
    """Pretrain F with the settings of config.py's Pretraining."""

    out: PathText = "./models/CIFAR100_pretrained.mat"
    """File that F goes to at the end, arrays by variable name."""


def judge(task, checkpoint):
    """What the task measures of the trained classifier, but with F of the half-precision file that was written."""
    config = task.config
    with tf.Graph().as_default(), machine.session(config) as session:
        measured = task.judge(session)
        store.restore(session, checkpoint, store.weights(), config)
        pretrained.load_pretrained(session, config.out)
        return measured()


def main():
    config = settings.from_command_line(Options, settings=Pretraining)
    settings.refuse_idle(config)
    task = tasks.Task(config)
    files.was_read(config.ImagNet_pretrained_path)
    files.check_target(config.out)
    train.train(task)
    pretrained.save_pretrained(config.final_checkpoint, config.out)
    print(f"F is at {config.out}, {task.measure}: {judge(task, config.final_checkpoint):.4f}; start GPQ from "
          f"it with --ImagNet_pretrained_path={config.out}")
