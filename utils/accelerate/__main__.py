"""Train the same graph where JAX runs and TensorFlow does not (CUDA 13, TPU).

    python -m utils.accelerate export --n_book=12 --seed=1 --out=runs     # here; any settings, any number of times
    python -m utils.accelerate export-pretraining --out=runs
    python runs/train.py                                                  # there, with jax, flatbuffers and numpy
    python -m utils.accelerate import runs/48bits-seed1 --out=models/48bits.ckpt
    python -m utils.accelerate import runs/pretraining_seed0 --out=models/CIFAR100_pretrained.mat

The training step of model/, augmentation, gradients, Adam and moving averages included, is lowered to StableHLO.
An exported run holds it (`step.jaxexport`), the initial weights, the images of every step, and what made it; the
images lie beside the runs. Nothing of the model is written twice, and the batches are those of train.py. With
eval_term set, an import judges the weights as train.py would at its end.
"""
import sys

from pydantic_settings import CliPositionalArg

from config import Pretraining
from utils import errors, settings
from utils.accelerate.export import export
from utils.accelerate.imports import import_run
from utils.base_settings import Own
from utils.errors import UserError
from utils.paper import cells
from utils.training.task import Task


class Export(Own):
    """Export a training with the settings of config.py."""

    out: str
    """Folder of runs. A new run gets a folder in it."""


class Import(Own):
    """Import a trained run; settings that are given must be those that it was exported with."""

    run: CliPositionalArg[str]
    """Folder of a trained run, or of runs where there is only one."""

    out: str
    """Checkpoint to write, or .mat file of F in the release's form."""


def main():
    command, *arguments = sys.argv[1:] or [""]
    if command == "export":
        config = settings.from_command_line(Export, arguments)
        settings.refuse_idle(config)
        print(export(Task(config), cells.name(config), config.out, config))
    elif command == "export-pretraining":
        config = settings.from_command_line(Export, arguments, Pretraining)
        settings.refuse_idle(config)
        print(export(Task(config), f"pretraining_seed{config.seed}", config.out, config))
    elif command == "import":
        config = settings.from_command_line(Import, arguments)
        named = config.model_dump(mode="json", include=config.model_fields_set - {"run", "out"})
        import_run(config.run, config.out, named)
        print(f"{config.out} is made of {config.run}")
    else:
        raise UserError("say what to do: python -m utils.accelerate export, export-pretraining or import, each with "
                        "--help")


if __name__ == "__main__":
    errors.run(main)
