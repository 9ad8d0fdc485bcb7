"""1,000 queries x 54,000 pictures, from features to mAP: ours, faiss, and the way of the release, in one run.

    python benchmarks/search.py                      # two made-up galleries: codes collide, or all differ
    python benchmarks/search.py --database=x.npz     # the gallery of a saved database
    python benchmarks/search.py --slow=1000          # the slow way whole instead of scaled up
    python benchmarks/search.py --norms              # SPQ's: 10,000 queries x 50,000 pictures, norms, mAP@1000

The slow way goes the release's steps in code of our own. The release itself, measured apart on two AMD EPYC
cores, took 79 s.
"""
import argparse
import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gpq.utils.data.relevance import SharedLabels
from gpq.utils.retrieval import metrics
from gpq.utils.retrieval.database import Database, reconstruct

N, QUERIES, CLASSES, M, K, D = 54_000, 1000, 10, 12, 16, 12
GALLERY_LABELS = np.repeat(np.eye(CLASSES, dtype=bool), N // CLASSES, axis=0)
QUERY_LABELS = np.resize(np.eye(CLASSES, dtype=bool), (QUERIES, CLASSES))


def colliding(rng):
    """About 2,700 codes around ten class centres, a few of them frequent, a quarter of the pictures off."""
    centres = rng.integers(0, K, (CLASSES, 1, M), dtype=np.uint8)
    strays = rng.random((CLASSES, 320, M)) < np.linspace(0, 0.6, 320)[:, None]
    codes = np.where(strays, rng.integers(0, K, strays.shape, dtype=np.uint8), centres)
    frequency = 1 / np.arange(5, 325)

    def draw(labels):
        seen_as = np.where(rng.random(len(labels)) < 0.25, rng.integers(0, CLASSES, len(labels)), labels)
        return codes[seen_as, rng.choice(320, len(labels), p=frequency / frequency.sum())]

    codebooks = rng.standard_normal((M, K, D)).astype(np.float32)
    queries = reconstruct(codebooks, draw(QUERY_LABELS.argmax(1))) + rng.standard_normal((QUERIES, M * D))
    database = Database(draw(GALLERY_LABELS.argmax(1)), codebooks, GALLERY_LABELS, {})
    return database, queries.astype(np.float32), QUERY_LABELS


def different(rng):
    """The worst case: random codes, of which hardly two are equal."""
    codes = rng.integers(0, K, (N, M), dtype=np.uint8)
    database = Database(codes, rng.standard_normal((M, K, D)).astype(np.float32), GALLERY_LABELS, {})
    return database, rng.standard_normal((QUERIES, M * D)).astype(np.float32), QUERY_LABELS


def norms(n_book, rng):
    """Seconds and processor seconds of SPQ's mAP@1000, from features, among random codes of `n_book` codebooks."""
    n, n_queries, length = 50_000, 10_000, 16
    labels, query_labels = (np.eye(CLASSES, dtype=bool)[rng.integers(0, CLASSES, size)] for size in (n, n_queries))
    codes = rng.integers(0, K, (n, n_book), dtype=np.uint8)
    codebooks = rng.standard_normal((n_book, K, length)).astype(np.float32)
    queries = reconstruct(codebooks, codes[:n_queries]) + rng.standard_normal((n_queries, n_book * length))
    database = Database(codes, codebooks, labels, {}, distance="norms")
    began, busy = time.perf_counter(), time.process_time()
    metrics.mean_average_precision(database, queries, SharedLabels(query_labels, labels), 1000)
    return time.perf_counter() - began, time.process_time() - busy


def saved(path, rng):
    """A saved database; the queries are some of its own reconstructions with noise."""
    database = Database.load(path)
    some = rng.integers(0, len(database.codes), QUERIES)
    queries = reconstruct(database.codebooks, database.codes[some], database.added)
    noise = queries.std() * rng.standard_normal(queries.shape)
    return database, (queries + noise).astype(np.float32), database.labels[some]


def ours(database, queries, labels, ties):
    relevance = SharedLabels(labels, database.labels)
    fresh = replace(database)  # which has not yet looked for its distinct codes
    return metrics.average_precision(fresh, queries, relevance, len(database.codes), ties)


def with_faiss(database, queries, labels):
    """The same codes and codebooks in an IndexPQ, asked for all pictures; vectorised AP of its ranking."""
    import faiss

    n_book, n_words, length = database.codebooks.shape
    index = faiss.IndexPQ(n_book * length, n_book, n_words.bit_length() - 1, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(database.codebooks.ravel(), index.pq.centroids)
    index.is_trained = True
    index.add(reconstruct(database.codebooks, database.codes))
    _, ids = index.search(queries, len(database.codes))
    return np.array([rank_ap(database.labels[row] @ wanted) for row, wanted in zip(ids, labels, strict=True)])


def rank_ap(right):
    ranks = np.flatnonzero(right) + 1
    return np.mean(np.arange(1, len(ranks) + 1) / ranks)


def slow_way(database, queries, labels):
    """As the release goes about it: look-up table, gather, argsort, and a Python loop over the ranks."""
    found = []
    for query, wanted in zip(queries, labels, strict=True):
        table = 1 - np.einsum("md,mkd->mk", query.reshape(len(database.codebooks), -1), database.codebooks)
        distance = table[np.arange(len(table)), database.codes].sum(axis=1)
        hits, total = 0, 0.0
        for rank, right in enumerate(database.labels[np.argsort(distance)] @ wanted, start=1):
            if right:
                hits += 1
                total += hits / rank
        found.append(total / max(hits, 1))
    return np.array(found)


def timed(way, runs, *arguments):
    """(each run's seconds, what `way` returned)."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        result = way(*arguments)
        seconds.append(time.perf_counter() - start)
    return seconds, result


def compare(title, database, queries, labels, runs, slow):
    """Print a table: every way's seconds, mAP, and mAP of the first `slow` queries."""
    n, n_codes = len(database.codes), len(database.gallery.counts)
    print(f"\n{title}: {len(queries):,} queries x {n:,} pictures, {n_codes:,} distinct codes")
    print(f"{'':34}{'seconds':>9}{'mAP':>10}{f'mAP of {slow}':>14}")

    def show(name, seconds, precision):
        whole = f"{precision.mean():10.6f}" if len(precision) == len(queries) else f"{'':10}"
        print(f"{name:34}{np.median(seconds):9.2f}{whole}{precision[:slow].mean():14.6f}", flush=True)

    for ties in ("expected", "stable"):
        show(f"ours, ties {ties}", *timed(ours, runs, database, queries, labels, ties))
    show(f"faiss IndexPQ, k = {n:,}", *timed(with_faiss, runs, database, queries, labels))
    seconds, precision = timed(slow_way, 1, database, queries[:slow], labels[:slow])
    scaled = "" if slow == len(queries) else f" ({slow} queries, scaled)"
    show(f"slow way{scaled}", np.array(seconds) * len(queries) / slow, precision)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", help="a saved database with labels, instead of the made-up galleries")
    parser.add_argument("--slow", type=int, default=20, help="queries that the slow way is timed on")
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the median counts (slow way: 1)")
    parser.add_argument("--norms", action="store_true", help="time SPQ's distance and measure, and nothing else")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}; "
          f"seconds are the median of {options.runs} runs, the slow way's of one")
    rng = np.random.default_rng(0)
    if options.norms:
        for n_book in (4, 8, 16):
            print("{} bits: {:.2f} s, {:.2f} s of processor time".format(4 * n_book, *norms(n_book, rng)))
        return
    if options.database:
        galleries = {options.database: saved(options.database, rng)}
    else:
        galleries = {"codes that collide": colliding(rng), "codes all different": different(rng)}
    for title, gallery in galleries.items():
        compare(title, *gallery, options.runs, options.slow)


if __name__ == "__main__":
    main()
