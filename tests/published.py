"""Published data that are not in the repository: they lie beside the folder that GPQ_REFERENCE names."""
import os
from pathlib import Path

import pytest


def folder(name):
    """The folder `name` there; the test is skipped where it is absent."""
    path = Path(os.environ.get("GPQ_REFERENCE", "")).parent / name
    if not os.environ.get("GPQ_REFERENCE") or not path.is_dir():
        pytest.skip(f"there is no {name} beside the folder that GPQ_REFERENCE names")
    return path
