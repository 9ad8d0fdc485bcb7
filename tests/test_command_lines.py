"""Command lines that nobody should write: each is taken, or refused in one sentence; nothing is started."""
import collections
import contextlib
import importlib
import io
import pkgutil
import random
import sys
import tempfile
import time
import traceback

import pytest

from gpq import config
from gpq.utils.data import sets
from gpq.utils.errors import UserError

SEED, LINES = 0, 60  # of a command; python tests/test_command_lines.py SEED LINES runs more
VALUES = ["", "0", "1", "2", "-1", "7", "0.5", "-0.0", "1e-300", "1e30", "1e308", "1e999", "nan", "-inf",
          "2147483647", "2147483648", "4294967296", "9223372036854775808", 400 * "9", 5000 * "9", "null", "None",
          "true", "no", "[]", "[1,2]", "[1,1]", "[[1]]", "[2147483648]", "[1e9,1e9]", "[", "{}", '{"a":1}', '"', "a",
          " ", "=", "--", "~", "~/x", "~nobody/x", "nowhere/x.npz", "nowhere.npy", "x/", ".", "..", "{n_bits}", "{",
          "é", "\udcff", 300 * "x", 5000 * "x", 3000 * "x/", "0x10", "1_000", "١٢", "1,2", "gpq", "cifar10",
          "folder", "embeddings", "gist", "efficientnet_lite0", "resnet18", "12", "48", "\n", "%s", "$HOME", "*"]
STARTS = {  # command: what would begin its work, which is not done
    "gpq.train": ["gpq.utils.training.task.Task"], "gpq.pretrain": ["gpq.utils.training.task.Task"],
    "gpq.Demo": ["gpq.Demo.evaluate", "gpq.Demo.search_own"],
    "gpq.encode": ["gpq.encode.write_features", "gpq.encode.write_encoder", "gpq.encode.embeddings.read_vectors",
               "gpq.encode.lazy.read_all"],
    "gpq.reproduce": ["gpq.reproduce.collected"],
    "gpq.utils.data.__main__": ["gpq.utils.data.__main__.sets.load", "gpq.utils.data.__main__.joined.join"],
    "gpq.utils.data.tags.__main__": ["gpq.utils.data.tags.__main__.sets.load"],
    "gpq.utils.training.pseudo_labels": ["gpq.utils.training.pseudo_labels.sets.load"],
    "gpq.utils.training.soft_labels": ["gpq.utils.training.soft_labels.sets.load"],
    "gpq.utils.retrieval.faiss": ["gpq.utils.retrieval.faiss.Database.load", "gpq.utils.retrieval.faiss.read"]}
MORE = {"gpq.reproduce": [["table2"], ["figure1", "--draw"], ["imagenet"], ["--bits"], ["--seeds"], ["spq", "--smoke"]],
        "gpq.utils.data.__main__": [["fetch"], ["fetch", "cifar10"], ["embeddings"], ["--labelled"],
                                ["embeddings", "--features", "f.npy", "--out=o.npz"]],
        "gpq.utils.retrieval.faiss": [["c.npz"], ["c.npz", "c.faiss"], ["c.faiss", "c.npz", "--like=b.npz"],
                                  ["c.npz", "c.faiss", "--ivf"]],
        "gpq.encode": [["--images=x", "--out=o.npz"], ["--images=x", "--out=o/"], ["--features_only", "--out=o.npy"],
                   ["--export=e"]],
        "gpq.utils.training.pseudo_labels": [[], ["--features=f", "--out=o"]],
        "gpq.utils.training.soft_labels": [[], ["--features=f", "--out=o", "--teacher=efficientnet_lite0"]]}


class Started(BaseException):
    """The line was taken, and work would begin."""


def lines(command, seed, count):
    """`count` command lines, lists of arguments, of which some are as they should be."""
    random_ = random.Random(f"{command} {seed}")
    own = getattr(importlib.import_module(command), "Options", None)
    for _ in range(count):
        kind = random_.choice(list(config.METHODS.values()))
        names = [*kind.model_fields, *3 * list(own.model_fields if own else ()), "help", "n_bits", "nothing", "gpu_id"]
        made = [] if random_.random() < 0.5 else [f"--method={kind().method}"]
        made = random_.choice(MORE.get(command, [[]])) + made
        for _ in range(random_.choice((0, 1, 1, 2, 3, 6))):
            name, value = random_.choice(names), random_.choice(VALUES)
            usual = kind.model_fields[name].default if name in kind.model_fields else value
            value = random_.choice([value, value, str(usual)])
            made = made + random_.choice([*3 * [[f"--{name}={value}"]],
                                          [f"--{name}", value], [f"--{name}"], [f"-{name[0]}", value], [value],
                                          [f"--{name[:4]}={value}"], [f"--no-{name}"]])
        yield made


def outcome(command, arguments, monkeypatch):
    """What comes of a command line, in a word, or WRONG and what came of it."""
    monkeypatch.setattr(sys, "argv", [command, *arguments])
    try:
        importlib.import_module(command).main()
    except Started:
        return "started"
    except UserError as error:
        return "refused" if "\n" not in str(error) and len(str(error)) < 2000 else f"WRONG {str(error)[:3000]!r}"
    except SystemExit as left:
        return "helped" if left.code in (0, None) else f"WRONG {left.code}"
    except Exception as error:
        return f"WRONG {type(error).__name__}: {str(error)[:200]} {traceback.extract_tb(error.__traceback__)[-1]}"
    return "done"


def begin(*_, **__):
    raise Started


def fuzz(command, seed, count, monkeypatch):
    """[(outcome, arguments, seconds)] of command lines whose work is not begun."""
    for path in STARTS[command]:
        owner, name = path.rsplit(".", 1)
        monkeypatch.setattr(pkgutil.resolve_name(owner), name, begin)
    for name, row in sets.SETS.items():
        monkeypatch.setitem(sets.SETS, name, row._replace(fetch=row.fetch and begin))
    found = []
    for arguments in lines(command, seed, count):
        began = time.perf_counter()
        found.append((outcome(command, arguments, monkeypatch), arguments, time.perf_counter() - began))
    return found


@pytest.mark.parametrize("command", STARTS)
def test_a_line_is_taken_or_refused_in_one_sentence(command, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    found = fuzz(command, SEED, LINES, monkeypatch)
    outcomes = {outcome for outcome, *_ in found}
    assert {"refused", "started"} <= outcomes <= {"refused", "started", "helped"}
    assert max(seconds for *_, seconds in found) < 10  # none hangs
    assert "usage:" not in capsys.readouterr().err and not list(tmp_path.iterdir())


if __name__ == "__main__":
    for command in STARTS:
        with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder, \
                contextlib.redirect_stdout(io.StringIO()):
            patched.chdir(folder)
            found = fuzz(command, int(sys.argv[1]), int(sys.argv[2]), patched)
        slowest = max(found, key=lambda each: each[2])
        print(command, *collections.Counter(outcome for outcome, *_ in found).items(), sep="\n    ")
        print(f"    slowest {slowest[2]:.1f} s", str(slowest[1])[:300], flush=True)
        print(*[f"    {arguments}: {outcome}"[:900] for outcome, arguments, _ in found if "WRONG" in outcome][:20],
              sep="\n")
