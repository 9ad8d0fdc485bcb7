"""Write a checkpoint as its method's release does, for those who use the release's code.

    python -m utils.checkpoints.as_released --method=spq --out=32bits.pth    # of what Demo.py --method=spq searches by
    python -m utils.checkpoints.as_released --method=wsdhq --dataset=flickr25k --backbone=alexnet --out=flickr.npy

The other way needs no command: Demo.py and encode.py take a .pth or .npy of a release as model_load_path.
"""
from utils import errors, settings
from utils.base_settings import Own, PathText
from utils.checkpoints import runs, spq_release, store, wsdhq_release
from utils.methods import METHODS

FORMS = {"spq": ("resnet18", spq_release.write), "wsdhq": ("alexnet", wsdhq_release.write),
         "wdht": ("alexnet", wsdhq_release.write)}  # the network that the release has


class Options(Own):
    """Write a checkpoint as its method's release does, with the settings of config.py."""

    out: PathText
    """File to write, .pth of SPQ, .npy of WSDHQ and WDHT."""


def main():
    config = settings.from_command_line(Options)
    if config.method not in FORMS:
        raise errors.UserError(f"method is {config.method}, whose release has no other form than ours; set --method to "
                               f"{' or '.join(FORMS)}")
    backbone, write = FORMS[config.method]
    if config.backbone != backbone:
        raise errors.UserError(f"backbone is {config.backbone}, and the release has {backbone} alone; set "
                               f"backbone={backbone}")
    path, config = runs.chosen(config)
    tensors = store.reader(path, config)
    shapes = tensors.get_variable_to_shape_map()
    METHODS[config.method].check(path, shapes, config)
    write(config.out, {name: tensors.get_tensor(name) for name in shapes if store.is_weight(name)})
    print(f"{config.out}: {path}")


if __name__ == "__main__":
    errors.run(main)
