"""The gallery as a page: `python Demo.py --serve`.

Flask, waitress and a page of plain HTML, CSS and JavaScript, and not Gradio: that brings dozens of packages, reports
its use unless told not to, and has pages that ask other sites for fonts and scripts. Here nothing comes from elsewhere,
and by its Content-Security-Policy the browser refuses what would. Images are asked for by their number and encoded anew
from the data, so that no address leads to a file but those of static/.
"""
import hmac
import ipaddress
import logging
import os
import re
import secrets
import socket
import time

from flask import Flask, Response, abort, jsonify, redirect, render_template, request
from matplotlib.colors import to_hex
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from gpq.utils import figures
from gpq.utils.errors import UserError
from gpq.utils.page import gallery as asking
from gpq.utils.page.atlas import atlas
from gpq.utils.page.gallery import Gallery

__all__ = ["Gallery", "application", "listen", "serve", "server"]
MOST_BYTES = 10 * 2**20  # of an uploaded file
LIMITS = {"threads": 8, "connection_limit": 100, "channel_timeout": 30, "cleanup_interval": 1,
          "max_request_header_size": 2**14, "max_request_body_size": MOST_BYTES + 2**20,
          "asyncore_use_poll": True, "log_socket_errors": False}  # of waitress, in seconds and bytes
POLICY = "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
HEADERS = {"Content-Security-Policy": POLICY, "Cross-Origin-Opener-Policy": "same-origin",
           "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "same-origin",
           "X-Content-Type-Options": "nosniff"}


def application(gallery, places, points, host="127.0.0.1", token=""):
    """The Flask application of a `Gallery` with the map of `atlas.atlas`.

    `/` is the page. JSON: `/search?query=K`, `?picture=K`, `?word=W` and POST of a file `picture` give what the Gallery
    answers, and `/map` [[x, y, place, class or -1] each]. `/query/K.png` and `/gallery/K.png` are images. What is wrong
    comes as {"error": a sentence}, with status 400, 401, 403, 404 or 413. Pages of other sites are refused: what they
    make a browser send, and, where `host`, the address that is listened at, is a loopback one, requests by any other
    name. With a `token` only who gave it, once by `/?token=` or in the form that `/` then is, is answered.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    data = gallery.data
    labels = gallery.labels[places]
    classes = [int(row.argmax()) if row.any() else -1 for row in labels]
    colours = [to_hex(figures.CLASSES[k % len(figures.CLASSES)]) for k in range(len(data.class_names))]
    session = secrets.token_urlsafe()  # in the place of `token` in cookies, which other ports of the host are sent too

    @app.before_request
    def admit():
        if _is_loopback(host) and not _is_loopback(request.host):
            abort(400, f"this page is not called {request.host or 'that'}; open the address that Demo.py printed")
        if _comes_from_elsewhere():
            abort(403, "a page of another site asks; open the address that Demo.py printed")
        cookie = f"gallery{request.environ['SERVER_PORT']}"
        given = request.values.get("token") if token and request.path == "/" else None
        if given is not None and hmac.compare_digest(given.encode(), os.fsencode(token)):
            answer = redirect("/", 303)  # so that the address which stays holds no secret
            answer.set_cookie(cookie, session, httponly=True, samesite="Lax")
            return answer
        if token and not hmac.compare_digest(request.cookies.get(cookie, "").encode(), session.encode()):
            if request.path == "/":
                return render_template("token.html", wrong=given is not None), 401
            return jsonify(error="this page asks for a secret; load it again and give that"), 401

    @app.get("/")
    def page():
        shown = render_template("page.html", gallery=gallery, most=asking.MOST, most_bytes=MOST_BYTES, colours=colours,
                                classes=list(zip(data.class_names, colours, strict=True)))
        return shown.encode(errors="replace")  # names of files need not be UTF-8

    @app.get("/map")
    def drawn():
        return jsonify([[round(float(x), 4), round(float(y), 4), int(place), int(kind)]
                        for (x, y), place, kind in zip(points, places, classes, strict=True)])

    @app.get("/search")
    def search():
        asked = request.args
        for name, answer, kind in (("query", gallery.by_query, int), ("picture", gallery.by_member, int),
                                   ("word", gallery.by_word, str)):
            if name in asked:
                try:
                    value = kind(asked[name])
                except ValueError:
                    raise UserError(f"{name} is {asked[name]!r}; give a whole number") from None
                return jsonify(answer(value))
        raise UserError("nothing is asked; give a query, a picture or a word")

    @app.post("/search")
    def upload():
        file = request.files.get("picture")
        if file is None:
            raise UserError("no file came; choose a picture")
        return jsonify(gallery.by_upload(file.stream, file.filename or "the file"))

    @app.get("/<any(query, gallery):role>/<int:number>.png")
    def image(role, number):
        try:
            return Response(gallery.image(role, number), mimetype="image/png")
        except UserError as error:
            return jsonify(error=str(error)), 404

    @app.errorhandler(UserError)
    def refused(error):
        return jsonify(error=str(error)), 400

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(error):
        return jsonify(error=f"the file is larger than {MOST_BYTES // 2**20} MiB; give a smaller picture"), 413

    @app.errorhandler(HTTPException)
    def wrong(error):
        return jsonify(error=error.description), error.code

    @app.after_request
    def guard(response):
        response.headers.update(HEADERS)
        return response

    return app


def _is_loopback(host):
    """Whether a host, such as 127.0.0.2:8000, ::1 or [::1]:8000, is a loopback address or "localhost"."""
    name = re.sub(r"^\[(.*)\](:\d+)?$|^([^:]*):\d+$", r"\1\3", host)
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _comes_from_elsewhere():
    """Whether a page of another site makes a browser send this request; a link to the page may be followed."""
    headers = request.headers
    followed = (request.method, request.path, headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == (
        "GET", "/", "navigate", "document")
    return (headers.get("Origin", f"http://{request.host}") not in (f"http://{request.host}", f"https://{request.host}")
            or headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not followed)


def listen(host, port):
    """A socket that listens at `host` and `port`, 0 for any free one. Raises UserError where it cannot."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise UserError(f"the page cannot be served at {host} port {port} ({getattr(error, 'strerror', error)}); set "
                        "another --port, or --host to an address of this machine") from error


