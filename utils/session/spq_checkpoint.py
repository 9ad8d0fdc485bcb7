"""Write a checkpoint of SPQ as its release does, for those who use the release's PyTorch code.

    python -m utils.session.spq_checkpoint --out=32bits.pth    # of what Demo.py --method=spq searches by

The other way needs no command: Demo.py and encode.py take a .pth of the release as model_load_path.
"""
from config import SPQ
from utils import errors, settings
from utils.base_settings import Own
from utils.methods import METHODS
from utils.session import checkpoints, spq_release, torch_files
from utils.training import folder


class Options(Own):
    """Write a checkpoint of SPQ as its release does, with the settings of config.py."""

    out: str
    """File to write, .pth."""


def main():
    config = settings.from_command_line(Options, settings=SPQ)
    if config.backbone != "resnet18":
        raise errors.UserError(f"backbone is {config.backbone}, and the release has resnet18 alone; leave backbone out")
    path, config = folder.chosen(config)
    tensors = checkpoints.reader(path)
    shapes = tensors.get_variable_to_shape_map()
    METHODS[config.method].check(path, shapes, config)
    written = spq_release.tensors({name: tensors.get_tensor(name) for name in shapes if checkpoints.is_weight(name)})
    torch_files.write(config.out, written)
    print(f"{config.out}: {len(written)} tensors of {path}")


if __name__ == "__main__":
    errors.run(main)
