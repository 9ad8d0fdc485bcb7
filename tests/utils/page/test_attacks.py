"""What other sites, other people and broken clients do to a page that is served."""
import contextlib
import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from pages import ask, form, gallery, made_up, png, serving
from PIL import Image

from gpq.utils import figures
from gpq.utils.page import gallery as asking

server = pytest.importorskip("gpq.utils.page.server", reason='pip install -e ".[page]"')
N = 12
PICTURE = png(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
BEGUN = b"GET / HTTP/1.1\r\nHost: localhost\r\n"  # half a request


@pytest.fixture(scope="module")
def shown():
    return gallery(made_up(N), N)


@pytest.fixture(scope="module")
def served(shown):
    with serving(shown) as address:
        yield address


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
    {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
    {"Origin": "http://127.0.0.1:1"}])  # another port is another site
def test_what_pages_of_other_sites_ask_for_is_refused(served, headers):
    for request in (form(PICTURE), {"path": "/"}, {"path": "/map"}, {"path": "/gallery/3.png"},
                    {"path": "/static/page.js"}):
        status, _, said = ask(served, **request, **headers)
        assert status == 403 and "another site" in json.loads(said)["error"]


def test_what_the_page_and_its_user_ask_for_is_answered(served):
    origin = f"http://{served[0]}:{served[1]}"
    assert ask(served, **form(PICTURE))[0] == 200  # as by curl
    assert ask(served, **form(PICTURE), Origin=origin, Sec_Fetch_Site="same-origin")[0] == 200
    assert ask(served, Sec_Fetch_Site="none")[0] == 200
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert ask(served, **link)[0] == 200  # a link on another page that is clicked on
    assert ask(served, "/map", **link)[0] == ask(served, **form(PICTURE), **link)[0] == 403


def test_every_answer_forbids_the_browser_what_the_page_does_not_need(served):
    for request in ({"path": "/"}, {"path": "/static/page.css"}, {"path": "/gallery/0.png"}, {"path": "/nowhere"},
                    {"path": "/map"}, {"path": "/search"}, {"path": "/", "Origin": "null"}):
        headers = ask(served, **request)[1]
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'self'" and policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["img-src"] == "'self' blob: data:" and policy["form-action"] == "'self'" and len(policy) == 5
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    page = ask(served)[2].decode()
    assert re.findall(r"<script(.*?)>(.*?)</script>", page, re.S) == [(' src="static/page.js" defer', "")]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)


@pytest.mark.parametrize("host, url", [("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::1", "[::1]")])
def test_each_address_of_this_machine_answers_by_its_own_name(shown, host, url, monkeypatch, capsys):
    try:
        socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with serving(shown, host=host) as address:
        port = address[1]
        for name in (f"{url}:{port}", f"localhost:{port}", f"{url}:9", url):  # another port leads here by a tunnel
            assert ask(address, Host=name)[0] == 200, name
        for name in (f"evil.example:{port}", "127.0.0.1.evil.example", "", "[::1].evil.example", "0x7f.1", "[::1"):
            assert ask(address, Host=name)[0] == 400, name
    said = told(monkeypatch, capsys, shown, host)
    assert re.fullmatch(rf"The gallery is at http://{re.escape(url)}:\d+/ until Ctrl-C", said[-1])


def told(monkeypatch, capsys, shown, host, *token):
    """The lines that are printed when a page is served at `host`."""
    monkeypatch.setattr(server, "atlas", lambda *_: (np.arange(N), np.zeros((N, 2))))
    monkeypatch.setattr(server.Server, "serve_forever", lambda _: None)
    with server.listen(host, 0) as listening:
        server.serve(shown, listening, "map.npz", 0, *token)
    return capsys.readouterr().out.splitlines()


def test_what_an_open_address_opens_is_said(shown, monkeypatch, capsys):
    at, opened = told(monkeypatch, capsys, shown, "0.0.0.0")[-2:]
    assert at.startswith("The gallery is at http://127.0.0.1:")
    assert re.fullmatch("Whoever reaches 0.0.0.0 port .*; --token=SECRET asks them for a secret", opened)
    said = "\n".join(told(monkeypatch, capsys, shown, "0.0.0.0", "a secret"))
    assert "Whoever reaches" in said and "secret" not in said


def refused_alone(address):
    """Whether a server shuts the connection `address` within five seconds."""
    address.settimeout(5)
    with contextlib.suppress(ConnectionError):
        while address.recv(2**16):
            pass
    return True


