"""Signals end a command at any moment in one line, with 128 and their number, and leave nothing half written."""
import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT

SCRIPT = '''if __name__ == "__main__":
    from gpq.utils.errors import run
    run("{name}")

import time
from gpq.utils import errors, files
{import_}

def main():
    {main}
'''
WRITING = '''with files.whole("out") as file:
        print("begun", flush=True)
        try:
            time.sleep(60)
        except BaseException:  # what a library may do
            time.sleep(60)'''
IMPORTING = '''try:
    print("begun", flush=True)
    time.sleep(60)
except BaseException:
    pass'''


@pytest.fixture
def started(tmp_path):
    """started(**parts of SCRIPT): such a script, in `tmp_path`, once it has printed a line."""
    def start(**parts):
        (tmp_path / "it.py").write_text(SCRIPT.format(**{"name": "it", "import_": "", "main": "pass", **parts}))
        process = subprocess.Popen([sys.executable, "it.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                                   stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert process.stdout.readline() == "begun\n"
        return process
    return start


@pytest.mark.parametrize("number, said", [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
@pytest.mark.parametrize("parts", [{"import_": IMPORTING}, {"main": WRITING}], ids=["imports", "writing"])
def test_a_signal_is_one_line_at_any_moment(started, tmp_path, parts, number, said):
    process = started(**parts)
    process.send_signal(number)
    assert process.communicate(timeout=30) == ("", f"it.py: stopped by {said}\n")
    assert process.returncode == 128 + number
    assert {path.name for path in tmp_path.iterdir()} <= {"it.py", "__pycache__"}


def test_a_reader_that_has_gone_ends_it_quietly(started):
    process = started(main='print("begun", flush=True)\n    time.sleep(0.1)\n    print("more")')
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait() == 128 + signal.SIGPIPE


def test_a_disk_that_is_full_is_one_sentence(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", "from gpq.utils import errors; errors.run(lambda: print(1))"],
                              stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "No space left on device" in done.stderr


def test_closed_streams_lead_nowhere(tmp_path):
    main = f"print(1, file=open({str(tmp_path / 'it')!r}, 'w')) or print(2)"
    code = f"from gpq.utils import errors; errors.run(lambda: {main})"
    closed = f"exec {sys.executable} -c \"$0\" <&- >&- 2>&-"
    assert subprocess.run(["bash", "-c", closed, code], cwd=ROOT).returncode == 0
    assert (tmp_path / "it").read_text() == "1\n"
