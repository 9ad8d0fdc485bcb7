"""The data: its split, its sample, bad files, and the download, from a server on loopback."""
import functools
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import forgery
import numpy as np
import pytest
import scipy.sparse
from forgery import ATTACKS, Executes, rewrite

from utils.data import cifar10
from utils.data.relevance import relevance
from utils.data.sample import make_sample
from utils.errors import UserError

SAMPLE = cifar10.HOME / "sample"
ORDER = np.load(cifar10.HOME / "release_order.npy")
ROLES = ("query", "labelled", "unlabelled", "gallery")
FULL = os.environ.get("CIFAR10_DIR")
needs_full = pytest.mark.skipif(not FULL, reason="CIFAR10_DIR does not name the full set")


@pytest.fixture(scope="module")
def sample():
    return cifar10.load(SAMPLE)


@pytest.fixture(scope="module")
def full():
    return cifar10.load(FULL)


def published_roles():
    """The published positions of protocol 1's queries, labelled and gallery images, as the rule says it."""
    query, labelled, gallery = list(ORDER[::60]), [], []
    for label in range(10):
        rest = [p for rank, p in enumerate(ORDER[6000 * label:6000 * (label + 1)]) if rank % 60]
        labelled, gallery = labelled + rest[:500], gallery + rest[500:]
    return query, labelled, gallery


def at(data, role):
    return data.positions[getattr(data, role)]


# ---------------------------------------------------------------- the split

def test_sample_is_every_tenth_image_of_each_role_of_the_full_split(sample):
    for role, places in zip(("query", "labelled", "gallery"), published_roles(), strict=True):
        assert at(sample, role).tolist() == places[::10]
    assert at(sample, "unlabelled").tolist() == at(sample, "gallery").tolist()


def test_sample_arrays_and_counts(sample):
    assert sample.sample and sample.images.shape == (6000, 32, 32, 3) and sample.images.dtype == np.uint8
    assert sample.labels.dtype == np.int64 and sample.positions.dtype == np.int32
    for role, count in zip(ROLES, (10, 50, 540, 540), strict=True):
        index = getattr(sample, role)
        assert index.dtype == np.int32
        assert sample.labels[index].tolist() == np.repeat(np.arange(10), count).tolist()
    everything = np.concatenate([sample.query, sample.labelled, sample.gallery])
    assert sorted(everything) == list(range(6000))