def test_a_connection_has_so_long_for_a_request_however_it_trickles(shown):
    with serving(shown, channel_timeout=0.3, cleanup_interval=0) as address:
        def opened(first):
            made = socket.create_connection(address, timeout=5)
            made.sendall(first)
            return made

        body = BEGUN.replace(b"GET /", b"POST /search") + b"Content-Length: 1000\r\n\r\n"
        slow = [opened(first) for first in (b"", BEGUN, body)]
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # the answers are asked for and not taken
        deaf.connect(address)
        deaf.sendall((BEGUN + b"\r\n") * 100)
        began = time.time()
        with contextlib.suppress(ConnectionError):  # which is what should come
            while time.time() - began < 3:
                for each in slow[1:]:
                    each.sendall(b"x")
                time.sleep(0.05)
        assert time.time() - began < 2
        assert all(refused_alone(each) for each in slow)
        with pytest.raises(ConnectionError):
            while time.time() - began < 5:
                deaf.sendall(b"x")
                time.sleep(0.05)
        assert ask(address, "/map")[0] == 200


@pytest.mark.parametrize("first", [BEGUN, b"", BEGUN.replace(b"GET", b"POST") + b"Content-Length: 9999\r\n\r\nbody"])
def test_connections_that_wait_do_not_keep_others_out(shown, first):
    with serving(shown, connection_limit=20) as address, contextlib.ExitStack() as stack:
        held = []
        for _ in range(100):
            held.append(stack.enter_context(socket.create_connection(address, timeout=5)))
            held[-1].sendall(first)
        began = time.time()
        assert ask(address, "/map")[0] == 200 and time.time() - began < 2
        assert refused_alone(held[0])  # the oldest made room
        assert len(os.listdir("/proc/self/task")) < 100  # no thread each


def test_what_is_too_large_is_refused(served):
    status, _, said = ask(served, **form(bytes(server.MOST_BYTES)))
    assert status == 413 and "larger than 10 MiB" in json.loads(said)["error"]
    assert ask(served, X=server.LIMITS["max_request_header_size"] * "x")[0] == 431
    with socket.create_connection(served, timeout=5) as made:  # by its length alone, before it comes
        made.sendall(BEGUN.replace(b"GET /", b"POST /search") + b"Content-Length: 99999999999\r\n\r\n")
        assert b" 413 " in made.recv(100)


def test_names_with_markup_are_text(tmp_path):
    evil = '"><script>alert(1)</script><img src=x onerror="alert(2)">'
    data = made_up(N, class_names=(evil, "$\\frac$", "\udcff"), names=np.array([f"{evil}{k}.png" for k in range(N)]),
                   folder=tmp_path)
    made = gallery(data, N, word=lambda word: (np.ones(12, np.float32), None))
    object.__setattr__(made, "about", {"method": evil, "data": f"{evil}\udcff"})
    with serving(made) as address:
        page = ask(address)[2].decode()
        assert "<script>" not in page and "<img src=x" not in page and page.count("&lt;script&gt;") >= 3
        for question in ("query=0", "picture=4", urlencode({"word": evil})):
            status, headers, said = ask(address, f"/search?{question}")
            assert status == 200 and headers["Content-Type"] == "application/json"
            assert "<script>" in json.loads(said)["title"] or question == "picture=4"
        assert json.loads(ask(address, **form(PICTURE, "<b>.png"))[2])["title"] == "<b>.png"
    image = np.zeros((4, 4, 3), np.uint8)
    figures.ranked_list(tmp_path / "list.png", image, evil, [image], ["$\\frac{$"], [True])
    figures.embedding(tmp_path / "embedding.png", np.zeros((1, 2, 2)), np.arange(2), ["$\\frac{$", evil], [evil])


