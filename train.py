"""Train GPQ with the settings of config.py.

    python train.py
    python train.py --n_book=6 --total_epochs=40
    python train.py --resume                         # go on exactly where the last run stopped

Writes `<epoch>.ckpt` each save_term epochs and the final checkpoint under the name Demo.py loads, all in
model_save_path, each with a JSON of settings and results beside it, and TensorBoard scalars in `logs/`.
"""
import contextlib
import signal
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic_settings import CliImplicitFlag
from tqdm import tqdm

from config import Config, from_command_line
from model import gpq
from model.tf1 import tf
from utils import checkpoints, cifar10, encode, errors, runs
from utils.augmentation import augment

LOG_TERM = 10
KEPT = 5


class Options(Config):
    """GPQ's settings, and how to start."""

    resume: CliImplicitFlag[bool] = False
    """Go on from the newest checkpoint in model_save_path."""


class Feeds(NamedTuple):
    """Placeholders of one step: uint8 images [B, 32, 32, 3], int32 labels [B], the step's number."""

    labelled: tf.Tensor
    labels: tf.Tensor
    unlabelled: tf.Tensor
    step: tf.Tensor


def build(config):
    """The training graph from uint8 batches, augmentation included. Returns (Feeds, TrainingGraph)."""
    images = [config.batch_size, config.image_size, config.image_size, config.img_channels]
    feeds = Feeds(tf.placeholder(tf.uint8, images), tf.placeholder(tf.int32, images[:1]),
                  tf.placeholder(tf.uint8, images), tf.placeholder(tf.int32, []))
    labelled = augment(feeds.labelled, tf.stack([config.seed, 4 * feeds.step]))
    unlabelled = augment(feeds.unlabelled, tf.stack([config.seed, 4 * feeds.step + 2]))
    return feeds, gpq.training_graph(labelled, tf.one_hot(feeds.labels, config.n_CLASSES), unlabelled, config)


def draw(data, step, config):
    """One step's batches, each drawn without replacement from a generator of its own: a resumed run draws alike."""
    generator = np.random.default_rng([config.seed, step])
    labelled = generator.choice(data.labelled, config.batch_size, replace=False)
    unlabelled = generator.choice(data.unlabelled, config.batch_size, replace=False)
    return Feeds(data.images[labelled], data.labels[labelled], data.images[unlabelled], step)


def train(config):
    """Run the training that `config` (an Options) asks for."""
    data = cifar10.load(config.data_dir, config.protocol)
    data, held_back = runs.hold_back(data, config) if config.eval_term else (data, None)
    runs.check_data(data, config)
    folder = Path(config.model_save_path)
    epoch_steps = len(data.labelled) // config.batch_size
    last = config.total_epochs * epoch_steps
    saved = []

    with runs.only_training_in(folder), tf.Graph().as_default(), runs.session(config) as session:
        tf.set_random_seed(config.seed)
        feeds, graph = build(config)
        everything = tf.global_variables()
        whole, weights = checkpoints.saver(everything), checkpoints.saver(checkpoints.weights())
        sound = tf.reduce_all([tf.reduce_all(tf.is_finite(v)) for v in tf.trainable_variables()])
        validation = encode.Encoder(config, session) if config.eval_term else None
        runs.check_disk(folder, everything, KEPT)
        session.run(tf.global_variables_initializer())
        run = runs.start(session, folder, everything, config)
        tf.get_default_graph().finalize()

        def stop(what):
            raise errors.UserError(f"{what} not finite at iter {run.step} and training stopped; the newest good "
                                   f"checkpoint is {runs.newest(folder)}; lower learning_rate")

        def save(path, saver):
            if not session.run(sound):
                stop("the weights are")
            checkpoints.save(session, path, saver, run.about(config, data))
            tqdm.write(f"Model saved at {path}")

        with runs.interrupts(signal.SIGINT, signal.SIGTERM) as interrupted, \
                contextlib.closing(tf.summary.FileWriter(str(folder / "logs"))) as scalars, \
                tqdm(total=2 * last * config.batch_size, initial=2 * run.step * config.batch_size,
                     unit="image", unit_scale=True, disable=None) as bar:
            while run.step < last and not interrupted():
                began = time.perf_counter()
                values, rate, _ = session.run([graph.losses, graph.learning_rate, graph.step],
                                              dict(zip(feeds, draw(data, run.step, config), strict=True)))
                run.step += 1
                run.seconds += time.perf_counter() - began
                if not np.isfinite(values.total):
                    stop("the loss is")
                run.losses = {name: float(value) for name, value in values._asdict().items()}
                epoch = -(-run.step // epoch_steps)
                runs.write_scalars(scalars, run.step, learning_rate=rate, **run.losses)
                bar.set_postfix({name: f"{value:.4f}" for name, value in run.losses.items()}, refresh=False)
                bar.update(2 * config.batch_size)
                if run.step % LOG_TERM == 0:
                    tqdm.write(runs.log_line(epoch, run.step, values, rate, config))
                if run.step % epoch_steps:
                    continue
                if validation and epoch % config.eval_term == 0:
                    run.held_back_mAP = runs.held_back_map(validation, data, held_back, config)
                    runs.write_scalars(scalars, run.step, mAP=run.held_back_mAP)
                    tqdm.write(f"epoch: {epoch}/{config.total_epochs}, held-back mAP: {run.held_back_mAP:.4f}")
                if epoch % config.save_term == 0 or run.step == last:
                    saved.append(folder / f"{epoch}.ckpt")
                    save(saved[-1], whole)
                    for old in saved[:-KEPT]:
                        checkpoints.delete(old)

        if run.step < last:
            save(folder / "interrupted.ckpt", whole)
            print("Stopped; go on with --resume")
        else:
            save(folder / Path(config.checkpoint).name, weights)


def main():
    train(from_command_line(Options))


if __name__ == "__main__":
    errors.run(main)
