"""What a training says while it runs, and how it is asked to stop."""
import contextlib
import signal
from pathlib import Path

from tqdm import tqdm

from gpq.model.tf1 import tf
from gpq.utils import errors


@contextlib.contextmanager
def interrupts():
    """Yields a function that gives the number of the signal that asks to stop, None until one has come: Ctrl-C,
    SIGTERM, the end of the terminal or of whoever reads what is printed. Inside, they only ask, they do not kill."""
    came = []
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE}
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # nohup
        signals.remove(signal.SIGHUP)
    before = {s: signal.signal(s, lambda number, frame: came.append(number)) for s in signals}
    try:
        yield lambda: came[0] if came else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(line):
    """Print a line above the progress bar. Where nobody takes it, SIGPIPE asks the training to stop."""
    try:
        tqdm.write(line)
        print(end="", flush=True)
    except OSError:
        errors.silence_stdout()
        signal.raise_signal(signal.SIGPIPE)


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
