"""What a training says, and how it is asked to stop."""
import os
import signal
import sys

import pytest

from gpq.model.tf1 import tf
from gpq.utils.training.logs import interrupts, say, scalars, write_scalars


@pytest.fixture
def hangup():
    """Let SIGHUP be as in a terminal, whatever these tests were started by."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_under_nohup_the_end_of_the_terminal_is_ignored(hangup):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interrupts() as interrupted:
        signal.raise_signal(signal.SIGHUP)
        assert not interrupted()


def test_signals_only_ask(hangup):
    asking = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE
    before = {number: signal.getsignal(number) for number in asking}
    for number in before:
        with interrupts() as interrupted:
            assert not interrupted()
            signal.raise_signal(number)
            assert interrupted() == number
        assert {each: signal.getsignal(each) for each in before} == before
    with pytest.raises(ZeroDivisionError), interrupts():
        1 / 0  # noqa: B018
    assert {each: signal.getsignal(each) for each in before} == before


def test_a_training_that_nobody_reads_is_asked_to_stop(monkeypatch):
    """Its line goes nowhere, and no exception comes of it, nor of the next ones."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as stdout, interrupts() as interrupted:
        monkeypatch.setattr(sys, "stdout", stdout)
        say("a")
        assert interrupted() == signal.SIGPIPE
        say("b")


def test_scalars_can_be_read_back(tmp_path):
    with tf.Graph().as_default(), tf.summary.FileWriter(str(tmp_path / "below")) as writer:
        write_scalars(writer, 10, total=2.5, mAP=0.25)
    assert scalars(tmp_path) == {"total": {10: 2.5}, "mAP": {10: 0.25}}
