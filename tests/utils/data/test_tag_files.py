"""The released program's two files: there and back, what a pickle may hold, and hostile ones."""
import collections
import os
import pickle

import numpy as np
import pytest

from gpq.utils.data.tags import released
from gpq.utils.data.tags.merging import Merging
from gpq.utils.errors import UserError

NAMES = ["sun", "suns", "rain", "x9y"]


def kept(folder, groups=None, vectors="1 0\n0 2\n", protocol=2):
    (folder / released.VECTORS).write_text(vectors)
    with open(folder / released.GROUPS, "wb") as file:
        pickle.dump({0: [0, 1], 1: [2], -1: [3]} if groups is None else groups, file, protocol)
    return folder


def test_there_and_back(tmp_path):
    made = Merging(np.random.default_rng(0).standard_normal((2, 300)).astype(np.float32),
                   [np.array([0, 1]), np.array([2])], np.array([3]))
    released.write(tmp_path / "tags", made, NAMES)
    found = released.read(tmp_path / "tags", NAMES)
    np.testing.assert_allclose(found.vectors, made.vectors, rtol=1e-6)
    assert [group.tolist() for group in found.groups] == [[0, 1], [2]] and found.dropped.tolist() == [3]
    with pytest.raises(UserError, match="made of other tags"):
        released.read(tmp_path / "tags", ["sun", "rain", "suns", "x9y"])


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_what_the_lost_program_may_have_written(tmp_path, protocol):
    """numpy's numbers, a defaultdict; the order of the keys is that of the lines."""
    groups = collections.defaultdict(list)
    groups[np.int64(1)].append(np.int64(2))
    groups[np.int64(0)] += [np.int64(0), 1]
    groups[np.int64(-1)].append(np.int64(3))
    found = released.read(kept(tmp_path, groups, protocol=protocol), NAMES)
    assert [group.tolist() for group in found.groups] == [[2], [0, 1]] and found.dropped.tolist() == [3]


class Hostile:
    def __init__(self, call, *arguments):
        self._made = call, arguments

    def __reduce__(self):
        return self._made


@pytest.mark.parametrize("call", [os.system, eval, exec, os.mkdir])
def test_a_hostile_pickle_does_nothing(tmp_path, call):
    trace = tmp_path / "trace"
    argument = {os.system: f"touch {trace}", os.mkdir: str(trace)}.get(call, f"__import__('os').mkdir({str(trace)!r})")
    for groups in (Hostile(call, argument), {0: Hostile(call, argument)}, {Hostile(call, argument): [0]}):
        with pytest.raises(UserError, match="is damaged or no dict"):
            released.read(kept(tmp_path, groups), NAMES)
    assert not trace.exists()


@pytest.mark.parametrize("groups, vectors, message", [
    ({0: [0]}, "1 0\n0 2\n", "2 vectors in FinalTagEmbs.txt and 1 tags"),
    ({0: [0], 1: [4]}, "1 0\n0 2\n", "there are 4"),
    ({0: [0], 1: [-1]}, "1 0\n0 2\n", "there are 4"), ({0: [0], 1: []}, "1 0\n0 2\n", "no dict of lists"),
    ({0: [0], 1: ["a"]}, "1 0\n0 2\n", "no dict of lists"), ([0, 1], "1 0\n0 2\n", "no dict of lists"),
    (None, "1 0\n0\n", "as many in each line"), (None, "1 0\n0 nan\n", "not finite"), (None, "1 a\n", "no table"),
    (None, "1 0\n0 0\n", "a vector in .*FinalTagEmbs.txt is 0"),
    (None, " \n", "FinalTagEmbs.txt .*holds no numbers"),
    ({-1: [0, 1, 2, 3]}, "", "holds no numbers")])
def test_files_that_do_not_fit(tmp_path, groups, vectors, message):
    with pytest.raises(UserError, match=message):
        released.read(kept(tmp_path, groups, vectors), NAMES)


def test_absent_and_cut_files(tmp_path):
    with pytest.raises(UserError, match="there is no .*FinalTagEmbs.txt; make it anew by python -m utils.data.tags"):
        released.read(tmp_path, NAMES)
    path = kept(tmp_path) / released.GROUPS
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="damaged"):
        released.read(tmp_path, NAMES)
