"""EfficientNet-Lite in PyTorch, channels-last: what ours is timed against."""
import math

import torch
import torch.nn.functional as F
from torch import nn

SIDE = 224
# How many blocks, kernel size, stride of the first, expansion and filters, in Lite0; width and depth of the variants.
BLOCKS = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
          (1, 3, 1, 6, 320))
SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))


class Layer(nn.Module):
    """Convolution with TensorFlow's SAME padding, batch normalisation, ReLU6. Images: float32 [B, C, H, W]."""

    def __init__(self, channels, filters, size=1, stride=1, groups=1, relu=True):
        super().__init__()
        padding = size // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(channels, filters, size, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.1)
        self.relu = nn.ReLU6(inplace=True) if relu else nn.Identity()
        self.odd = (size - 2) // 2, size - 2 - (size - 2) // 2  # what a stride of 2 pads, on an even side

    def forward(self, x):
        if self.conv.stride[0] == 2:
            x = F.pad(x, self.odd * 2)
        return self.relu(self.norm(self.conv(x)))

    def fold(self):
        """Batch normalisation taken into the kernel, as ours does in retrieval."""
        self.conv, self.norm = nn.utils.fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class Block(nn.Module):
    def __init__(self, channels, size, stride, expansion, filters):
        super().__init__()
        wide = channels * expansion
        self.layers = nn.Sequential(
            *([Layer(channels, wide)] if expansion > 1 else []),
            Layer(wide, wide, size, stride, groups=wide),
            Layer(wide, filters, relu=False))
        self.shortcut = stride == 1 and channels == filters

    def forward(self, x):
        return x + self.layers(x) if self.shortcut else self.layers(x)


class EfficientNetLite(nn.Module):
    """Images: float32 [B, 3, SIDE, SIDE]. Returns the 1,280 pooled numbers."""

    def __init__(self, variant):
        super().__init__()
        width, depth = SCALES[variant]
        layers, channels = [Layer(3, 32, 3, 2)], 32
        for k, (number, size, stride, expansion, filters) in enumerate(BLOCKS):
            filters = round(filters * width / 8) * 8
            for n in range(number if k in (0, len(BLOCKS) - 1) else math.ceil(number * depth)):
                layers.append(Block(channels, size, 1 if n else stride, expansion, filters))
                channels = filters
        self.layers = nn.Sequential(*layers, Layer(channels, 1280))

    def forward(self, x):
        return self.layers(x).mean((2, 3))


def encoding(variant, batch_size, folded):
    """A function that takes `batch_size` images through the network, already enlarged, on all cores."""
    network = EfficientNetLite(variant).eval()
    for layer in network.modules() if folded else ():
        if isinstance(layer, Layer):
            layer.fold()
    network = network.to(memory_format=torch.channels_last)
    images = torch.randn(batch_size, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode():
            network(images)
    return run
