"""A little of what tests/endure.py does at length."""
import re
import subprocess
import sys

from conftest import ROOT


def test_a_training_ends_as_if_undisturbed_after_a_kill_and_a_stop():
    done = subprocess.run([sys.executable, ROOT / "tests" / "endure.py", "--jobs", "vectors", "--kills=1", "--stops=1",
                           "--no_disk"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"SIGKILL.* 1, SIGINT.* 1, two at once 1, ", done.stdout) and done.stdout.endswith("\n0 wrong\n")
