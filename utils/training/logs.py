"""What a training says while it runs, and how it is asked to stop."""
import contextlib
import signal
from pathlib import Path

from model.tf1 import tf


@contextlib.contextmanager
def interrupts(*signals):
    """Yields a function that tells whether one of `signals` has come; inside, they only ask, they do not kill."""
    came = []
    before = {s: signal.signal(s, lambda number, frame: came.append(number)) for s in signals}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_scalars(writer, step, **values):
    """TensorBoard scalars."""
    summary = tf.Summary(value=[tf.Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
    writer.add_summary(summary, step)


def scalars(folder):
    """{tag: {step: value}} of the TensorBoard scalars below `folder`; of a step that was done again, the last value."""
    found = {}
    for file in sorted(Path(folder).rglob("events.out.tfevents.*")):
        with contextlib.suppress(tf.errors.DataLossError):  # the end of a run that was killed
            for event in tf.train.summary_iterator(str(file)):
                for value in event.summary.value:
                    found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found
