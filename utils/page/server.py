"""The gallery as a page: `python Demo.py --serve`.

Flask and a page of plain HTML, CSS and JavaScript, and not Gradio: that brings dozens of packages, reports its use
unless told not to, and has pages that ask other sites for fonts and scripts. Here nothing comes from elsewhere, and by
its Content-Security-Policy the browser refuses what would. Images are asked for by their number and encoded anew from
the data, so that no address leads to a file but those of static/.
"""
import ipaddress
import logging
import socket

from flask import Flask, Response, jsonify, render_template, request
from matplotlib.colors import to_hex
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.serving import make_server

from utils import figures
from utils.errors import UserError
from utils.page import gallery as asking
from utils.page.atlas import atlas
from utils.page.gallery import Gallery

__all__ = ["Gallery", "application", "listen", "serve", "server"]
MOST_BYTES = 10 * 2**20  # of an uploaded file
POLICY = "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


def application(gallery, places, points, host="127.0.0.1"):
    """The Flask application of a `Gallery` with the map of `atlas.atlas`.

    `/` is the page. JSON: `/search?query=K`, `?picture=K`, `?word=W` and POST of a file `picture` give what the Gallery
    answers, and `/map` [[x, y, place, class or -1] each]. `/query/K.png` and `/gallery/K.png` are images. What is wrong
    comes as {"error": a sentence}, with status 400, 404 or 413. Where `host`, the address that is
    listened at, is a loopback one, requests by any other name are refused, so that no page of another site can ask.
    """
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    if ipaddress.ip_address(host).is_loopback:
        app.config["TRUSTED_HOSTS"] = ["127.0.0.1", "localhost", "[::1]"]
    data = gallery.data
    labels = gallery.labels[places]
    classes = [int(row.argmax()) if row.any() else -1 for row in labels]
    colours = [to_hex(figures.CLASSES[k % len(figures.CLASSES)]) for k in range(len(data.class_names))]

    @app.get("/")
    def page():
        return render_template("page.html", gallery=gallery, most=asking.MOST, most_bytes=MOST_BYTES,
                               classes=list(zip(data.class_names, colours, strict=True)))

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
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app


def listen(host, port):
    """A socket that listens at `host` and `port`, 0 for any free one. Raises UserError where it cannot."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise UserError(f"the page cannot be served at {host} port {port} ({getattr(error, 'strerror', error)}); set "
                        "another --port, or --host to an address of this machine") from error


def server(gallery, listening, path, seed):
    """Werkzeug's server of a `Gallery` on the socket `listening`, whose map is kept at `path`: its `serve_forever`
    answers in threads until its `shutdown`."""
    print("Drawing the map of the gallery, where there is none yet", flush=True)
    host, port = listening.getsockname()[:2]
    app = application(gallery, *atlas(gallery.database, path, seed), host)
    return make_server(host, port, app, threaded=True, fd=listening.fileno())


def serve(gallery, listening, path, seed):
    """Serve as `server` until Ctrl-C."""
    made = server(gallery, listening, path, seed)
    print(f"The gallery is at http://{made.host}:{made.port}/ until Ctrl-C", flush=True)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # or each picture shown is a line
    made.serve_forever()
