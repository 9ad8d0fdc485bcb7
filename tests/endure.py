"""What commands leave that are killed, stopped, crowded or starved of disk, beside what an undisturbed one leaves.

    python tests/endure.py                                      # 30 kills of every job, about half an hour
    python tests/endure.py --jobs vectors encode --kills 5 --stops 2

A job is a small training, encoding or reproduction. It is killed (or sent Ctrl-C or SIGTERM) at random moments of its
course, and run again as a user would: what it ends with must be equal, bit for bit, and nothing half written may be
left. Then two of it run at once in one folder, its disk is full (a tmpfs, where one can be mounted) and then read-only.
Each process is forked when TensorFlow is imported, so that a round takes a second; the imports themselves are tested by
tests/utils/test_signals.py.
"""
import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import conftest  # noqa: E402
import made_up  # noqa: E402

from gpq import encode, reproduce, train  # noqa: E402
from gpq.utils import errors  # noqa: E402
from gpq.utils.checkpoints import runs  # noqa: E402
from gpq.utils.retrieval import cluster  # noqa: E402

SHIPPED = [f"--model_load_path={ROOT}/models/12bits_example.ckpt", "--n_book=3", "--follow=paper"]


class Job(NamedTuple):
    """module: whose main runs; arguments: of its command line, where {} is the folder of the data; result: (folder of a
    run) -> {name: array or text}, what it ends with, {} where it has not ended."""

    module: object
    arguments: list
    result: object


def trained(folder):
    found = sorted(Path(folder, "m").glob("*.ckpt.index"))
    final = [path for path in found if not path.name.split(".")[0].isdigit() and path.name != "interrupted.ckpt.index"]
    if not final or not Path(str(final[0]).replace(".index", ".json")).exists():
        return {}
    newest = max(found, key=lambda path: (path.name.split(".")[0].isdigit(), len(path.name), path.name))
    return {f"{path.name} {name}": value for path in (final[0], newest)
            for name, value in conftest.variables(str(path).removesuffix(".index")).items()}


def encoded(folder):
    return conftest.arrays(Path(folder, "codes.npz")) if Path(folder, "codes.npz").exists() else {}


def shards(folder):
    try:
        return {"codes": cluster.load(Path(folder, "codes"))[0].codes}
    except errors.UserError:  # it is not whole
        return {}


def reproduced(folder):
    lines = [line for path in Path(folder, "results").rglob("figure3*.jsonl") for line in path.read_text().splitlines()]
    return {str(number): json.loads(line)["evaluation"]["mAP"] for number, line in enumerate(lines)}


CONV = ["--data_dir={}/cifar10", "--ImagNet_pretrained_path=", "--batch_size=10", "--save_term=1",
        "--model_save_path=m"]
VECTORS = ["--embeddings={}/v.npz", "--save_term=2", "--model_save_path=m"]
JOBS = {
    "vectors": Job(train, [*VECTORS, "--n_book=2", "--batch_size=50", "--total_epochs=30"], trained),
    "wsdhq": Job(train, [*VECTORS, "--method=wsdhq", "--tags={}/t.npz", "--dimension=8", "--n_book=2", "--bn_word=4",
                         "--batch_size=60", "--iterations=60", "--hidden=[9]"], trained),
    "opq": Job(train, [*VECTORS[:1], "--method=opq", "--n_bits=8", "--model_save_path=m"], trained),
    "gpq": Job(train, [*CONV, "--n_book=3", "--len_code=4", "--total_epochs=4"], trained),
    "spq": Job(train, [*CONV, "--method=spq", "--protocol=1", "--batch_size=4", "--N_books=2", "--L_word=4",
                       "--total_epochs=2"], trained),
    "encode": Job(encode, [*SHIPPED, "--images={}/images.npy", "--out=codes.npz"], encoded),
    "shards": Job(encode, [*SHIPPED, "--images={}/images.npy", "--out=codes/"], shards),
    "reproduce": Job(reproduce, ["figure3", "--smoke", "--data_dir={}/cifar10", "--batch_size=10", "--bits", "12",
                                 "--metric_loss=triplet", "--ImagNet_pretrained_path="], reproduced),
}


def make_data(folder):
    _, labels = made_up.vectors()
    made_up.file(folder / "v.npz")
    made_up.tags(folder / "t.npz", labels)
    np.save(folder / "images.npy", np.random.default_rng(0).integers(0, 256, (1000, 32, 32, 3), np.uint8))
    (folder / "cifar10").mkdir()
    conftest.part_of_the_sample(folder / "cifar10", 25)


def started(job, data, folder):
    """The process id of `job` in `folder`, whose output goes to `folder`.told."""
    arguments = [argument.format(data) for argument in job.arguments]
    if job.module is train and runs.newest(folder / "m"):
        arguments.append("--resume")
    if child := os.fork():
        return child
    code = 1
    try:
        told = os.open(f"{folder}.told", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in 1, 2:
            os.dup2(told, stream)
        os.chdir(folder)
        sys.argv = [f"{job.module.__name__}.py", *arguments]
        errors.run(job.module.main)
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)


