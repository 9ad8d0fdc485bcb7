"""A step lowered to StableHLO and run by JAX does what it does in a Session."""
import json

import numpy as np
import pytest
import scipy.io
from conftest import ROOT, arrays, variables

from model.tf1 import tf
from utils.accelerate import __main__ as accelerate
from utils.accelerate.export import export
from utils.accelerate.imports import import_run
from utils.accelerate.lower import lower
from utils.retrieval.encoder import Encoder
from utils.session import checkpoints
from utils.settings import from_command_line
from utils.training.logs import scalars
from utils.training.task import Task, build, draw

pytest.importorskip("jax")
SMALL = ["--n_book=3", "--len_code=4", "--batch_size=16", "--total_epochs=1", "--seed=6", "--eval_term=1",
         "--n_validation=10", "--augmentation=strong", "--lam_u=1", "--confidence=0.1"]


def test_jax_trains_gpq_as_a_session_does(data_dir, tmp_path):
    """Two steps from a trained F: after the first every loss, gradient and moving average, then the losses.

    F is a trained one because the gradients of a random one hang on single ReLUs that rounding opens and shuts.
    """
    import jax

    from utils.accelerate.elsewhere import Step, write

    pretrained = tmp_path / "pretrained.mat"
    weights = variables(ROOT / "models" / "48bits_example.ckpt")
    scipy.io.savemat(pretrained, {f"{name}:0": value for name, value in weights.items()})
    config = from_command_line(accelerate.Export, [*SMALL, f"--data_dir={data_dir}", f"--out={tmp_path}",
                                                   f"--ImagNet_pretrained_path={pretrained}"])
    task = Task(config)
    run = export(task, "small", tmp_path, config)
    about, initial, plan = json.loads((run / "about.json").read_text()), arrays(run / "initial.npz"), run / "plan.npz"
    jax.config.update("jax_enable_x64", True)
    step = Step(run, about, initial)
    by_jax = []
    for number, indices in enumerate(arrays(plan)["indices"].astype(np.int32)):
        by_jax.append(step(task.images, arrays(plan)["labels"], indices, np.int32(number)))
        if number == 0:
            state = step.state()
    assert len(by_jax) == task.n_steps == 2

    with tf.Graph().as_default(), tf.Session() as session:
        feeds, graph = build(task)
        for variable in tf.global_variables():
            variable.load(initial[variable.op.name], session)
        by_session = []
        for number in range(task.n_steps):
            batch = dict(zip(feeds, draw(task, number), strict=True))
            by_session.append(session.run([*graph.losses, graph.learning_rate, graph.step], batch)[:-1])
            if number == 0:
                expected = session.run({v.op.name: v for v in tf.global_variables()})
    np.testing.assert_allclose(by_jax[0], by_session[0], rtol=1e-5)
    # Adam first goes as far down a gradient that is all but 0 as down any other, and rounding decides its sign.
    np.testing.assert_allclose(by_jax, by_session, rtol=2e-2)
    assert state.keys() == expected.keys() == initial.keys()
    compared = [name for name in expected if name.endswith(("/Adam", "moving_mean", "moving_variance", "biased"))]
    assert len(compared) == 34 + 30
    for name in compared:
        gap = np.linalg.norm(state[name].astype(float) - expected[name])
        assert gap <= 5e-3 * np.linalg.norm(expected[name]), name

    log = {"step": 2, **dict.fromkeys(about["watched"], 1.5), "device": "cpu"}
    (run / "log.jsonl").write_text(json.dumps(log) + "\n")
    write(run / "trained.npz", {**step.state(), "step": 2, "seconds": 2.0})
    import_run(tmp_path, tmp_path / "12bits.ckpt", {"n_book": 3, "seed": 6})
    with tf.Graph().as_default(), tf.Session() as session:
        Encoder(config, session, tmp_path / "12bits.ckpt")
        restored = session.run({v.op.name: v for v in checkpoints.weights()})
    for name, value in restored.items():
        np.testing.assert_array_equal(value, step.state()[name])
    beside = json.loads((tmp_path / "12bits.ckpt.json").read_text())
    assert (beside["step"], beside["images"]) == (2, 64) and beside["data"]["part"] == "the sample"
    assert beside["settings"]["n_book"] == 3 and beside["losses"]["total"] == 1.5 and beside["device"] == "cpu"
    logged = scalars(tmp_path / "logs")
    assert logged.pop("held_back_mAP") == {2: pytest.approx(beside["judged"])} and 0 < beside["judged"] <= 1
    assert logged == {name: {2: 1.5} for name in about["watched"]}

    about["beside"]["settings"]["eval_term"] = 0
    (run / "about.json").write_text(json.dumps(about))
    import_run(run, tmp_path / "F.mat", {})
    assert json.loads((tmp_path / "F.mat.json").read_text())["step"] == 2
    kernel = scipy.io.loadmat(tmp_path / "F.mat")["Fixed_VGG/conv2d_4/kernel:0"]
    np.testing.assert_allclose(kernel, step.state()["Fixed_VGG/conv2d_4/kernel"], rtol=1e-3, atol=1e-7)


def test_lowering_tells_what_a_step_reads_and_what_it_moves():
    """A graph with a variable that moves and one that stays, against what it computes by hand."""
    import jax.export

    def build(x):
        still = tf.get_variable("still", initializer=np.float32([2, 3]))
        moving = tf.get_variable("moving", initializer=np.float32([10, 20]))
        with tf.control_dependencies([moving.assign_add(x * still)]):
            return [tf.reduce_sum(x)]

    exported, state, updated = lower(build, [tf.TensorSpec([2], tf.float32)])
    assert sorted(state) == ["moving", "still"] and [state[place] for place in updated] == ["moving"]
    values = {"still": np.float32([2, 3]), "moving": np.float32([10, 20])}
    call = jax.export.deserialize(bytearray(exported)).call
    total, moved = call(np.float32([1, 5]), *(values[name] for name in state))
    assert total == 6 and np.asarray(moved).tolist() == [12, 35]