class Connection(HTTPChannel):
    """A connection that knows when it was last answered: waitress's own clock starts anew with every byte."""

    def service(self):
        super().service()
        self.creation_time = time.time()


class Server(TcpWSGIServer):
    """waitress's server, where a connection has channel_timeout seconds for a whole request and to take the answer,
    and where at connection_limit the one that waits longest makes room."""

    channel_class = Connection

    def maintenance(self, now):
        for connection in self._waiting():
            if connection.creation_time < now - self.adj.channel_timeout:
                connection.handle_close()

    def handle_accept(self):
        super().handle_accept()
        if len(self._map) >= self.adj.connection_limit:
            for connection in self._waiting()[:1]:
                connection.handle_close()

    def _waiting(self):
        """The connections that no thread works for, the oldest first."""
        return sorted((each for each in self.active_channels.values() if not each.requests),
                      key=lambda each: each.creation_time)

    def serve_forever(self):
        """Answer in threads until a signal's exception; `run` would take it for an end like any other."""
        wasyncore.loop(self.adj.asyncore_loop_timeout, self.adj.asyncore_use_poll, self._map)


def server(gallery, listening, path, seed, token=""):
    """The `Server` of a `Gallery` on the socket `listening`, whose map is kept at `path`."""
    print("Drawing the map of the gallery, where there is none yet", flush=True)
    app = application(gallery, *atlas(gallery.database, path, seed), listening.getsockname()[0], token)
    return Server(app, _sock=listening, bind_socket=False, **LIMITS)


def serve(gallery, listening, path, seed, token=""):
    """Serve as `server` until Ctrl-C."""
    made = server(gallery, listening, path, seed, token)
    host, port = listening.getsockname()[:2]
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    print(f"The gallery is at http://{f'[{here}]' if ':' in here else here}:{port}/ until Ctrl-C", flush=True)
    if not _is_loopback(host):
        print(f"Whoever reaches {host} port {port} sees these pictures and can search for others, by connections that "
              "are not encrypted" + ("" if token else "; --token=SECRET asks them for a secret"), flush=True)
    logging.getLogger("waitress").setLevel(logging.ERROR)  # or each request that waits for a thread is a line
    made.serve_forever()