def ended(child):
    """The exit status of a process, negative where a signal killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(job, data, folder):
    return ended(started(job, data, folder))


def again(job, data, folder):
    """Run `job` until it is done, as a user would after a kill. Returns its exit status."""
    return 0 if job.module is train and job.result(folder) else run(job, data, folder)


def wrong(job, folder, expected):
    """What is wrong with what `job` has left in `folder`, in words; "" where nothing is."""
    found = job.result(folder)
    told = Path(f"{folder}.told").read_text(errors="replace")
    if found.keys() != expected.keys():
        return f"it holds {sorted(found)[:3]} and not {sorted(expected)[:3]}: {told[-300:]}"
    for name, value in expected.items():
        if not np.array_equal(found[name], value):
            return f"{name} is another"
    left = [str(path.relative_to(folder)) for path in folder.rglob("*")
            if path.name.startswith((".part-", ".unfinished-", ".saved-")) or path.name.endswith(".part")]
    return f"it left {left}" if left else ""


def sentence(folder):
    """Whether the run in `folder` ended in one sentence."""
    told = Path(f"{folder}.told").read_text(errors="replace")
    return "Traceback" not in told and told.rstrip().rpartition("\n")[2].count(": ") > 0


class Trial:
    """What happened to one job, {what: [how often, how often wrong]}, in folders below `scratch`."""

    def __init__(self, name, scratch, data, chance):
        self.name, self.job, self.data, self.chance = name, JOBS[name], data, chance
        self.counts, self._scratch, self._number = {}, scratch, 0
        undisturbed, began = self.folder(), time.perf_counter()
        code = run(self.job, data, undisturbed)
        self.seconds = time.perf_counter() - began
        self.expected = self.job.result(undisturbed)
        if code or not self.expected:
            raise SystemExit(f"{name} does not run: {Path(f'{undisturbed}.told').read_text()[-1000:]}")

    def folder(self):
        self._number += 1
        path = self._scratch / f"{self.name}{self._number}"
        path.mkdir()
        return path

    def note(self, what, fault):
        counts = self.counts.setdefault(what, [0, 0])
        counts[0] += 1
        if fault:
            counts[1] += 1
            print(f"WRONG {self.name}, {what}: {fault}", flush=True)

    def disturbed(self, number):
        """One run that gets the signal `number` at a random moment, and the one after it."""
        folder, moment = self.folder(), self.chance.uniform(0.05, self.seconds)  # a command begins later
        began, child, fault = time.perf_counter(), started(self.job, self.data, folder), ""
        over = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while time.perf_counter() - began < moment and not os.waitid(os.P_PID, child, over):
            time.sleep(0.005)
        if time.perf_counter() - began < moment:
            self.seconds = time.perf_counter() - began  # the machine is less busy than it was
        os.kill(child, number)
        first = ended(child)
        if number != signal.SIGKILL and first not in (0, 128 + number):
            fault = f"it ended with {first}"
        second = again(self.job, self.data, folder)
        if not fault and second:
            fault = f"the run after it ended with {second}: {Path(f'{folder}.told').read_text()[-300:]}"
        what = signal.Signals(number).name + ("" if first else ", too late")
        self.note(what, fault or wrong(self.job, folder, self.expected) and
                  f"after {moment:.2f} of {self.seconds:.2f} s {wrong(self.job, folder, self.expected)}")

    def two_at_once(self):
        folder = self.folder()
        codes = [ended(child) for child in [started(self.job, self.data, folder) for _ in range(2)]]
        if min(codes) == 2:  # each was in the other's way, as where both make a file in the same moment
            codes.append(again(self.job, self.data, folder))
        self.note("two at once", "" if set(codes) <= {0, 2} and 0 in codes else f"they ended with {codes}")
        self.note("two at once, what is left", wrong(self.job, folder, self.expected))

    def starved(self):
        """A disk that fills up after some of the bytes, then is read-only, then has room."""
        for share in self.chance.uniform(0, 1), 1.5:
            folder = self.folder()
            size = int(share * sum(path.stat().st_size for path in self._scratch.glob(f"{self.name}1/**/*")))
            if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={max(4096, size)}", "tmpfs", folder],
                              capture_output=True).returncode:
                return print("no tmpfs can be mounted: no disk is full", flush=True)
            try:
                for what in "full disk", "read-only disk":
                    code = run(self.job, self.data, folder)
                    fine = code == 0 or (code == 2 and sentence(folder))
                    told = Path(f"{folder}.told").read_text(errors="replace")[-500:]
                    self.note(what + ("" if code else ", enough"), "" if fine else f"it ended with {code}: {told}")
                    mode = "remount,ro" if what == "full disk" else "remount,rw,size=1g"
                    subprocess.run(["mount", "-o", mode, folder], check=True)
                code = again(self.job, self.data, folder)
                self.note("room again", f"it ended with {code}: {Path(f'{folder}.told').read_text()[-500:]}" if code
                          else wrong(self.job, folder, self.expected))
            finally:
                subprocess.run(["umount", folder], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--kills", type=int, default=30, help="kill -9, of each job")
    parser.add_argument("--stops", type=int, default=6, help="Ctrl-C and SIGTERM, of each job")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--no_disk", action="store_true", help="mount nothing")
    given = parser.parse_args()
    chance, failed, all_counts = random.Random(given.seed), 0, {}
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        data.mkdir()
        make_data(data)
        for name in given.jobs:
            trial = Trial(name, Path(scratch), data, chance)
            for _ in range(given.kills):
                trial.disturbed(signal.SIGKILL)
            for each in range(given.stops):
                trial.disturbed((signal.SIGINT, signal.SIGTERM)[each % 2])
            trial.two_at_once()
            if not given.no_disk:
                trial.starved()
            said = ", ".join(f"{what} {n}" + (f" ({bad} WRONG)" if bad else "") for what, (n, bad) in
                             trial.counts.items())
            print(f"{name}, {trial.seconds:.1f} s: {said}", flush=True)
            all_counts[name] = trial.counts
            failed += sum(bad for _, bad in trial.counts.values())
    print(json.dumps(all_counts))
    print(f"{failed} wrong")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
