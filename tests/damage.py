"""Damaged files, from a seed, and what must be said of them."""
import numpy as np
import pytest

from gpq.utils.errors import UserError


def mutations(good, n, seed=0):
    """n damaged copies of bytes: bits flipped, parts cut, doubled or overwritten."""
    generator = np.random.default_rng(seed)
    for _ in range(n):
        content, at = bytearray(good), int(generator.integers(len(good)))
        match generator.integers(4):
            case 0:
                content[at] ^= 1 << int(generator.integers(8))
            case 1:
                del content[at:at + int(generator.integers(1, 99))]
            case 2:
                content[at:at] = content[at:at + int(generator.integers(1, 99))]
            case _:
                content[at:at + 4] = generator.bytes(4)
        yield bytes(content)


def sentence(call):
    """The one sentence by which `call()` refuses."""
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)