def test_sample_files_are_of_the_published_format():
    """What a stranger's reader of CIFAR-10 sees, and that nothing but pixels takes room."""
    positions = np.load(SAMPLE / "positions.npy")
    for number, name in enumerate(cifar10.BATCHES):
        with open(SAMPLE / name, "rb") as file:
            raw = file.read()
        batch = pickle.loads(raw, encoding="bytes")
        count = np.count_nonzero(positions // 10_000 == number)
        assert raw[:2] == b"\x80\x02" and b"numpy._core" not in raw[:5000]
        assert set(batch) == {b"batch_label", b"labels", b"data", b"filenames"}
        assert batch[b"data"].shape == (count, 3072) and batch[b"data"].dtype == np.uint8
        assert len(batch[b"labels"]) == len(batch[b"filenames"]) == count
        assert batch[b"filenames"][0].endswith(b".png")
    meta = pickle.loads((SAMPLE / "batches.meta").read_bytes(), encoding="bytes")
    assert tuple(name.decode() for name in meta[b"label_names"]) == cifar10.CLASS_NAMES
    assert 6000 * 3072 < sum(file.stat().st_size for file in SAMPLE.iterdir()) < 6000 * 3072 * 1.02


@pytest.mark.parametrize("known", [range(7), (9, 0, 4), {1, 2}])
def test_protocol_2_in_the_sample(sample, known):
    data = cifar10.load(SAMPLE, protocol=2, known_classes=known)
    rank = np.argsort(ORDER)[data.positions]
    train, seen = rank % 6000 < 3000, np.isin(data.labels, list(known))
    wanted = {"labelled": train & seen, "query": ~train & ~seen, "gallery": (train & ~seen) | (~train & seen)}
    for role, mask in wanted.items():
        index = getattr(data, role)
        assert np.all(np.diff(rank[index]) > 0) and sorted(index) == np.flatnonzero(mask).tolist()
    n = len(known)
    assert [len(data.labelled), len(data.query), len(data.gallery)] == [300 * n, 300 * (10 - n), 3000]
    assert data.unlabelled.tolist() == data.gallery.tolist()


@pytest.mark.parametrize("protocol, known", [(3, (0,)), (2, ()), (2, range(10)), (2, (1, 10)), (2, (-1, 2))])
def test_impossible_protocol_is_refused(protocol, known):
    with pytest.raises(UserError):
        cifar10.load(SAMPLE, protocol, tuple(known))


@needs_full
def test_full_split_follows_the_rule(full):
    assert not full.sample and full.positions.tolist() == list(range(60_000))
    for role, places in zip(("query", "labelled", "gallery"), published_roles(), strict=True):
        assert at(full, role).tolist() == places
    assert [len(getattr(full, role)) for role in ROLES] == [1000, 5000, 54_000, 54_000]
    for role in ROLES:
        assert len(set(np.bincount(full.labels[getattr(full, role)]))) == 1
    everything = np.concatenate([full.query, full.labelled, full.gallery])
    assert np.bincount(everything, minlength=60_000).tolist() == [1] * 60_000


@needs_full
def test_full_protocol_2_counts_of_table_1():
    data = cifar10.load(FULL, protocol=2)
    assert [len(getattr(data, role)) for role in ROLES] == [9000, 21_000, 30_000, 30_000]
    everything = np.concatenate([data.query, data.labelled, data.gallery])
    assert np.bincount(everything, minlength=60_000).tolist() == [1] * 60_000


@needs_full
def test_sample_images_are_the_full_sets(full, sample):
    assert np.array_equal(full.images[sample.positions], sample.images)
    assert np.array_equal(full.labels[sample.positions], sample.labels)
    for role in ROLES:
        assert set(at(sample, role)) <= set(at(full, role))


@needs_full
def test_images_are_upright_rgb(full):
    """Every pixel of two batches against the published layout: a row of red, then of green, then of blue."""
    for name, start in (("data_batch_3", 20_000), ("test_batch", 50_000)):
        rows = pickle.loads((Path(FULL) / name).read_bytes(), encoding="bytes")[b"data"]
        for y, x, channel in ((0, 0, 0), (0, 31, 2), (31, 0, 1), (5, 17, 2)):
            got = full.images[start:start + 10_000, y, x, channel]
            assert np.array_equal(got, rows[:, 1024 * channel + 32 * y + x])


@needs_full
def test_the_committed_sample_is_what_the_script_makes(tmp_path, sample):
    make_sample(FULL, tmp_path / "new")
    made = cifar10.load(tmp_path / "new")
    assert all(np.array_equal(a, b) for a, b in zip(made, sample, strict=True))
    assert (tmp_path / "new" / "batches.meta").read_bytes() == (SAMPLE / "batches.meta").read_bytes()


def test_a_sample_is_not_made_of_a_sample(tmp_path):
    with pytest.raises(UserError, match="full set"):
        make_sample(SAMPLE, tmp_path)


# ---------------------------------------------------------------- where the data lies

def test_sample_is_used_and_said_so_in_one_line(tmp_path, capsys):
    """An empty folder takes the repository's sample, one with a sample of its own takes that."""
    assert cifar10.load(tmp_path).sample
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "6,000" in said and str(SAMPLE) in said
    assert f"python -m utils.cifar10 fetch --data_dir={tmp_path}" in said
    shutil.copytree(SAMPLE, tmp_path / "sample")
    assert cifar10.load(tmp_path).sample
    assert str(tmp_path / "sample") in capsys.readouterr().err
    assert cifar10.load(tmp_path / "sample").sample and capsys.readouterr().err == ""  # asked for by name


@needs_full
def test_full_set_is_found_beside_the_sample_and_in_the_archives_folder(tmp_path, capsys, sample):
    (tmp_path / "sample").symlink_to(SAMPLE)
    (tmp_path / "cifar-10-batches-py").symlink_to(Path(FULL).resolve())
    data = cifar10.load(tmp_path)
    assert not data.sample and capsys.readouterr().err == ""
    assert np.array_equal(data.images[sample.positions], sample.images)


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-py"])
def test_partly_present_set_names_what_is_missing(tmp_path, inner):
    folder = tmp_path / inner
    folder.mkdir(exist_ok=True)
    for name in ("data_batch_1", "data_batch_2", "data_batch_4", "data_batch_5"):
        shutil.copy(SAMPLE / name, folder)
    with pytest.raises(UserError, match=f"lacks data_batch_3, test_batch; .*--data_dir={tmp_path}`"):
        cifar10.load(tmp_path)


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="no folder"):
        cifar10.load(tmp_path / "nowhere")


