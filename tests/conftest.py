"""What several test files share: the release's numbers and checkpoint, a graph's values, tiny trainings, and a server.
"""
import contextlib
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from forgery import batch_bytes

from gpq import train
from gpq.model.tf1 import tf
from gpq.utils.data import cifar10
from gpq.utils.settings import from_command_line
from gpq.utils.training.task import Task

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
SMALL = ["--n_book=3", "--len_code=4", "--batch_size=10", "--learning_rate=1e-3",
         "--ImagNet_pretrained_path="]


def options(own, *arguments):
    """Settings of a small GPQ, with those of a script, `own`, or None."""
    return from_command_line(own, [*SMALL, *arguments])


def run_training(*arguments):
    config = options(train.Options, *arguments)
    return train.train(Task(config))


@pytest.fixture(autouse=True)
def signals():
    """What a command lets signals do ends with its test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def reference():
    """The release's numbers, {name: array}."""
    files = ("reference_retrieval.npz", "reference_images.npz", "reference_training.npz")
    return {name: array for file in files for name, array in np.load(DATA / file).items()}


@pytest.fixture(scope="session")
def reference_checkpoint():
    """The release's checkpoint, 31 MB, which is not in the repository: GPQ_REFERENCE names its folder."""
    path = Path(os.environ.get("GPQ_REFERENCE", "")) / "48bits_ref.ckpt"
    if not Path(f"{path}.index").exists():
        pytest.skip("set GPQ_REFERENCE to the folder of 48bits_ref.ckpt")
    return path


@pytest.fixture(scope="session")
def release_variables():
    """{"TRAIN" or "DEMO": {name: shape}} of the release's two graphs, names without `:0`."""
    graphs = {"TRAIN": {}, "DEMO": {}}
    for line in (DATA / "variables.tsv").read_text().splitlines()[1:]:
        graph, name, shape, *_ = line.split("\t")
        graphs[graph][name.removesuffix(":0")] = [int(n) for n in shape.strip("()").split(",") if n]
    return graphs


@pytest.fixture(scope="session")
def compute():
    """compute(function, *arrays): the value of `function` of the arrays as tensors, in a graph of its own."""
    def value(function, *arrays):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(0)
            made = function(*map(tf.constant, arrays))
            session.run(tf.global_variables_initializer())
            return session.run(made)
    return value


@pytest.fixture
def session():
    """A Session in an empty graph, both the default ones."""
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


@pytest.fixture
def server(monkeypatch):
    """A server on loopback; its attributes say what it serves and how, `asked` holds each Range header."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.headers["Range"])
            content, start = self.server.content, 0
            if self.headers["Range"] and self.server.ranges:
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            self.send_response(self.server.status or (206 if start else 200))
            self.send_header("Content-Length", len(content) - start)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # a reader may stop early
                self.wfile.write(content[start:start + self.server.at_most])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.ranges, server.at_most, server.status, server.asked = b"", True, 10**9, None, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def sample():
    """The `Data` of the repository's sample."""
    return cifar10.load(ROOT / "cifar10" / "sample")


@pytest.fixture(scope="session")
def full():
    """The `Data` of all of CIFAR-10; for tests that `split_rule.needs_full` marks."""
    return cifar10.load(os.environ["CIFAR10_DIR"])


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A folder whose `sample/` is a part of the repository's: 10 queries, 50 labelled, 180 gallery."""
    return part_of_the_sample(tmp_path_factory.mktemp("cifar10"), 10, of_gallery=30)


@pytest.fixture(scope="session")
def few_dir(tmp_path_factory):
    """A folder whose `sample/` is a hundredth of the repository's, 60 images, for a network that takes its time."""
    return part_of_the_sample(tmp_path_factory.mktemp("cifar10"), 100)


def part_of_the_sample(root, every, of_gallery=None):
    """Write one of `every` images of each role of the repository's sample as `root/sample`; of the gallery one of
    `of_gallery`, where that is another number. Returns `root`."""
    folder = root / "sample"
    folder.mkdir()
    data = cifar10.load(ROOT / "cifar10" / "sample")
    keep = np.sort(np.concatenate([data.query[::every], data.labelled[::every], data.gallery[::of_gallery or every]]))
    np.save(folder / "positions.npy", data.positions[keep])
    for number, name in enumerate(cifar10.BATCHES):
        rows = keep[data.positions[keep] // 10000 == number]
        batch = {b"batch_label": b"a part", b"filenames": [b""] * len(rows),
                 b"labels": data.labels[rows].argmax(1).tolist(),
                 b"data": data.images[rows].transpose(0, 3, 1, 2).reshape(len(rows), 3072).copy()}
        (folder / name).write_bytes(batch_bytes(batch))
    return root


def variables(path):
    """{name: value} of a checkpoint."""
    reader = tf.train.NewCheckpointReader(str(path))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def arrays(path):
    """{name: array} of a .npz file."""
    with np.load(path) as file:
        return dict(file)
