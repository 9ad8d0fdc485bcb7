"""What is said of the machine and of the code, and the precision of its products."""
import subprocess

import numpy as np
import pytest

from gpq.config import Pretraining
from gpq.model import classifier
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import machine


@pytest.fixture(scope="module")
def steps():
    """{precision: (losses of two steps of F, whether any of the operations that ran is in bfloat16)}; "" is a Session
    of TensorFlow's own defaults."""
    draw, found = np.random.default_rng(0), {}
    images, labels = draw.standard_normal((20, 32, 32, 3), np.float32), np.eye(4, dtype=bool)[np.arange(20) % 4]
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        config = Pretraining(n_CLASSES=4)
        method = classifier.Classifier(config)
        graph = method.optimise(*method.loss_graph(tf.constant(images), tf.constant(labels)), 100)
        start = tf.global_variables_initializer()
        for precision in ("", "float32", "bfloat16"):
            with machine.session(Pretraining(precision=precision)) if precision else tf.Session() as session:
                session.run(start)
                ran = tf.RunMetadata()
                losses = [session.run([graph.losses["total"], graph.step], run_metadata=ran,
                                      options=tf.RunOptions(output_partition_graphs=True))[0] for _ in range(2)]
                types = {attribute.type for part in ran.partition_graphs for node in part.node
                         for attribute in node.attr.values()}
                found[precision] = losses, tf.bfloat16.as_datatype_enum in types
    return found


def test_a_step_in_bfloat16_is_near_one_in_float32(steps):
    """Where the processor has no such instructions it is the same step."""
    (exact, _), (rounded, _) = steps["float32"], steps["bfloat16"]
    assert exact[0] != exact[1] and np.isfinite(exact).all()
    np.testing.assert_allclose(rounded, exact, rtol=0.03)


def test_float32_is_what_tensorflow_computes_anyway(steps):
    assert not steps["float32"][1] and not steps[""][1]
    np.testing.assert_allclose(steps["float32"][0], steps[""][0], rtol=1e-5)


def test_the_commit_is_marked_where_code_was_changed_alone(tmp_path, monkeypatch):
    """Tables and checkpoints are tracked too, and a training rewrites them."""
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "utils" / "runs.py"))
    (tmp_path / "utils").mkdir()
    for file in ("train.py", "table.md"):
        (tmp_path / file).write_text("as committed")
    made_by = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "--quiet"], ["add", "."], [*made_by, "commit", "--quiet", "--message=first"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    clean = machine.commit()
    assert len(clean) >= 4 and int(clean, 16)
    (tmp_path / "table.md").write_text("rewritten")
    assert machine.commit() == clean
    (tmp_path / "train.py").write_text("changed")
    assert machine.commit() == f"{clean}+"
    monkeypatch.setattr(machine, "__file__", "/nowhere/runs.py")
    assert machine.commit() == "unknown"
