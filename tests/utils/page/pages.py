"""Galleries that answer at once: a random projection in the place of F; and servers of them."""
import contextlib
import http.client
import io
import threading

import numpy as np
from PIL import Image

from gpq.utils.data.data import Data, Source
from gpq.utils.page.gallery import Gallery
from gpq.utils.retrieval.database import Database

N_BOOK, N_WORDS, LENGTH = 3, 16, 4
ABOUT = {"method": "projection, 12 bits", "checkpoint": "made_up.ckpt", "mAP": "0.1234", "data": "a part",
         "seconds": "data 0.10, search 0.20"}


def gallery(data, n=400, **more):
    """A Gallery of `n` images, evenly taken from the gallery of `data`, which may be sorted by class."""
    data = data._replace(gallery=data.gallery[::len(data.gallery) // n][:n])
    random = np.random.default_rng(0)
    weights = random.normal(size=(data.images[0].size, N_BOOK * LENGTH)).astype(np.float32)
    codebooks = random.normal(size=(N_BOOK, N_WORDS, LENGTH)).astype(np.float32)

    def encode(images):
        flat = np.asarray(images, np.float32).reshape(len(images), -1)
        features = (flat - flat.mean(1, keepdims=True)) @ weights
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        parts = features.reshape(len(images), N_BOOK, LENGTH)
        return features, np.einsum("nmd,mkd->nmk", parts, codebooks).argmax(2).astype(np.uint8)

    _, codes = encode(data.images[data.gallery])
    database = Database(codes, codebooks, data.labels[data.gallery], {"checkpoint": "made up"})
    queries, _ = encode(data.images[data.query])
    return Gallery(data, database, encode, queries, 32, ABOUT, **more)


def png(pixels):
    """The bytes of a PNG of uint8 [H, W, 3]."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def made_up(n, **more):
    """The `Data` of n random pictures of three classes, of which the first three are queries."""
    nobody = np.empty(0, np.int32)
    return Data(np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), np.uint8), np.eye(3, dtype=bool)[
        np.arange(n) % 3], query=np.arange(3), labelled=nobody, unlabelled=nobody, gallery=np.arange(n),
        validation=nobody, class_names=("a", "b", "c"), source=Source("made up"))._replace(**more)


@contextlib.contextmanager
def serving(gallery, path=None, host="127.0.0.1", token="", **limits):
    """(address, port) of a server in threads, with a map at `path`, or all at one point where that is None. limits: of
    waitress, in place of the product's; seconds may be parts of one."""
    from waitress import wasyncore

    from gpq.utils.page import server
    n = len(gallery.database.codes)
    with server.listen(host, 0) as listening, contextlib.ExitStack() as stack:
        if path is None:
            stack.callback(setattr, server, "atlas", server.atlas)
            server.atlas = lambda *_: (np.arange(n), np.zeros((n, 2)))
        made = server.server(gallery, listening, path, 0, token)
        vars(made.adj).update({"asyncore_loop_timeout": 0.02}, **limits)
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield listening.getsockname()[:2]
        made.task_dispatcher.shutdown()
        made.trigger.pull_trigger(lambda: wasyncore.close_all(made._map))
        thread.join()


def ask(served, path="/", method="GET", body=None, **headers):
    """(status, headers, body) of what a server of `serving` answers; "_" in the names of headers is "-"."""
    with contextlib.closing(http.client.HTTPConnection(*served, timeout=20)) as connection:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def form(picture, name="mine.png"):
    """A body and its type, as keyword arguments of `ask`, that upload the bytes of a picture."""
    head = f'--B\r\nContent-Disposition: form-data; name="picture"; filename="{name}"\r\n\r\n'
    return {"path": "/search", "method": "POST", "body": head.encode() + picture + b"\r\n--B--\r\n",
            "Content_Type": "multipart/form-data; boundary=B"}