def test_a_token_is_asked_for_and_kept(shown, caplog, capfd):
    secret = "a secret, änd a löng one"
    with serving(shown, token=secret) as address, caplog.at_level(logging.DEBUG):
        for path in ("/map", "/gallery/0.png", "/search?query=0", "/static/page.js", "/nowhere",
                     "/map?" + urlencode({"token": secret})):
            status, headers, said = ask(address, path)
            assert status == 401 and "asks for a secret" in json.loads(said)["error"] and "Set-Cookie" not in headers
        assert ask(address, **form(PICTURE))[0] == 401
        status, headers, said = ask(address)
        assert status == 401 and b'name="token"' in said and b"not the secret" not in said
        assert headers["X-Content-Type-Options"] == "nosniff"
        typed = {"method": "POST", "Content_Type": "application/x-www-form-urlencoded"}
        for wrong in ("", "a secret", secret + "x", "\udcff"):
            status, headers, said = ask(address, body=urlencode({"token": wrong}, errors="replace"), **typed)
            assert status == 401 and b"not the secret" in said and "Set-Cookie" not in headers
        body = urlencode({"token": secret})
        assert ask(address, body=body, **typed, Origin="https://evil.example")[0] == 403
        for first in ({"path": f"/?{body}"}, {"body": body, **typed}):
            status, headers, _ = ask(address, **first)
            assert (status, headers["Location"]) == (303, "/")
            cookie = headers["Set-Cookie"]
            assert cookie.startswith(f"gallery{address[1]}=") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
            assert len(cookie) > 60 and "secret" not in cookie
            for path in ("/", "/map", "/gallery/0.png"):
                assert ask(address, path, Cookie=cookie.split(";")[0])[0] == 200
            assert ask(address, "/map", Cookie=cookie.split(";")[0] + "x")[0] == 401
        assert ask(address, "/map", Cookie=f"gallery{address[1]}={secret}".encode())[0] == 401
    assert "secret" not in caplog.text + "".join(capfd.readouterr())


def test_pictures_are_decoded_two_at_a_time(shown, monkeypatch):
    busy, most = [], []

    def uploaded(*_):
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.02)
        busy.pop()
        return shown.data.images[0]

    monkeypatch.setattr(asking, "uploaded", uploaded)
    with serving(shown) as address, contextlib.ExitStack() as stack:
        sent = form(PICTURE)
        head = (f"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Type: {sent['Content_Type']}\r\n"
                f"Content-Length: {len(sent['body'])}\r\n\r\n")
        connections = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(20)]
        for each in connections:
            each.sendall(head.encode() + sent["body"])
        assert all(each.recv(100).startswith(b"HTTP/1.1 200") for each in connections)
    assert len(most) == 20 and max(most) == 2


def test_uploads_at_once_take_bounded_memory(shown):
    def status(kind):
        return int(re.search(rf"{kind}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) >> 10

    file = io.BytesIO()
    grey = Image.new("I;16", (2500, 2500))  # 12 MiB as it is, 48 as int64
    grey.paste(40000, (0, 0, 900, 900))
    grey.save(file, "PNG")
    large = io.BytesIO()
    Image.new("1", (7000, 7000)).save(large, "PNG")
    with serving(shown) as address, ThreadPoolExecutor(8) as clients:
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
        before = status("VmRSS")
        answers = list(clients.map(lambda _: ask(address, **form(file.getvalue()))[0], range(5)))
        refused = ask(address, **form(large.getvalue()))
        grown = status("VmHWM") - before
    print(f"{grown} MiB")
    assert answers == [200] * 5 and grown < 200
    assert refused[0] == 400 and "too many pixels" in json.loads(refused[2])["error"]


ALONE = """
import time, numpy as np
from pages import gallery, made_up
from gpq.utils import errors
from gpq.utils.page import server
made = gallery(made_up(12), 12)
object.__setattr__(made, "encode", lambda images: time.sleep(30))
server.atlas = lambda *_: (np.arange(12), np.zeros((12, 2)))
errors.run(lambda: server.serve(made, server.listen("127.0.0.1", 0), "map.npz", 0))
"""


def test_a_signal_ends_it_at_once_though_it_is_busy():
    here = Path(__file__).parent
    with contextlib.ExitStack() as stack:
        started = {sent: stack.enter_context(subprocess.Popen(
            [sys.executable, "-c", ALONE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": f"{here}:{here.parents[2]}"})) for sent in (signal.SIGINT, signal.SIGTERM)}
        for sent, process in started.items():
            port = next(int(found[1]) for line in process.stdout if (found := re.search(r":(\d+)/", line)))
            with socket.create_connection(("127.0.0.1", port), timeout=5) as busy:
                busy.sendall(BEGUN.replace(b"/ ", b"/search?picture=1 ", 1) + b"\r\n")
                time.sleep(0.2)
                began = time.time()
                process.send_signal(sent)
                _, said = process.communicate(timeout=20)
            assert time.time() - began < 4 and "Traceback" not in said  # a second where nothing else runs
            assert process.returncode in ((130,) if sent == signal.SIGINT else (143, -sent))
