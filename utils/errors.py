"""How a command ends: a user's mistake is one sentence, a signal one line, and neither is a traceback."""
import argparse
import contextlib
import importlib
import os
import shutil
import signal
import sys

from gpq.model.errors import UserError

unfinished = set()  # paths of what this process is writing, which a signal removes


class Stopped(KeyboardInterrupt):
    """A signal, of that number, ended a training whose checkpoint is kept; `told` says so."""

    def __init__(self, told, number):
        super().__init__(told)
        self.number = number


class Parser(argparse.ArgumentParser):
    """One whose refusals are sentences, without a page of usage, and to which ~ after = is the home folder."""

    def parse_known_args(self, args=None, namespace=None):
        parts = (argument.partition("=") for argument in (sys.argv[1:] if args is None else args))
        return super().parse_known_args([f"{name}{equals}{os.path.expanduser(value)}" for name, equals, value in parts],
                                        namespace)

    def error(self, message):
        raise UserError(f"{' '.join(message.split())}; --help lists what can be asked for")


def run(main):
    """Run a command, and leave with its exit status.

    Asked for help, print first what the script's docstring says, where its examples are. A `UserError` prints its
    sentence on stderr and exits with 2, Ctrl-C with 130, SIGTERM with 143, a reader that has gone, as `| head`, with
    141.

    Args:
        main: a function, or the name of a module that has a `main`. Called by that name before its own imports, a
            script ends as told while the libraries load, too, which takes seconds.
    """
    _open_closed()
    sys.stdout.reconfigure(errors="surrogateescape")  # a file's name that is no UTF-8 is printed as it is
    stderr = os.dup(2)  # TensorFlow's import lets the other one lead nowhere
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, lambda number, _: _stop(number, stderr))
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(sys.modules["__main__"].__doc__)
    try:
        code = (importlib.import_module(main).main if isinstance(main, str) else main)()
        print(end="", flush=True)
    except UserError as error:
        code = _told(error, 2)
    except Stopped as stopped:
        code = _told(stopped, 128 + stopped.number)
    except BrokenPipeError:
        silence_stdout()
        code = 128 + signal.SIGPIPE
    except OSError as error:
        code = _told(f"the system refuses ({error}); mend that, and run it again", 2)
    sys.exit(code)


def _open_closed():
    """Let standard streams that are closed, as by >&-, lead nowhere: a file would else take their numbers."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(number)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))


def silence_stdout():
    """Let what is printed go nowhere from now on, where nobody takes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def remove(path):
    """Remove the file or folder at `path`, if there is one that can be removed."""
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)


def _told(what, code):
    print(f"{sys.argv[0]}: {what}", file=sys.stderr)
    return code


def _stop(number, stderr):
    """End the process at once: an exception may be swallowed by what it comes upon, and files are whole at any time."""
    for path in list(unfinished):
        remove(path)
    with contextlib.suppress(Exception):  # another print may be under way
        sys.stdout.flush()
    line = f"{sys.argv[0]}: stopped by {'Ctrl-C' if number == signal.SIGINT else signal.Signals(number).name}\n"
    os.write(stderr, ("\n" * os.isatty(stderr) + line).encode(errors="replace"))
    os._exit(128 + number)
