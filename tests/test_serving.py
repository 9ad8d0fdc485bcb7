"""Demo.py --serve: from the shipped checkpoint to an answer, and what it refuses."""
import sys

import numpy as np
import pytest
from conftest import ROOT

import Demo
from utils import page
from utils.errors import UserError
from utils.settings import from_command_line


def options(*arguments):
    return from_command_line(Demo.Options, ["--serve", "--port=0", *arguments])


def test_demo_serves_the_gallery_that_it_measures(data_dir, tmp_path, monkeypatch, capsys):
    server = pytest.importorskip("utils.page.server")
    answered = {}

    def serve(gallery, listening, path, seed):
        assert listening.getsockname()[0] == "127.0.0.1" and path == tmp_path / "48bits_example.ckpt.map.npz"
        client = server.application(gallery, np.arange(5), np.zeros((5, 2))).test_client()
        answered.update(page=client.get("/").text, query=client.get("/search?query=2").json,
                        member=client.get("/search?picture=7").json)

    monkeypatch.setattr(server, "serve", serve)
    monkeypatch.chdir(tmp_path)
    Demo.evaluate(options(f"--data_dir={data_dir}", f"--model_save_path={tmp_path}",
                          f"--model_load_path={ROOT / 'models' / '48bits_example.ckpt'}"))
    mean = capsys.readouterr().out.split("mAP: ")[1].split()[0]
    for text in ("gpq, 48 bits", "48bits_example.ckpt", f"<dd id=\"about-3\">{mean}<", "database "):
        assert text in answered["page"]
    for answer in answered["query"], answered["member"]:
        assert sum(one["right"] for one in answer["found"][:15]) > 8  # by chance one or two
    assert answered["query"]["encoding"] is None and answered["member"]["encoding"] > 0
    assert not list(tmp_path.glob("*.png"))  # no ranked list beside it


def test_what_the_page_needs_is_told_of(monkeypatch):
    monkeypatch.setitem(sys.modules, "flask", None)
    monkeypatch.delitem(sys.modules, "utils.page.server", raising=False)
    monkeypatch.delattr(page, "server", raising=False)  # where another test has imported it
    with pytest.raises(UserError, match="--serve needs flask, which is not installed; pip install -r requirements-web"):
        Demo.gallery_page()


def test_a_database_of_ones_own_is_not_served():
    with pytest.raises(UserError, match="leave one of them out"):
        Demo.search_own(options("--database=mine.npz"))
