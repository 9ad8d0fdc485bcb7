"""Train a method, GPQ unless another is named, with the settings of config.py.

    python train.py
    python train.py --n_book=6 --total_epochs=40
    python train.py --resume                         # go on exactly where the last run stopped
    python train.py --method=classifier              # another method of config.py's METHODS
    python train.py --method=wsdhq                   # one that learns from tags
    python train.py --method=itq --embeddings=vectors.npz    # a shallow one, which is fitted in seconds

Writes `<epoch>.ckpt` each save_term epochs and at the end the checkpoint that Demo.py takes (`48bits.ckpt`), all in
model_save_path, each with a JSON of settings and results beside it, and TensorBoard scalars in `logs/`.
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.train")

import contextlib
import time
from pathlib import Path

import numpy as np
from pydantic_settings import CliImplicitFlag
from tqdm import tqdm

from gpq.model.tf1 import tf
from gpq.utils import errors, settings
from gpq.utils.base_settings import Own
from gpq.utils.checkpoints import machine, store
from gpq.utils.checkpoints.runs import epochs_of, newest
from gpq.utils.training import task as tasks
from gpq.utils.training.fitting import Fitting
from gpq.utils.training.folder import check_disk, ended, only_training_in, start
from gpq.utils.training.logs import interrupts, say, write_scalars

LOG_TERM = 10
KEPT = 5


class Options(Own):
    """Train with the settings of config.py."""

    needs = {"model_load_path": [], **dict.fromkeys(("n_DB", "without_hits"), ("eval_term", None)),
             "cifar10_label_sim_path": []}

    resume: CliImplicitFlag[bool] = False
    """Go on from the newest checkpoint in model_save_path."""


def train(task):
    """Train `task`, a Task of settings that have `resume` besides.

    Returns: Path, the checkpoint of the finished training.
    Raises: errors.Stopped where a signal ended it, with what is done kept in `interrupted.ckpt`; UserError.
    """
    config = task.config
    folder = Path(config.model_save_path)
    if ended(config, task.n_steps):
        return config.final_checkpoint

    with only_training_in(folder), tf.Graph().as_default(), machine.session(config) as session:
        tf.set_random_seed(config.seed)
        feeds, graph = tasks.build(task) if task.n_steps else (None, None)
        fit = Fitting(task, config, session)
        everything = tf.global_variables()
        whole, weights = store.saver(everything), store.saver(store.weights())
        sound = tf.reduce_all([tf.reduce_all(tf.is_finite(v)) for v in store.weights() if v.dtype.is_floating])
        judge = task.judge(session) if config.eval_term else None
        check_disk(folder, everything, KEPT)
        session.run(tf.global_variables_initializer())
        run = start(session, folder, everything, config, task.source, task.tags_sha256)
        tf.get_default_graph().finalize()

        def stop(what):
            raise errors.UserError(f"{what} not finite at iter {run.step} and training stopped; the newest good "
                                   f"checkpoint is {newest(folder)}; lower learning_rate")

        def save(path, saver):
            if not session.run(sound):
                stop("the weights are")
            store.save(session, path, saver, run.about(config, task))
            say(f"Model saved at {path}")

        images_a_step = task.n_batches * task.batch_size
        with interrupts() as interrupted, \
                contextlib.closing(tf.summary.FileWriter(str(folder / "logs"))) as scalars, \
                tqdm(total=task.n_steps * images_a_step, initial=run.step * images_a_step,
                     unit="image", unit_scale=True, disable=None) as bar:
            if run.step == 0:
                began = time.perf_counter()
                fit(0)
                run.seconds = time.perf_counter() - began
            coming = tasks.drawn(task, run.step)
            while run.step < task.n_steps and not interrupted():
                began = time.perf_counter()
                values, rate, _ = session.run([graph.losses, graph.learning_rate, graph.step],
                                              dict(zip(feeds, next(coming), strict=True)))
                run.step += 1
                fit(run.step)
                run.seconds += time.perf_counter() - began
                if not np.isfinite(values["total"]):
                    stop("the loss is")
                run.losses = {name: float(value) for name, value in values.items()}
                epoch = -(-run.step // task.epoch_steps)
                write_scalars(scalars, run.step, learning_rate=rate, **run.losses)
                bar.set_postfix({name: f"{value:.4f}" for name, value in run.losses.items()}, refresh=False)
                bar.update(images_a_step)
                if run.step % LOG_TERM == 0:
                    say(task.log_line(epoch, run.step, values, rate))
                last = run.step == task.n_steps
                if run.step % task.epoch_steps and not last:
                    continue
                if judge and (epoch % config.eval_term == 0 or last):
                    run.judged = judge()
                    if graph.judged is not None:
                        session.run(graph.judged)
                    write_scalars(scalars, run.step, **{task.measure: run.judged})
                    say(f"epoch: {epoch}/{task.n_epochs}, {task.measure}: {run.judged:.4f}")
                if epoch % config.save_term == 0 or last:
                    save(folder / f"{epoch}.ckpt", whole)
                    for old in epochs_of(folder)[:-KEPT]:
                        store.delete(old)

            finished = run.step >= task.n_steps
            save(config.final_checkpoint if finished else folder / "interrupted.ckpt", weights if finished else whole)
        if finished:
            store.delete(folder / "interrupted.ckpt")
        if interrupted():
            raise errors.Stopped(f"stopped; {'it is finished' if finished else 'go on with --resume'}", interrupted())
        return config.final_checkpoint


def main():
    config = settings.from_command_line(Options)
    settings.refuse_idle(config)
    train(tasks.Task(config))
