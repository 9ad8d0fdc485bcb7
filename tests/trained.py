"""Checkpoints as a training leaves them, for the tests of choosing one and of going on with one."""
from types import SimpleNamespace

from gpq import train
from gpq.config import GPQ
from gpq.model.tf1 import tf
from gpq.utils import settings
from gpq.utils.checkpoints import store
from gpq.utils.data.data import Source
from gpq.utils.training.folder import Progress

SAMPLE = Source("CIFAR-10", "the sample", "0" * 64, "the repository's sample")
Options = settings.combined(GPQ, train.Options)


def variables_of(config):
    """The variables of a network without F."""
    dimension = config.n_book * config.len_code
    with tf.variable_scope("", reuse=tf.AUTO_REUSE):
        return [tf.get_variable("Z", [config.intn_word, dimension]),
                tf.get_variable("C", [config.n_CLASSES, dimension])]


def leave_checkpoint(session, folder, name, step, **choices):
    """A checkpoint with its JSON, as a training leaves it. Returns its variables' values."""
    config = Options(n_book=3, len_code=4, **choices)
    task = SimpleNamespace(n_batches=2, batch_size=500, epoch_steps=1, source=SAMPLE, measure="held_back_mAP",
                           tags_sha256=None)
    variables = variables_of(config)
    session.run(tf.global_variables_initializer())
    progress = Progress(step, seconds=1.5, initial="F.mat")
    store.save(session, folder / name, store.saver(variables), progress.about(config, task))
    return session.run(variables)


def searching(folder, **choices):
    """Settings that search what is trained in `folder`."""
    return Options(n_book=3, len_code=4, model_save_path=str(folder), **choices)
