"""The command that `pip install .` makes of the scripts."""
import re
import runpy
import subprocess
import sys

import pytest
from conftest import ROOT
from setuptools.config.pyprojecttoml import read_configuration

from gpq.utils.data import cifar10

pytestmark = pytest.mark.filterwarnings("ignore:Support for .* is still:UserWarning")


def setup():
    return read_configuration(ROOT / "pyproject.toml")["tool"]["setuptools"]


def test_every_package_is_installed():
    folders = {path.parent for part in ("model", "utils") for path in (ROOT / part).rglob("*.py")}
    named = {".".join(["gpq", *folder.relative_to(ROOT).parts]) for folder in folders}
    assert set(setup()["packages"]) == {"gpq", *named}


def test_the_files_that_the_code_reads_beside_itself_are_installed():
    installed = {path.name for pattern in setup()["package-data"]["gpq"] for path in ROOT.glob(pattern)}
    assert installed == {path.name for path in cifar10.HOME.glob("*.np[yz]")}
    page = ROOT / "utils" / "page"
    installed = {path for pattern in setup()["package-data"]["gpq.utils.page"] for path in page.glob(pattern)}
    assert installed == {path for path in page.rglob("*.*") if path.suffix in {".html", ".css", ".js"}}


def test_every_extra_that_the_documents_name_is_there():
    extras = read_configuration(ROOT / "pyproject.toml")["project"]["optional-dependencies"]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "config.py", ROOT / "requirements-dev.txt"]
    named = [re.findall(r"-e \"?\.\[([a-z,]+)\]", page.read_text()) for page in pages]
    assert {"page", "imagenet", "onnx", "ray", "dev"} == set(",".join(sum(named, [])).split(",")) < extras.keys()


def gpq(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["gpq", *arguments])
    monkeypatch.setattr(sys, "path", sys.path[:])
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("arguments, shown", [
    ([], "gpq train"), (["--help"], "gpq demo"), (["reproduce", "--help"], "python reproduce.py figure3"),
    (["data", "--help"], "python -m utils.data fetch"), (["encode", "--help"], "python encode.py"),
    (["faiss", "--help"], "python -m utils.retrieval.faiss codes.npz codes.faiss")])
def test_a_verb_is_a_script(monkeypatch, capsys, arguments, shown):
    with pytest.raises(SystemExit) as ended:
        gpq(monkeypatch, *arguments)
    assert not ended.value.code and shown in capsys.readouterr().out


def test_an_unknown_verb_is_answered_with_those_there_are(monkeypatch):
    with pytest.raises(SystemExit, match="there is no paint; say one of train, demo,"):
        gpq(monkeypatch, "paint")


def test_it_runs_where_the_repository_is_not(tmp_path):
    """As a package of another place, in an empty folder, beside nobody's `utils`."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "gpq").symlink_to(ROOT, target_is_directory=True)
    (tmp_path / "utils.py").write_text("raise ImportError")
    ended = subprocess.run([sys.executable, "-m", "gpq", "data", "fetch", "--help"], cwd=tmp_path, text=True,
                           capture_output=True, env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""})
    assert ended.returncode == 0 and "cifar100" in ended.stdout, ended.stderr
