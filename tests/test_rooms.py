"""Data flow one way: no folder imports what imports it."""
import ast
import graphlib

from conftest import ROOT

MODULES = {".".join(("gpq", *file.relative_to(ROOT).with_suffix("").parts)): file
           for pattern in ("*.py", "model/**/*.py", "utils/**/*.py") for file in ROOT.glob(pattern)}


def room(name):
    """`gpq.model`, a folder of `gpq.utils`, or a module beside these, that a dotted name lies in; None of others."""
    module = name if name in MODULES else name.rpartition(".")[0]
    if module not in MODULES:
        return None
    return ".".join(module.split(".")[:2 if module.startswith("gpq.model.") else 3])


def test_no_folder_imports_what_imports_it():
    arrows = {room(module): set() for module in MODULES}
    for module, file in MODULES.items():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                arrows[room(module)] |= {room(f"{node.module}.{name.name}") for name in node.names}
            elif isinstance(node, ast.Import):
                arrows[room(module)] |= {room(name.name) for name in node.names}
    arrows = {here: there - {here, None} for here, there in arrows.items()}
    assert {"gpq.utils.data", "gpq.config"} <= arrows["gpq.utils.checkpoints"] and not arrows["gpq.model"]
    graphlib.TopologicalSorter(arrows).prepare()  # a CycleError names the rooms