# ---------------------------------------------------------------- bad batches

@pytest.fixture
def folder(tmp_path):
    """A sample of one's own, to be spoilt."""
    for file in SAMPLE.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


def refused(folder, match="data_batch_2"):
    with pytest.raises(UserError, match=match) as caught:
        cifar10.load(folder)
    assert "\n" not in str(caught.value)


def test_a_rewritten_batch_is_read_as_before(folder, sample):
    """The tool of the tests below spoils nothing by itself, and numpy 2's own module name is admitted."""
    rewrite(folder / "data_batch_2")
    assert np.array_equal(cifar10.load(folder).images, sample.images)


@pytest.mark.parametrize("keep", [0, 1, 1000, 2_000_000, -1])
def test_truncated_batch(folder, keep):
    path = folder / "data_batch_2"
    path.write_bytes(path.read_bytes()[:keep])
    refused(folder)


@pytest.mark.parametrize("content", [
    b"<html>404 Not Found</html>", b"\x1f\x8b\x08" + bytes(100), bytes(5000),
    pickle.dumps([1, 2, 3], 2), pickle.dumps({b"data": 3, b"labels": []}, 2), pickle.dumps({}, 2)])
def test_foreign_batch(folder, content):
    (folder / "data_batch_2").write_bytes(content)
    refused(folder)


def test_batch_of_another_shape(folder):
    path = folder / "data_batch_2"
    pixels = pickle.loads(path.read_bytes(), encoding="bytes")[b"data"]
    for wrong in (pixels[:-1], pixels[:, :-3], pixels.reshape(-1), pixels.astype(np.int16),
                  np.asfortranarray(pixels), pixels[:9].tolist()):
        rewrite(path, data=wrong)
        refused(folder)


def test_bad_labels(folder):
    path = folder / "data_batch_2"
    good = pickle.loads(path.read_bytes(), encoding="bytes")[b"labels"]
    rewrite(path, labels=good[:-1])
    refused(folder)
    for wrong in ("3", 3.0, None, [3]):
        rewrite(path, labels=[wrong, *good[1:]])
        refused(folder)
    for outside in (10, -1, 2**40):
        rewrite(path, labels=[outside, *good[1:]])
        refused(folder, "outside 0 to 9")
    rewrite(path, labels=[(good[0] + 1) % 10, *good[1:]])
    refused(folder, "not the published ones")


@pytest.mark.parametrize("spoil", [
    lambda p: p[:-1], lambda p: p[::-1], lambda p: p.astype(np.int64), lambda p: p + 60_000, lambda p: p[:0],
    lambda p: p.reshape(2, -1), lambda p: p.astype(object)])
def test_bad_positions(folder, spoil):
    np.save(folder / "positions.npy", spoil(np.load(folder / "positions.npy")))
    refused(folder, "positions.npy|test_batch")


@pytest.mark.parametrize("attack", ATTACKS)
def test_malicious_batch_executes_nothing(folder, attack):
    (folder / "data_batch_2").write_bytes(attack(folder / "was executed"))
    refused(folder)
    assert not (folder / "was executed").exists()


def test_the_attacks_above_are_real(tmp_path):
    """The plain unpickler does execute them."""
    pickle.loads(pickle.dumps(Executes(os.mkdir, str(tmp_path / "was executed")), 2))
    assert (tmp_path / "was executed").exists()


# ---------------------------------------------------------------- cifar10_Similarity.mat

