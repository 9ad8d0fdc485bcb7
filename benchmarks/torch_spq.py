"""SPQ's network, loss and optimiser in PyTorch: what ours is timed against, and the source of its reference numbers.

    python benchmarks/torch_spq.py                   # writes tests/data/reference_spq.npz

Reference numbers are of float64, without views: the images of both views and all weights are drawn from a seed, by
`weights` and `images`, which the test calls too.
"""
from pathlib import Path

import numpy as np

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "reference_spq.npz"
BATCH, BOOKS, WORDS, LENGTH = 4, 4, 16, 16
SCALE, TEMPERATURE, RATE, DECAY = 5.0, 0.5, 3e-4, 1e-5
OPEN = 2


def images():
    """float32 [2, BATCH, 32, 32, 3] from 0 to 1: two views that have something in common."""
    draw = np.random.default_rng(1).random
    return np.float32(0.5 * draw((1, BATCH, 32, 32, 3)) + 0.5 * draw((2, BATCH, 32, 32, 3)))


def weights(shapes):
    """{name: float32 array} of {PyTorch's name of a parameter: its shape}: about as large as initial values.

    Normalised channels have a mean of OPEN deviations, so that few lie so near to 0 that float32 and float64 take them
    to different sides of it, which shows in gradients: at a mean of 0 their norms differ by up to 1 / 1000.
    """
    made = {}
    for number, name in enumerate(sorted(shapes)):
        shape = shapes[name]
        even = np.random.default_rng(number).random(shape) * 2 - 1
        fan_in = np.prod(shape[1:]) if len(shape) > 1 else 16
        of_bn = "bn" in name or "shortcut.1" in name
        made[name] = np.float32(np.where(name.endswith("weight"), 1, OPEN) + even / 4 if of_bn
                                else even / fan_in ** 0.5)
    return made


def network():
    """The network as a PyTorch user would write it: F under "0", the head under "1", as the release's files."""
    import torch.nn.functional as F
    from torch import nn

    class Block(nn.Module):
        def __init__(self, channels, filters, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(filters)
            self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(filters)
            self.shortcut = nn.Sequential()
            if stride > 1:
                self.shortcut = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False),
                                              nn.BatchNorm2d(filters))

        def forward(self, x):
            y = F.relu(self.bn1(self.conv1(x)))
            return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    class ResNet18(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
            for stage, (channels, filters) in enumerate(((64, 64), (64, 128), (128, 256), (256, 512)), 1):
                blocks = Block(channels, filters, 1 if stage == 1 else 2), Block(filters, filters, 1)
                setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            self.fc_out = nn.Linear(512, 512)

        def forward(self, x):
            x = F.relu(self.bn1(self.conv1(x)))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return F.relu(self.fc_out(x.mean((2, 3))))

    return ResNet18()


def model(books):
    """F, the head and the codebooks."""
    import torch
    from torch import nn

    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(512, books * LENGTH)
            self.C = nn.Parameter(nn.init.xavier_uniform_(torch.empty(WORDS, books * LENGTH)))

        def distances(self, x):
            difference = x.unflatten(1, (books, 1, LENGTH)) - self.C.unflatten(1, (books, LENGTH)).transpose(0, 1)
            return difference.square().sum(-1)

        def forward(self, features):
            x = self.fc(features)
            soft = torch.softmax(-SCALE * self.distances(x), dim=-1)
            return x, torch.einsum("bmk,kmd->bmd", soft, self.C.unflatten(1, (books, LENGTH))).flatten(1)

    return nn.Sequential(network(), Head())


def loss(first, other):
    """The release's loss of (x, z) of one view and (x, z) of the other."""
    import torch
    import torch.nn.functional as F

    total = 0
    for x, z in ((first[0], other[1]), (other[0], first[1])):
        rows = F.normalize(torch.cat([x, z]), dim=1)
        logits = (rows @ rows.T / TEMPERATURE).fill_diagonal_(-torch.inf)
        total = total + F.cross_entropy(logits, torch.arange(len(rows)).roll(len(x)))
    return total


def training(batch_size):
    """A function that runs one Adam step on two views of `batch_size` random images each."""
    import torch

    torch.manual_seed(0)
    made = model(8).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.Adam(made.parameters(), lr=RATE, weight_decay=DECAY)
    views = [torch.rand(batch_size, 3, 32, 32).to(memory_format=torch.channels_last) for _ in range(2)]

    def step():
        optimiser.zero_grad(set_to_none=True)
        value = loss(*map(made, views))
        value.backward()
        optimiser.step()
        return value.item()

    return step


def encoding(batch_size):
    """A function that encodes `batch_size` random images: x and the nearest codewords."""
    import torch

    torch.manual_seed(0)
    made = model(8).to(memory_format=torch.channels_last).eval()
    images = torch.rand(batch_size, 3, 32, 32).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def encode():
        x = made[1].fc(made[0](images))
        return x, made[1].distances(x).argmin(-1)

    return encode


def reference():
    """{name: array}: the loss, the norms of the gradients (without decay) and of what one Adam step changes, by
    parameter in the order of names, two running statistics, x and codes in evaluation mode afterwards. shapes: int
    [parameters, 4], filled up with zeros."""
    import torch

    made = model(BOOKS).double().train()
    parameters = dict(sorted(made.named_parameters()))
    with torch.no_grad():
        for name, value in weights({name: tuple(p.shape) for name, p in parameters.items()}).items():
            parameters[name].copy_(torch.from_numpy(value))
    optimiser = torch.optim.Adam(made.parameters(), lr=RATE, weight_decay=DECAY)
    views = [torch.from_numpy(view).double().permute(0, 3, 1, 2) for view in images()]
    value = loss(*map(made, views))
    value.backward()
    gradients = {name: p.grad.clone() for name, p in parameters.items()}
    before = {name: p.detach().clone() for name, p in parameters.items()}
    optimiser.step()
    moved = {name: (p - before[name]).detach() for name, p in parameters.items()}
    made.eval()
    with torch.no_grad():
        x = made[1].fc(made[0](views[0]))
        codes = made[1].distances(x).argmin(-1)
    layer = made[0].layer3[0].shortcut[1]
    shapes = [[*p.shape, 0, 0, 0][:4] for p in parameters.values()]
    return {"names": np.array(list(parameters)), "shapes": np.array(shapes), "loss": value.item(),
            "gradients": [g.norm().item() for g in gradients.values()],
            "moved": [m.norm().item() for m in moved.values()],
            "moved_C": moved["1.C"].numpy(), "moving_mean": layer.running_mean.numpy(),
            "moving_variance": layer.running_var.numpy(), "x": x.numpy(), "codes": codes.numpy().astype(np.uint8)}


if __name__ == "__main__":
    np.savez_compressed(OUT, **reference())
