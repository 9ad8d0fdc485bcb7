"""A checkpoint as SPQ's release writes it, and what PyTorch makes of a picture by it: the test's reference.

    python benchmarks/torch_spq_checkpoint.py    # writes tests/data/spq_release.pth and spq_release_stages.npz

Keys, shapes and types are the release's. To keep the file small, the large weights are overlapping views of two random
vectors, as PyTorch saves views. The reference is computed in float64.
"""
from pathlib import Path

import numpy as np
import torch
from torch_spq import model

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
BOOKS = 8
EVERY = 16  # channels of which one is kept


def picture():
    """uint8 [32, 32, 3]."""
    return np.random.default_rng(7).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def as_input(images):
    """uint8 [B, 32, 32, 3] as the release's network takes them: float64 [B, 3, 32, 32] from 0 to 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255


def checkpoint():
    """The state dict of a network with random weights, whose running statistics are those of random pictures."""
    torch.manual_seed(0)
    made = model(BOOKS)
    wide, narrow = torch.rand(2 ** 14) * 2 - 1, (torch.rand(2 ** 13) * 2 - 1) * 512 ** -0.5
    weights = made.state_dict()
    for name, value in weights.items():
        if value.ndim == 4:
            weights[name] = wide.as_strided(value.shape, (17, 13, 5, 1))
        elif name.endswith(("fc_out.weight", "fc.weight")):
            weights[name] = narrow.as_strided(value.shape, (9, 5))
        elif value.ndim == 1 and "running" not in name:  # of a normalisation, or a bias
            weights[name] = (name.endswith("weight") + torch.rand(value.shape) / 2 - 0.25)
    made.load_state_dict(weights)
    made.double().train()
    for layer in made.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        made(as_input(np.random.default_rng(8).integers(0, 256, (32, 32, 32, 3), dtype=np.uint8)))
    for name, value in made.state_dict().items():
        if "running" in name or name.endswith("num_batches_tracked"):
            weights[name] = value.to(weights[name].dtype)
    return weights


def stages(weights):
    """{stage: float32 array} of the picture: the stem's output, each block's, F's, x, z and the code."""
    made, seen = model(BOOKS), {}
    made.load_state_dict(weights)
    made.double().eval()

    def keep(name):
        return lambda module, arguments: seen.update({name: arguments[0]})

    blocks = [(f"layer{stage}/{number}", getattr(made[0], f"layer{stage}")[number])
              for stage in range(1, 5) for number in range(2)]
    inputs = ["stem", *(name for name, _ in blocks)]
    for name, (_, block) in zip(inputs[:-1], blocks, strict=True):  # what goes into a block came out of the last
        block.register_forward_pre_hook(keep(name))
    made[0].layer4.register_forward_hook(lambda module, arguments, out: seen.update({inputs[-1]: out}))
    made[0].fc_out.register_forward_pre_hook(keep("pool"))
    made[1].register_forward_pre_hook(keep("fc_out"))
    with torch.no_grad():
        seen["x"], seen["z"] = made(as_input(picture()[None]))
        codes = made[1].distances(seen["x"]).argmin(-1)
    kept = {name: value[0, ::EVERY if value.ndim == 4 else 1].numpy() for name, value in seen.items()}
    return {**{name: np.float32(value) for name, value in kept.items()}, "codes": np.uint8(codes[0])}


if __name__ == "__main__":
    state = checkpoint()
    torch.save(state, DATA / "spq_release.pth")
    np.savez_compressed(DATA / "spq_release_stages.npz", picture=picture(), **stages(state))