@pytest.mark.parametrize("sparse", [False, True])
def test_similarity_of_the_sample_is_the_full_files_matching_part(tmp_path, sample, sparse):
    dense = np.zeros((1000, 54_000), np.uint8)
    dense.flat[np.random.default_rng(0).integers(dense.size, size=500_000)] = 1
    matrix = scipy.sparse.csc_matrix(dense, dtype=float) if sparse else dense
    scipy.io.savemat(tmp_path / "s.mat", {"label_Similarity": matrix})
    got = relevance(tmp_path / "s.mat", sample)
    query, _, gallery = published_roles()
    rows = [query.index(p) for p in at(sample, "query")]
    column_of = {p: i for i, p in enumerate(gallery)}
    columns = [column_of[p] for p in at(sample, "gallery")]
    assert got.dtype == bool and np.array_equal(got, dense[rows][:, columns])
    with pytest.raises(UserError, match="protocol 1"):
        relevance(tmp_path / "s.mat", cifar10.load(SAMPLE, protocol=2))


@needs_full
def test_similarity_of_the_full_set_agrees_with_the_labels(tmp_path, full):
    same = full.labels[full.query][:, None] == full.labels[full.gallery]
    scipy.io.savemat(tmp_path / "s.mat", {"label_Similarity": same.astype(np.uint8)})
    assert np.array_equal(relevance(tmp_path / "s.mat", full), same)


def test_no_similarity_file(tmp_path, sample):
    assert relevance(tmp_path / "s.mat", sample) is None
    assert relevance("", sample) is None


@pytest.mark.parametrize("content, says", [
    ({"other": np.ones((2, 2))}, "no `label_Similarity`"),
    ({"label_Similarity": np.ones((54_000, 10), np.uint8)}, "shape"),
    ({"label_Similarity": scipy.sparse.csc_matrix((999, 54_000))}, "shape"),
    ({"label_Similarity": "text"}, "shape"),
    ({"label_Similarity": np.full((1000, 54_000), 2, np.uint8)}, "0 and 1"),
    ({"label_Similarity": scipy.sparse.csc_matrix(([np.nan], ([3], [4])), (1000, 54_000))}, "0 and 1")])
def test_bad_similarity(tmp_path, sample, content, says):
    scipy.io.savemat(tmp_path / "s.mat", content)
    with pytest.raises(UserError, match=says):
        relevance(tmp_path / "s.mat", sample)


@pytest.mark.parametrize("content", [
    b"", b"not a mat file" * 30, b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"x" * 99])
def test_foreign_similarity(tmp_path, sample, content):
    (tmp_path / "s.mat").write_bytes(content)
    with pytest.raises(UserError, match="not a .mat file"):
        relevance(tmp_path / "s.mat", sample)


# ---------------------------------------------------------------- fetch

FILES = {name: os.urandom(30_000) for name in (*cifar10.BATCHES, "batches.meta", "readme.html")}
tar = functools.partial(forgery.tar, "cifar-10-batches-py", FILES)
fetch = functools.partial(forgery.fetch, cifar10)
complete = functools.partial(forgery.complete, "cifar-10-batches-py", FILES)


@pytest.fixture
def server(server):
    server.content = tar()
    server.url += "/cifar-10-python.tar.gz"
    return server


def part(root):
    return root / "cifar-10-python.tar.gz.part"


def test_fetch_whole_then_nothing_more(server, tmp_path, capsys):
    fetch(server, tmp_path / "new" / "cifar10")
    assert complete(tmp_path / "new" / "cifar10")
    fetch(server, tmp_path / "new" / "cifar10")
    assert server.asked == [None] and "already complete" in capsys.readouterr().out


def test_fetch_beside_a_sample_and_a_partial_set(server, tmp_path):
    shutil.copytree(SAMPLE, tmp_path / "sample")
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"half")
    fetch(server, tmp_path)
    shutil.rmtree(tmp_path / "sample")
    assert complete(tmp_path)


@pytest.mark.parametrize("ranges", [True, False])
def test_fetch_goes_on_after_a_cut(server, tmp_path, ranges):
    server.ranges, server.at_most = ranges, 100_000
    with pytest.raises(UserError, match="goes on where it stopped"):
        fetch(server, tmp_path)
    have, server.at_most = part(tmp_path).stat().st_size, 10**9
    fetch(server, tmp_path)
    assert 0 < have <= 100_000 and server.asked == [None, f"bytes={have}-"] and complete(tmp_path)


