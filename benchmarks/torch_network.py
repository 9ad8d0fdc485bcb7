"""The same network, losses and optimiser in PyTorch, channels-last: what ours is timed against."""
import torch
import torch.nn.functional as F
from torch import nn


class ModifiedVGG(nn.Module):
    """Section 4.1's network as a PyTorch user would write it. Images: float32 [B, 3, 32, 32]."""

    def __init__(self, dimension):
        super().__init__()

        def block(channels, filters, n):
            layers = []
            for k in range(n):
                layers += [nn.Conv2d(channels if k == 0 else filters, filters, 3, padding=1),
                           nn.BatchNorm2d(filters, eps=1e-3, momentum=0.1), nn.ReLU(inplace=True)]
            return layers

        self.lower = nn.Sequential(*block(3, 64, 2), nn.MaxPool2d(2), *block(64, 128, 2), nn.MaxPool2d(2),
                                   *block(128, 256, 3), nn.MaxPool2d(2))
        self.upper = nn.Sequential(*block(256, 512, 3))
        self.dense = nn.Linear(768, dimension)

    def forward(self, x):
        middle = self.lower(x)
        return self.dense(torch.cat([self.upper(middle).mean((2, 3)), middle.mean((2, 3))], dim=1))


class GPQ(nn.Module):
    """The release's losses on the network above."""

    def __init__(self, n_book=12, intn_word=16, len_code=12, n_classes=10, alpha=20.0, beta=4.0):
        super().__init__()
        self.network = ModifiedVGG(n_book * len_code)
        self.codebooks = nn.Parameter(torch.randn(intn_word, n_book, len_code) * 0.1)
        self.prototypes = nn.Parameter(torch.randn(n_classes, n_book, len_code) * 0.1)
        self.alpha, self.beta = alpha, beta

    def soft_assignment(self, x, codewords):
        weights = torch.softmax(self.alpha * torch.einsum("bmd,kmd->bmk", x, codewords), dim=-1)
        return F.normalize(torch.einsum("bmk,kmd->bmd", weights, codewords), dim=-1)

    def forward(self, labelled, labels, unlabelled):
        shape = self.codebooks.shape[1:]
        prototypes = F.normalize(self.prototypes, dim=-1)
        codewords = self.soft_assignment(self.codebooks, prototypes)
        x = F.normalize(self.network(labelled).unflatten(1, shape), dim=-1)
        q = self.soft_assignment(x, codewords)
        raw = self.network(unlabelled).unflatten(1, shape)
        u = F.normalize(raw.detach() * 2 - raw, dim=-1)  # identity forward, -1 x gradient backward
        targets = labels @ labels.T
        n_pair = F.cross_entropy(x.flatten(1) @ q.flatten(1).T, targets / targets.sum(1, keepdim=True))
        logits = [self.beta ** 2 * torch.einsum("bmd,cmd->bmc", t, prototypes).mean(1) for t in (x, u)]
        p = torch.softmax(logits[1], dim=-1)
        entropy = -(p * torch.log(p + 1e-5)).sum(-1).mean()
        return n_pair + 0.1 * F.cross_entropy(logits[0], labels) - 0.1 * entropy


def training(batch_size):
    """A function that runs one Adam step on `batch_size` labelled and as many unlabelled random images."""
    torch.manual_seed(0)
    model = GPQ().to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.5, 0.999))
    images = [torch.randn(batch_size, 3, 32, 32).to(memory_format=torch.channels_last) for _ in range(2)]
    labels = F.one_hot(torch.arange(batch_size) % 10, 10).float()

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = model(images[0], labels, images[1])
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def encoding(batch_size):
    """A function that encodes `batch_size` random images: features and the nearest codewords."""
    torch.manual_seed(0)
    model = GPQ().to(memory_format=torch.channels_last).eval()
    images = torch.randn(batch_size, 3, 32, 32).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def encode():
        x = model.network(images).unflatten(1, model.codebooks.shape[1:])
        return torch.einsum("bmd,kmd->bmk", x, F.normalize(model.codebooks, dim=-1)).argmax(-1)

    return encode
