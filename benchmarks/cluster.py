"""Pictures a second by one and by two workers of a Ray cluster on this machine, and what a picture costs a core.

    python benchmarks/cluster.py --images=FOLDER --out=FOLDER/    # and any setting of encode.py

It leaves the shards in `0`, `1` and `2` below OUT, by the number of workers. The rate is taken from the first shard
that is done to the last, without the start.
"""
import os
import sys
import time
from pathlib import Path

import ray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import encode  # noqa: E402
from utils import settings  # noqa: E402
from utils.checkpoints import runs  # noqa: E402
from utils.cluster import encoding, work  # noqa: E402


def main():
    os.environ.update(work.ONE_THREAD)
    checkpoint, config = runs.chosen(settings.from_command_line(encode.Options))
    recipe = encoding.Recipe.of(config, checkpoint)
    (count, names), encoder = encoding.listed(recipe.source), recipe.encoder()
    for workers in (0, 1, 2):
        store = encoding.begun(config, checkpoint, encoder, count, names, f"{config.out}{workers}")
        if workers:
            ray.init(address="local", num_cpus=workers, log_to_driver=False)
            told = work.on_ray(store, recipe.source, recipe.encoder, names, "local")
        else:
            told = work.here(store, recipe.source, lambda: encoder, names)
        next(told)
        began, rest = time.perf_counter(), list(told)
        seconds, done = time.perf_counter() - began, sum(len(store.rows(each["number"])) for each in rest)
        busy = sum(each["seconds"] for each in rest) / done
        print(f"{workers or 'no'} workers: {done} pictures in {seconds:.1f} s, {done / seconds:.1f} a second, "
              f"{1000 * busy:.2f} ms of a core each", flush=True)
        if workers:
            ray.shutdown()


if __name__ == "__main__":
    main()
