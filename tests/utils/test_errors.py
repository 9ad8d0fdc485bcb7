"""How a script begins and ends."""
import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpq.utils import errors

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [path for path in [*ROOT.glob("*.py"), *(ROOT / "utils").rglob("*.py")] if '__name__ == "__main__"' in
           path.read_text() and "run(" in path.read_text()]


@pytest.mark.parametrize("argument, shown", [("--help", True), ("-h", True), ("--n_book=3", False)])
def test_help_begins_with_examples(monkeypatch, capsys, argument, shown):
    monkeypatch.setattr(sys, "argv", ["train.py", argument])
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__doc__="Train.\n\n    python train.py\n"))
    with pytest.raises(SystemExit) as ended:
        errors.run(lambda: print("usage"))
    assert not ended.value.code
    assert capsys.readouterr().out == ("Train.\n\n    python train.py\n\n" if shown else "") + "usage\n"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_has_examples(path):
    assert "python " in ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", [path for path in SCRIPTS if "    run(" in path.read_text()],
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_is_run_before_its_imports_by_its_own_name(path):
    first = ast.parse(path.read_text()).body[1]
    name = ".".join(("gpq", *path.relative_to(ROOT).with_suffix("").parts))
    assert ast.unparse(first) == f"if __name__ == '__main__':\n    from gpq.utils.errors import run\n    run('{name}')"
