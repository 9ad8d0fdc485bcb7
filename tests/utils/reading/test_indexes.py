"""Damaged index files: what faiss wrote of each kind, with wrong lengths and wrong bytes."""
import resource

import faiss
import numpy as np
import pytest

from gpq.utils.errors import UserError
from gpq.utils.reading import indexes

faiss.omp_set_num_threads(1)
X = np.random.default_rng(0).standard_normal((60, 8), np.float32)


def written(kind):
    """The bytes of a small index of that kind, as faiss writes it."""
    if kind.startswith("B"):
        index, x = faiss.index_binary_factory(16, kind), np.random.default_rng(0).integers(0, 256, (60, 2), np.uint8)
    else:
        index, x = faiss.index_factory(8, kind), X
    index.train(x)
    index.add(x)
    serialize = faiss.serialize_index_binary if kind.startswith("B") else faiss.serialize_index
    return serialize(index).tobytes()


KINDS = ["PQ2x3", "RQ2x3", "LSQ2x3", "BFlat"]


def read(path, content):
    path.write_bytes(content)
    try:
        index = indexes.read(path)
    except UserError as error:
        assert "\n" not in str(error) and "is damaged or no faiss index" in str(error)
        return None
    assert len(index.codes) == 60
    assert index.codebooks is None or index.codes.max() < index.codebooks.shape[1]
    return index


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_refused_in_bounded_memory(kind, tmp_path):
    """A length of 2^40 at every place, cut files, and 300 seeded wrong bytes."""
    sound, path, generator = written(kind), tmp_path / "x.faiss", np.random.default_rng(0)
    assert read(path, sound)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for place in range(len(sound) - 8):
        if int.from_bytes(sound[place:place + 8], "little") in (2, 3, 60, len(sound), 120, 64, 128, 180, 240):
            read(path, sound[:place] + (2 ** 40).to_bytes(8, "little") + sound[place + 8:])
    for length in generator.integers(len(sound), size=50):
        assert read(path, sound[:length]) is None
    for place in generator.integers(len(sound), size=300):
        spoilt = bytearray(sound)
        spoilt[place] = generator.choice([spoilt[place] ^ 1 << generator.integers(8), 0, 255])
        read(path, spoilt)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_lengths_are_held_against_the_file(tmp_path):
    sound = written("PQ2x3")
    for wrong in (2 ** 32, 2 ** 39, 2 ** 63, 2 ** 64 - 1):  # of the codewords, behind header and three numbers
        assert read(tmp_path / "x.faiss", sound[:61] + wrong.to_bytes(8, "little") + sound[69:]) is None
    with pytest.raises(UserError, match="there is no file .*none"):
        indexes.read(tmp_path / "none")
