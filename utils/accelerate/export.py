"""Write a training as a run that JAX can do: its step, its first weights and the images of every step."""
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from model.tf1 import tf
from utils.accelerate.lower import lower
from utils.errors import UserError
from utils.session import machine
from utils.training import task as tasks
from utils.training.folder import Progress, initialise


def export(task, name, folder, config):
    """Write the training of `task` as the run `name` of the folder of runs `folder`. Returns its path.

    Raises UserError where the method fits something otherwise than by steps, the run is there already, the folder holds
    another train.py or cannot be written, or JAX is not installed.
    """
    if task.fits:
        raise UserError(f"{config.method} is fitted otherwise than by steps, and an exported run has steps alone; "
                        "train it with train.py")
    run = Path(folder) / name
    script = run.parent / "train.py"
    if run.exists():
        raise UserError(f"{run} is there already; remove it, or set another --out")
    if script.exists() and not list(run.parent.glob("*/about.json")):
        raise UserError(f"{script} is not of exported runs, and would be replaced; set another --out")
    watched = []

    def build(images, labels, indices, number):
        graph = task.graph(tf.gather(images, indices), tf.gather(labels, indices), number)
        watched[:] = [*graph.losses._fields, "learning_rate"]
        with tf.control_dependencies([graph.step]):
            return [tf.identity(value) for value in (*graph.losses, graph.learning_rate)]

    specs = [tf.TensorSpec(task.images.shape, task.images.dtype), tf.TensorSpec(task.labels.shape, task.labels.dtype),
             tf.TensorSpec([task.n_batches, task.batch_size], tf.int32), tf.TensorSpec([], tf.int32)]
    lowered = lower(build, specs)
    with tf.Graph().as_default(), machine.session(config) as session:
        tf.set_random_seed(config.seed)
        tasks.build(task)
        session.run(tf.global_variables_initializer())
        initial = initialise(session, config)
        values = session.run({variable.op.name: variable for variable in tf.global_variables()})

    shown = task.images[:]  # decoded, where they are pictures that are decoded when they are asked for
    images = f"images-{hashlib.sha256(shown.tobytes()).hexdigest()[:12]}.npy"
    beside = Progress(task.n_steps, initial=initial, losses=watched[:-1]).about(config, task)
    about = {"images": images, "watched": watched, "state": lowered.state, "updated": lowered.updated,
             "task": config.published, "beside": beside}  # beside: what lies beside the checkpoint at the end
    indices = np.stack([task.indices(number) for number in range(task.n_steps)])
    try:
        run.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=run.parent) as scratch:
            unfinished = Path(scratch) / name
            unfinished.mkdir()
            (unfinished / "step.jaxexport").write_bytes(lowered.exported)
            (unfinished / "about.json").write_text(json.dumps(about, indent=1) + "\n")
            np.savez(unfinished / "initial.npz", **values)
            np.savez_compressed(unfinished / "plan.npz", labels=task.labels,
                                indices=indices.astype(np.min_scalar_type(len(task.images))))
            if not (run.parent / images).exists():
                np.save(Path(scratch) / images, shown)
                (Path(scratch) / images).rename(run.parent / images)
            shutil.copyfile(Path(__file__).with_name("elsewhere.py"), script)
            unfinished.rename(run)
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}); make room or set another --out") from error
    return run
