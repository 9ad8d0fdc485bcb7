"""Demo.py --serve: from the shipped checkpoint to an answer, and what it refuses."""
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from gpq import Demo, encode
from gpq.utils import page
from gpq.utils.errors import UserError
from gpq.utils.page import atlas
from gpq.utils.retrieval import cluster
from gpq.utils.retrieval.database import Database
from gpq.utils.settings import from_command_line


def options(*arguments):
    return from_command_line(Demo.Options, ["--serve", "--port=0", *arguments])


def test_demo_serves_the_gallery_that_it_measures(data_dir, tmp_path, monkeypatch, capsys):
    server = pytest.importorskip("gpq.utils.page.server")
    answered = {}

    def serve(gallery, listening, path, seed, token):
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
    monkeypatch.delitem(sys.modules, "gpq.utils.page.server", raising=False)
    monkeypatch.delattr(page, "server", raising=False)  # where another test has imported it
    with pytest.raises(UserError, match="--serve needs flask, which is not installed; pip install flask waitress"):
        Demo.gallery_page()


@pytest.fixture
def mine(sample, tmp_path, monkeypatch):
    """A folder `mine` of 20 pictures, one of them in a folder below, and an array of the same."""
    monkeypatch.chdir(tmp_path)
    Path("mine/sub").mkdir(parents=True)
    np.save("mine.npy", sample.images[sample.gallery[:500:25]])
    for number, image in enumerate(np.load("mine.npy")):
        Image.fromarray(image).save(f"mine/{'sub/' * (number == 7)}{number:02}.png")


SHIPPED = [f"--model_load_path={ROOT}/models/12bits_example.ckpt", "--n_book=3", "--follow=paper"]


@pytest.mark.parametrize("images, out", [("mine", "codes/"), ("mine.npy", "codes.npz")])
def test_a_database_of_ones_own_is_served(mine, monkeypatch, images, out):
    """A folder and a file; a picture asks by its number and by its file."""
    server = pytest.importorskip("gpq.utils.page.server")
    monkeypatch.setattr(cluster, "FEWEST", 8)
    monkeypatch.setattr(sys, "argv", ["encode", *SHIPPED, f"--images={images}", f"--out={out}"])
    encode.main()
    served = []

    def serve(gallery, listening, path, seed, token):
        client = server.application(gallery, *atlas.atlas(gallery.database, path, seed)).test_client()
        with open("mine/03.png", "rb") as file:
            upload = client.post("/search", data={"picture": (file, "03.png")}).json
        served.append(gallery)
        page, drawn = client.get("/").text, client.get("/map").json
        assert "12 bits" in page and "by-query" not in page and len(drawn) == 20
        assert {row[3] for row in drawn} == {-1}
        for name, number in (("03.png", 3), ("sub/07.png", 19)):
            number = number if images == "mine" else int(Path(name).stem)
            answer = client.get(f"/search?picture={number}").json
            nearest = [one for one in answer["found"] if one["distance"] == answer["found"][0]["distance"]]
            assert number in [one["number"] for one in nearest] and len(answer["found"]) == 20
            assert {one["right"] for one in answer["found"]} == {None}
            assert answer["found"][0]["title"].endswith(".png") == (images == "mine")
            assert client.get("/" + answer["picture"]).mimetype == "image/png"
            if name == "03.png":
                assert [one["number"] for one in upload["found"]] == [one["number"] for one in answer["found"]]
        assert client.get("/search?query=0").status_code == 400

    monkeypatch.setattr(server, "serve", serve)
    Demo.search_own(from_command_line(Demo.Options, [*SHIPPED, "--serve", "--port=0", f"--database={out}"]))
    assert served and Path(f"{out.rstrip('/')}.map.npz").exists()


def test_what_cannot_be_served_is_said(mine, monkeypatch):
    pytest.importorskip("gpq.utils.page.server")
    monkeypatch.setattr(sys, "argv", ["encode", *SHIPPED, "--images=mine.npy", "--out=codes.npz"])
    encode.main()
    own = [*SHIPPED, "--serve", "--port=0", "--database=codes.npz"]
    np.save("mine.npy", np.load("mine.npy")[:9])
    with pytest.raises(UserError, match="codes.npz is of 20 pictures or vectors, and .*mine.npy has 9 now; make"):
        Demo.search_own(from_command_line(Demo.Options, own))
    kept = Database.load("codes.npz")
    del kept.made_of["images"]
    kept.save("codes.npz", over_input=True)
    with pytest.raises(UserError, match="codes.npz is of a data set and not of pictures of your own; leave --database"):
        Demo.search_own(from_command_line(Demo.Options, own))