def test_fetch_with_the_archive_all_there_asks_nobody(server, tmp_path):
    part(tmp_path).write_bytes(server.content)
    fetch(server, tmp_path)
    assert server.asked == [] and complete(tmp_path)


def test_fetch_truncated_at_the_server(server, tmp_path):
    archive, server.content = server.content, server.content[:-1000]
    with pytest.raises(UserError, match="ended after"):
        fetch(server, tmp_path, archive)
    assert list(tmp_path.iterdir()) == [part(tmp_path)]


@pytest.mark.parametrize("spoil", [
    lambda a: a[:5000] + b"?" + a[5001:], lambda a: a + b"more", lambda a: a * 20])
def test_fetch_corrupted(server, tmp_path, spoil):
    archive, server.content = server.content, spoil(server.content)
    with pytest.raises(UserError, match="not the official archive"):
        fetch(server, tmp_path, archive)
    assert list(tmp_path.iterdir()) == []


def test_fetch_after_a_bad_part(server, tmp_path):
    """A wrong beginning is found by the digest, deleted, and the next call succeeds."""
    part(tmp_path).write_bytes(b"x" * 1000)
    with pytest.raises(UserError, match="not the official archive"):
        fetch(server, tmp_path)
    fetch(server, tmp_path)
    assert complete(tmp_path)


INSIDE = "cifar-10-batches-py/"


@pytest.mark.parametrize("archive", [
    tar(("../evil", b"evil")),
    tar((INSIDE + "../../evil", b"evil")),
    tar(("/evil-cifar10", b"evil")),
    tar((INSIDE + "other", b"evil")),
    tar((INSIDE + "test_batch", b"a second one")),
    tar((INSIDE + "link", b"", tarfile.SYMTYPE, "/etc/passwd")),
    tar((INSIDE + "test_batch", b"", tarfile.SYMTYPE, "/etc/passwd"), leave_out=["test_batch"]),
    tar((INSIDE + "test_batch", b"", tarfile.LNKTYPE, INSIDE + "data_batch_1"), leave_out=["test_batch"]),
    tar((INSIDE + "test_batch", b"", tarfile.CHRTYPE), leave_out=["test_batch"]),
    tar((INSIDE + "test_batch", b"", tarfile.FIFOTYPE), leave_out=["test_batch"]),
    tar((INSIDE + "test_batch", b"", tarfile.DIRTYPE), leave_out=["test_batch"]),
    tar(("cifar-10-batches-py", b"", tarfile.SYMTYPE, "..")),
    tar(leave_out=["data_batch_4"]),
    tar()[:-20_000],
    b"no archive at all"])
def test_fetch_hostile_archive_writes_nothing(server, tmp_path, archive):
    server.content = archive
    with pytest.raises(UserError, match="8 files"):
        fetch(server, tmp_path / "in" / "data")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["in", "in/data"]
    assert not Path("/evil-cifar10").exists()


def test_fetch_refused_or_no_server(server, tmp_path):
    server.status = 404
    with pytest.raises(UserError, match="HTTP 404"):
        fetch(server, tmp_path)
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match="ConnectionError"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_fetch_full_disk(server, tmp_path):
    part(tmp_path).symlink_to("/dev/full")
    with pytest.raises(UserError, match="No space left"):
        fetch(server, tmp_path)


def test_fetch_into_a_file(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write"):
        fetch(server, tmp_path / "file" / "data")
    with pytest.raises(UserError, match="Cannot write"):
        fetch(server, tmp_path / "file")


# ---------------------------------------------------------------- the command line

@pytest.mark.parametrize("arguments", [
    ["sample", "--data_dir=nowhere", "--out={}"], ["fetch", "--data_dir={}/f/d"]])
def test_command_ends_in_one_sentence(tmp_path, arguments):
    (tmp_path / "f").write_text("")
    command = [sys.executable, "-m", "utils.cifar10", *(a.format(tmp_path) for a in arguments)]
    done = subprocess.run(command, cwd=cifar10.HOME.parent, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
