"""Train what `python -m utils.accelerate export` wrote beside this file. Needs jax, flatbuffers and numpy, and no
TensorFlow.

    python train.py               # every run of this folder that is not finished, one after another
    python train.py RUN [RUN ...]

A run is a folder; `log.jsonl` in it grows by a line every 10 steps, `progress.npz` is renewed every minute, and
`trained.npz` ends it. A run that was cut goes on where its progress stands. One whose numbers are no longer finite
stops there, keeps its last progress, and the others go on. Several may be started side by side, one for each device:
a run that another process trains is passed over.
"""
import argparse
import fcntl
import json
import os
import sys
import time
from pathlib import Path

import jax
import numpy as np
from jax import export

HERE = Path(__file__).resolve().parent
LOG_TERM = 10  # steps
SAVE_TERM = 60  # seconds


class Step:
    """One step of training; the state stays on the device, and new values take the buffers of the old."""

    def __init__(self, run, about, state):
        exported = export.deserialize(bytearray((run / "step.jaxexport").read_bytes()))
        names, updated, self._seen = about["state"], about["updated"], len(about["watched"])
        device = jax.devices()[0]  # named, as what a step returns is bound to it: else the second one compiles again
        self._moving = {names[place]: jax.device_put(state[names[place]], device) for place in updated}
        self._fixed = {name: jax.device_put(state[name], device) for name in state if name not in self._moving}
        moved = list(self._moving)

        def call(inputs, moving, fixed):
            results = exported.call(*inputs, *({**moving, **fixed}[name] for name in names))
            return results[:self._seen], dict(zip(moved, results[self._seen:], strict=True))

        self._call = jax.jit(call, donate_argnums=1)

    def __call__(self, *inputs):
        """The watched scalars, still on the device."""
        seen, self._moving = self._call(inputs, self._moving, self._fixed)
        return seen

    def state(self):
        """{TensorFlow variable name: array}"""
        return {name: np.asarray(value) for name, value in {**self._moving, **self._fixed}.items()}


def write(path, arrays):
    """Write `arrays` to `path`, whole or not at all."""
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def reopen(log, first):
    """Leave in an open log the lines of the steps up to `first`: later ones are done again, the last may be torn."""
    log.seek(0)
    lines = [line for line in log if line.endswith("\n") and json.loads(line)["step"] <= first]
    log.seek(0)
    log.truncate()
    log.writelines(lines)


def train(run, images, log):
    """Train one run to its end, telling the open file `log`. Returns whether its numbers stayed finite."""
    about = json.loads((run / "about.json").read_text())
    with np.load(run / "plan.npz") as plan:
        labels, indices = jax.device_put(plan["labels"]), plan["indices"].astype(np.int32)
    begun = run / "progress.npz"
    with np.load(begun if begun.exists() else run / "initial.npz") as file:
        state = dict(file)
    first, spent = int(state.pop("step", 0)), float(state.pop("seconds", 0))
    device = jax.devices()[0].device_kind
    step, seen, began, saved = Step(run, about, state), [], time.monotonic(), time.monotonic()
    reopen(log, first)
    print(f"{run.name}: iter {first} of {len(indices)}", flush=True)

    for number in range(first, len(indices)):
        seen.append(step(images, labels, indices[number], np.int32(number)))
        done, last = number + 1, number + 1 == len(indices)
        due = last or time.monotonic() - saved > SAVE_TERM
        if done % LOG_TERM and not due:
            continue
        values = np.array(jax.device_get(seen), np.float64)
        seen.clear()
        if not np.isfinite(values).all():
            print(f"{run.name}: not finite at iter {done}, stopped; lower learning_rate and export again")
            return False
        seconds = spent + time.monotonic() - began
        line = {"step": done, **dict(zip(about["watched"], values[-1].tolist(), strict=True)),
                "seconds": round(seconds, 2), "device": device}
        print(json.dumps(line), file=log, flush=True)
        if due:
            now = step.state()
            if not all(np.isfinite(value).all() for value in now.values()):
                print(f"{run.name}: weights not finite at iter {done}, stopped; lower learning_rate and "
                      "export again")
                return False
            write(run / ("trained.npz" if last else "progress.npz"), {**now, "step": done, "seconds": seconds})
            saved = time.monotonic()
            rate = (done - first) * indices[0].size / (seconds - spent)
            print(f"{run.name}: iter {done} of {len(indices)}, {line[about['watched'][0]]:.4f}, "
                  f"{rate:.0f} images/s", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description="Train the exported runs of this folder with JAX.")
    parser.add_argument("runs", nargs="*", help="names of runs; all of them where none is named")
    jax.config.update("jax_enable_x64", True)  # TensorFlow counts steps in int64
    named = [Path(name).name for name in parser.parse_args().runs]
    for name in named:
        if not (HERE / name / "about.json").exists():
            sys.exit(f"there is no run {name} in {HERE}")
    print(f"jax {jax.__version__} on {jax.devices()[0].device_kind}", flush=True)
    sound, loaded, images = True, None, None
    for name in named or sorted(file.parent.name for file in HERE.glob("*/about.json")):
        run = HERE / name
        with open(run / "log.jsonl", "a+") as log:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print(f"{name}: another process trains it")
                continue
            if (run / "trained.npz").exists():
                print(f"{name}: finished")
                continue
            file = json.loads((run / "about.json").read_text())["images"]
            if file != loaded:
                loaded, images = file, jax.device_put(np.load(HERE / file))
            sound &= train(run, images, log)
    sys.exit(not sound)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; run it again to go on")
