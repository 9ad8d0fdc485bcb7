"""A Ray cluster of two workers here: one that is lost leaves no mark, and actors find what one process finds."""
import os
import signal
from functools import partial

import arithmetic
import numpy as np
import pytest
from arithmetic import Slow, begun, whole

from utils.cluster import rays, work
from utils.cluster.searching import Shards, average_precision
from utils.data.relevance import SharedLabels
from utils.errors import UserError
from utils.retrieval import metrics

ray = pytest.importorskip("ray", reason='pip install -e ".[ray]"')


@pytest.fixture(scope="module")
def cluster():
    tests = {"PYTHONPATH": os.path.dirname(arithmetic.__file__)}
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": tests})
    yield
    ray.shutdown()


def test_a_worker_that_is_killed_loses_nothing_and_nothing_is_made_twice(cluster, tmp_path):
    store, source = begun(tmp_path, count=4000, shard=200)
    told = work.on_ray(store, source, partial(Slow, 0.1), None, "local")
    first = next(told)
    os.kill(first["process"], signal.SIGKILL)
    rest = list(told)
    assert sorted(each["number"] for each in (first, *rest)) == list(range(20))
    assert not any(each["fault"] for each in rest)
    assert len({each["process"] for each in (first, *rest)}) >= 2 and rest[-1]["process"] != first["process"]
    np.testing.assert_array_equal(np.concatenate([store.codes(n) for n in range(20)]), whole(tmp_path, store).codes)
    assert list(work.on_ray(store, source, Slow, None, "local")) == []  # nothing is left to do

    queries = np.random.default_rng(2).standard_normal((5, 6), np.float32)
    here, held = Shards(store.folder), Shards(store.folder, "local")
    assert len(held.held.holders) == 2
    ray.kill(held.held.holders[0], no_restart=False)
    for ours, theirs in zip(here.search(queries, 50), held.search(queries, 50), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    labels = np.random.default_rng(3).random((4000, 3)) < 0.3
    relevance = SharedLabels(labels[:5], labels)
    precisions = metrics.average_precision(whole(tmp_path, store), queries, relevance, 4000)
    np.testing.assert_array_equal(average_precision(held, queries, relevance, 4000), precisions)


def test_a_cluster_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: (_ for _ in ()).throw(ConnectionError("nobody answers")))
    with pytest.raises(UserError, match="Ray finds no cluster at auto .nobody answers.; start one with ray start"):
        rays.connected("auto")
