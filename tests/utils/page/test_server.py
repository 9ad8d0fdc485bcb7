import io
import re

import numpy as np
import pytest
from pages import gallery, png

from gpq.utils.errors import UserError

server = pytest.importorskip("gpq.utils.page.server", reason='pip install -e ".[page]"')


@pytest.fixture(scope="module")
def shown(sample):
    return gallery(sample)


@pytest.fixture(scope="module")
def client(shown):
    return server.application(shown, np.arange(400), np.random.default_rng(0).uniform(size=(400, 2))).test_client()


def test_the_page_names_what_it_shows(client):
    page = client.get("/")
    assert page.status_code == 200
    for text in ("projection, 12 bits", "made_up.ckpt", "0.1234", "data 0.10, search 0.20", "airplane", "0 to 99"):
        assert text in page.text
    assert 'id="word"' not in page.text  # no tags here


def test_a_tag_can_be_typed_where_the_method_has_tags(sample):
    made = gallery(sample, word=lambda word: (np.ones(12, np.float32), None))
    client = server.application(made, np.arange(3), np.zeros((3, 2))).test_client()
    assert 'id="word"' in client.get("/").text
    assert client.get("/search?word=red horse").json["title"] == "tag red horse"


def test_nothing_comes_from_elsewhere(client):
    page = client.get("/")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'self';")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert set(sources) == {"data:,", "static/page.css", "static/page.js"}
    for name in ("page.css", "page.js"):
        assert not re.search(r"//\w|@import|url\(", client.get(f"/static/{name}").text)


def test_questions_are_answered_and_images_shown(client, shown, sample):
    for question, title in (("query=4", "query 4: "), ("picture=9", "picture 9 of the gallery: ")):
        answer = client.get(f"/search?{question}").json
        assert answer["title"].startswith(title) and len(answer["found"]) == 60
        assert client.get("/" + answer["picture"]).mimetype == "image/png"
    answer = client.post("/search", data={"picture": (io.BytesIO(png(sample.images[0])), "../mine.png")})
    assert answer.status_code == 200 and len(answer.json["found"]) == 60
    assert client.get("/gallery/3.png").data == png(sample.images[shown.data.gallery[3]])
    rows = client.get("/map").json
    assert [row[2] for row in rows] == list(range(400))
    assert [row[3] for row in rows] == sample.labels[shown.data.gallery].argmax(1).tolist()


@pytest.mark.parametrize("address", ["search", "search?query=x", "search?query=100", "search?picture=400",
                                     "search?word=horse"])
def test_a_question_without_an_answer_is_refused_in_a_sentence(client, address):
    refused = client.get("/" + address)
    assert refused.status_code == 400 and len(refused.json["error"]) > 30


def test_an_upload_that_is_no_picture_or_too_large_is_refused(client):
    def post(content):
        return client.post("/search", data={"picture": (io.BytesIO(content), "mine.png")})

    assert "is no picture that can be read" in post(b"text").json["error"]
    large = post(bytes(server.MOST_BYTES + 1))
    assert large.status_code == 413 and "larger than 10 MiB" in large.json["error"]
    assert "no file came" in client.post("/search").json["error"]


@pytest.mark.parametrize("address", [
    "/../README.md", "/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/server.py",
    "/static/..%5cserver.py", "/static//etc/passwd", "/gallery/../../README.md", "/gallery/..%2f..%2fREADME.md",
    "/gallery/%2fetc%2fpasswd", "/gallery/-1.png", "/gallery/400.png", "/query/100.png", "/gallery/1.npy",
    "/labelled/0.png", "/templates/page.html", "/server.py"])
def test_no_address_leads_out_of_the_gallery(client, address):
    assert client.get(address, follow_redirects=True).status_code == 404


def test_a_page_of_another_site_cannot_ask(sample):
    for host, status in (("127.0.0.1", 400), ("::1", 400), ("0.0.0.0", 200)):
        made = server.application(gallery(sample, 10), np.arange(10), np.zeros((10, 2)), host)
        assert made.test_client().get("/map", headers={"Host": "elsewhere.example:8000"}).status_code == status
        assert made.test_client().get("/map", headers={"Host": "localhost:8000"}).status_code == 200


def test_a_port_that_is_taken_is_told_of():
    with server.listen("127.0.0.1", 0) as first:
        host, port = first.getsockname()
        assert host == "127.0.0.1"
        with pytest.raises(UserError, match=f"127.0.0.1 port {port} .*--port"):
            server.listen("127.0.0.1", port)
    with pytest.raises(UserError, match="--host"):
        server.listen("no host", 0)
