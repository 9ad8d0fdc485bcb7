"""One reader for each kind of file: nobody else calls what opens it."""
import ast
import functools

import pytest
from conftest import ROOT

DOORS = {  # what opens a file: who may; database.py writes .npz, machine.py reads the kernel's /proc/cpuinfo
    "np.load": (), "np.loadtxt": ("utils/reading/documents.py",), "np.genfromtxt": (), "np.fromfile": (),
    "np.memmap": (),
    "zipfile.ZipFile": ("utils/reading/arrays.py", "utils/checkpoints/torch_files.py", "utils/retrieval/database.py"),
    "json.load": (), "json.loads": ("utils/reading/documents.py",),
    "read_text": ("utils/checkpoints/machine.py",),
    "loadmat": (), "NewCheckpointReader": ("utils/checkpoints/store.py",),
    "Image.open": ("utils/reading/pictures.py",),
    "read_index": (), "read_index_binary": (), "deserialize_index": (),
    "pickle.load": (), "pickle.loads": (), "pickle.Unpickler": (), "pickle._Unpickler": ("utils/reading/pickles.py",),
    "read_csv": ("utils/reading/tables.py",), "read_table": (), "ParquetFile": ("utils/reading/tables.py",)}


def sources():
    """The product's files."""
    files = [*ROOT.glob("*.py"), *(file for folder in ("model", "utils") for file in (ROOT / folder).rglob("*.py"))]
    return {str(file.relative_to(ROOT)): file for file in files}


@functools.cache
def calls(file):
    """The names by which a file refers to things of other modules, "np.load" and "load": a set."""
    return set(_names(file))


def _names(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.attr
            if isinstance(node.value, ast.Name):
                yield f"{node.value.id}.{node.attr}".replace("numpy.", "np.")
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{(node.module or '').replace('numpy', 'np')}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("name", DOORS)
def test_only_its_reader_opens_a_kind_of_file(name):
    using = {path for path, file in sources().items() if name in calls(file)}
    assert using <= set(DOORS[name])


def test_the_scan_sees_each_way_of_calling(tmp_path):
    (tmp_path / "a.py").write_text("import numpy\nfrom numpy import load\nnumpy.load(1)\nx.y.read_text()\nnp.loadtxt\n")
    assert {"np.load", "read_text", "np.loadtxt"} <= calls(tmp_path / "a.py")
