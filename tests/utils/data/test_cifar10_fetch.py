"""CIFAR-10's download, from a server on loopback."""
import functools
import os
import shutil
import tarfile
from pathlib import Path

import forgery
import pytest
from split_rule import SAMPLE

from gpq.utils.data import cifar10
from gpq.utils.errors import UserError

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
