"""The file of codes: cut and gone on with, pictures that cannot be read, and memory."""
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from made_up_pictures import jpeg

from gpq.utils.data import lazy
from gpq.utils.retrieval import code_file


class Sums:
    """Stands in for an Encoder: a feature is the sum of an image's bytes, a code is that modulo 251, twice."""

    batch, cut = 3, None

    def __init__(self):
        self.seen = []

    def __call__(self, images):
        sums = np.asarray(images[:]).reshape(len(images), -1).sum(1)[:, np.newaxis]
        return sums.astype(np.float32), np.repeat(sums % 251, 2, 1).astype(np.uint8)

    def batches(self, images, title, first, with_features):
        for start in range(first, len(images), self.batch):
            if start == self.cut:
                raise KeyboardInterrupt
            self.seen.append(start)
            made = self(images[start:start + self.batch])
            yield made if with_features else made[1:]


@pytest.fixture
def folder(tmp_path):
    """Ten pictures in a folder and a subfolder; the sixth and the last, in the order of their paths, are broken."""
    (tmp_path / "mine" / "sub").mkdir(parents=True)
    for k in range(10):
        content = jpeg(40, 30, k)[:90 if k in (5, 9) else None]
        (tmp_path / "mine" / ("" if k < 5 else "sub") / f"{k}.jpg").write_bytes(content)
    return tmp_path / "mine"


def test_a_cut_run_goes_on_and_names_what_cannot_be_read(folder, tmp_path, capsys):
    images, names = lazy.read_all(folder, 32, leave_out=True)
    assert names[4:6].tolist() == ["4.jpg", "sub/5.jpg"]
    encoder = Sums()
    encoder.cut = 6
    with pytest.raises(KeyboardInterrupt):
        code_file.kept(tmp_path / "c.npy", encoder, images, {"checkpoint": "a"})
    with open(tmp_path / "c.npy.part", "ab") as file:
        file.write(b"torn")
    again = Sums()
    images, _ = lazy.read_all(folder, 32, leave_out=True)
    found = code_file.kept(tmp_path / "c.npy", again, images, {"checkpoint": "a"})
    assert again.seen == [6, 9]
    assert np.flatnonzero(~found["there"]).tolist() == [5, 9]
    whole = Sums()(lazy.read_readable(folder, 32))
    np.testing.assert_array_equal(found["features"][found["there"]], whole[0])
    np.testing.assert_array_equal(found["codes"][found["there"]], whole[1])
    said = capsys.readouterr()
    assert [said.err.count(f"mine/sub/{k}.jpg cannot be read and is left out") for k in (5, 8, 9)] == [1, 0, 1]
    assert "c.npy.part: goes on after 6 of 10 pictures" in said.out and "pictures/s" in said.out


def test_what_is_done_is_on_the_disk_before_the_next_batch_is(folder, tmp_path):
    """So that kill -9, after which nothing is written any more, loses one batch."""
    sizes = []

    class Watched(Sums):
        def batches(self, *arguments, **more):
            for made in super().batches(*arguments, **more):
                sizes.append((tmp_path / "c.npy.part").stat().st_size)
                yield made

    found = code_file.kept(tmp_path / "c.npy", Watched(), lazy.read_all(folder, 32, leave_out=True)[0], {})
    assert np.diff(sizes).tolist() == [3 * found.dtype.itemsize] * 3


def test_a_changed_picture_begins_anew_once_the_file_is_whole(folder, tmp_path):
    for changed, seen in ((False, [0, 3, 6, 9]), (False, []), (True, [0, 3, 6, 9])):
        if changed:
            os.utime(folder / "3.jpg", ns=(0, 0))
        encoder = Sums()
        code_file.kept(tmp_path / "c.npy", encoder, lazy.read_all(folder, 32, leave_out=True)[0], {})
        assert encoder.seen == seen


def test_what_leave_out_stands_for(folder):
    images, _ = lazy.read_all(folder, 32, leave_out=True)
    assert not images[5].any() and images[4].any() and list(images.faults) == [5]


def test_mapped_vectors_take_no_memory(tmp_path):
    """60 MB of vectors, digested and read through, in a process that may not grow by as much."""
    np.save(tmp_path / "v.npy", np.zeros((30_000, 500), np.float32))
    program = ("import resource, sys, numpy as np\n"
               "from gpq.utils import files; from gpq.utils.data import embeddings\n"
               "from gpq.utils.retrieval import block_file\n"
               "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
               "before = peak(); vectors = embeddings.read_vectors(sys.argv[1]); block_file.digest(vectors)\n"
               "print(len(vectors), (peak() - before) // 1024)")
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "v.npy"], capture_output=True, text=True, cwd=ROOT)
    n, grown = map(int, done.stdout.split())
    assert n == 30_000 and grown < 30
