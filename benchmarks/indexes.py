"""Top 100 among many codes: our exact search beside faiss's indexes of the same codes, with one thread and two.

    python benchmarks/indexes.py                                     # 10^5 and 10^6 codes of 12 books of 16 words
    python benchmarks/indexes.py --sizes 10000000 --queries=100      # our vectors alone take 5.8 GB

Recall is the share of the 100 that are as near as our exact hundredth. Memory is what the search holds: our vectors, or
the index as it is written. Ours and faiss take turns, and a figure is the best of the runs.
"""
import argparse
import sys
import time
from pathlib import Path

import faiss
import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gpq.utils.retrieval import search
from gpq.utils.retrieval.database import Database, reconstruct
from gpq.utils.retrieval.faiss import index_of

M, K, LENGTH, CENTRES, NEAREST = 12, 16, 12, 1000, 100
LISTS = 2000  # inverted lists at most; finding the centres of more takes longer than all the searches


def made_up(n, n_queries, rng):
    """n codes around a thousand centres, half of whose words are others, and queries near some of them."""
    centres = rng.integers(0, K, (CENTRES, M), dtype=np.uint8)
    codes = centres[rng.integers(0, CENTRES, n)]
    strays = rng.random((n, M), np.float32) < 0.5
    codes[strays] = rng.integers(0, K, strays.sum(), dtype=np.uint8)
    codebooks = rng.standard_normal((M, K, LENGTH), np.float32)
    queries = reconstruct(codebooks, codes[rng.integers(0, n, n_queries)])
    return Database(codes, codebooks, None, {}), queries + rng.standard_normal(queries.shape, np.float32)


def ours(database, queries, threads):
    search.WORKERS = threads
    with threadpool_limits(threads):
        return search.search(database, queries, NEAREST)[1]


def theirs(index, queries, threads):
    faiss.omp_set_num_threads(threads)
    return index.search(queries, NEAREST)[1]


def ways(database, lists):
    """(name, what searches, its argument, MiB) of each."""
    gallery, plain = database.gallery, index_of(database)
    held = sum(array.nbytes for array in (gallery.vectors, gallery.inverse, gallery.counts, gallery.pictures))
    yield "ours, exact", ours, database, held / 2**20
    inverted = index_of(database, lists)
    inverted.nprobe = 16
    for name, index in (("IndexPQ", plain), ("IndexPQFastScan", faiss.IndexPQFastScan(plain)),
                        (f"IndexIVFPQ, 16 of {lists} lists", inverted)):
        yield name, theirs, index, len(faiss.serialize_index(index)) / 2**20


def measure(n, n_queries, runs):
    """Print the rows of n codes."""
    database, queries = made_up(n, n_queries, np.random.default_rng(0))
    rows = list(ways(database, min(int(2 * n ** 0.5), LISTS)))
    last = search.search(database, queries, NEAREST)[0][:, -1:]
    best, found = {}, {}
    for _ in range(runs):
        for threads in (1, 2):
            for name, way, what, _ in rows:
                began = time.perf_counter()
                found[name] = way(what, queries, threads)
                rate = n_queries / (time.perf_counter() - began)
                best[name, threads] = max(rate, best.get((name, threads), 0))
    for name, _, _, memory in rows:
        vectors = reconstruct(database.codebooks, database.codes[found[name].ravel()]).reshape(n_queries, NEAREST, -1)
        distances = M - np.einsum("qd,qnd->qn", queries, vectors)
        recall = ((distances <= last + 1e-3) & (found[name] >= 0)).mean()
        print(f"{n:>10,}  {name:30}{recall:8.3f}{memory:10.1f}{best[name, 1]:12.1f}{best[name, 2]:12.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10**5, 10**6], help="numbers of codes")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    print(f"faiss {faiss.__version__}, numpy {np.__version__}, {options.queries} queries, top {NEAREST}\n"
          f"{'codes':>10}  {'':30}{'recall':>8}{'MiB':>10}{'q/s, 1 thr.':>12}{'2 threads':>12}")
    for n in options.sizes:
        measure(n, options.queries, options.runs)


if __name__ == "__main__":
    main()
