"""What a person asks of a gallery and what is found: the page's answers, with nothing of the web in them."""
import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from gpq.utils.data import pictures, relevance
from gpq.utils.data.data import Data
from gpq.utils.errors import UserError
from gpq.utils.reading.pictures import cropped, uploaded
from gpq.utils.retrieval import search
from gpq.utils.retrieval.database import Database

MOST = 60  # pictures in an answer
DECODERS = ThreadPoolExecutor(2)  # pictures decoded at once; that it is always the same threads keeps the heap small


@dataclass(frozen=True, eq=False)
class Gallery:
    """A gallery of N images that can be asked, in one of four ways. Images are known by their place in it, 0 to N - 1,
    and by no file's name. Queries are the data set's, 0 to Q - 1."""

    data: Data
    database: Database  # of data.gallery
    encode: Callable  # (uint8 [1, size, size, 3] or float [1, D]) -> (features float32 [1, d], codes)
    queries: np.ndarray  # float32 [Q, d], the features of data.query
    size: int  # pixels a side that pictures are brought to
    about: dict[str, str]  # what the page's head says: method, checkpoint, mAP, seconds
    word: Callable | None = None  # (str) -> (features float32 [d], bool [N]: who has it, as in `_answer`), or None
    prepare: Callable = cropped  # how pictures become squares, of utils.reading.pictures
    find: Callable | None = None  # (queries float32 [Q, d], n) -> (D, I), as `cluster.finder`; None for `search.search`

    @cached_property
    def labels(self):
        """bool [N, L], of the images."""
        return self.data.labels[self.data.gallery]

    @property
    def takes_pictures(self):
        """Whether a picture of the user's own can be encoded; vectors cannot be made of one here."""
        return self.data.images.ndim > 2

    def by_query(self, number):
        """The answer, see `_answer`, to a query of the data set. Raises UserError where there is none of the number."""
        place = _checked(number, self.data.query, "query")
        return self._answer(self.queries[number], self._right(place), f"query {number}: {self._classes(place)}",
                            f"query/{number}.png")

    def by_member(self, number):
        """The answer to an image of the gallery as the query. Raises UserError where there is none of the number."""
        place = _checked(number, self.data.gallery, "picture")
        began = time.perf_counter()
        picture = DECODERS.submit(self.data.images.__getitem__, place).result()
        (feature,), _ = self.encode(picture[np.newaxis])
        return self._answer(feature, self._right(place), f"picture {number} of the gallery: {self._classes(place)}",
                            f"gallery/{number}.png", began)

    def by_upload(self, file, name):
        """The answer to the picture in an open binary file that the user calls `name`. Raises UserError where it is
        none, or `uploaded` refuses it."""
        if not self.takes_pictures:
            raise UserError("this gallery is of vectors, and no picture can be searched for; choose a query")
        began = time.perf_counter()
        picture = DECODERS.submit(uploaded, file, name, self.size, self.prepare).result()
        (feature,), _ = self.encode(picture[np.newaxis])
        return self._answer(feature, None, name, None, began)

    def by_word(self, word):
        """The answer to a tag. Raises UserError where the method has no tags, or not this one."""
        if self.word is None:
            raise UserError("this method learns from no tags; choose a query or give a picture")
        feature, right = self.word(word)
        return self._answer(feature, right, f"tag {word}", None)

    def image(self, role, number):
        """An image as the bytes of a PNG. role: "query" or "gallery". Raises UserError where there is none of the
        number, or none that can be shown: its file is gone, is no picture, or lies outside the folder of the data."""
        data = self.data
        place = _checked(number, getattr(data, role), role)
        if data.names is not None and not (data.folder / str(data.names[place])).resolve().is_relative_to(
                data.folder.resolve()):
            raise UserError(f"{role} {number} is a file outside the folder of the data, and is not shown")
        (shown,) = DECODERS.submit(pictures.of, data, [place], self.size).result()
        if shown is None:
            raise UserError(f"{role} {number} has no picture")
        file = io.BytesIO()
        Image.fromarray(shown).save(file, "PNG")
        return file.getvalue()

    def _answer(self, feature, right, title, picture, began=None):
        """JSON-able: `title` of the query, `picture`, its address or None, `found`, the MOST nearest, nearest first,
        each {number, picture, title, distance, right}, and `encoding`, None where
        the features were there, and `searching`, milliseconds.

        right: bool [N], who is like the query, masked where nobody knows; None where nobody knows of any. began: when
        encoding did, if it had to be.
        """
        encoded = time.perf_counter()
        asking = feature[np.newaxis]
        distances, places = self.find(asking, MOST) if self.find else search.search(self.database, asking, MOST)
        judged = [None] * len(places[0]) if right is None else right[places[0]].tolist()
        found = [{"number": int(i), "picture": f"gallery/{i}.png", "title": self._classes(self.data.gallery[i]),
                  "distance": round(float(d), 4), "right": one}
                 for d, i, one in zip(distances[0], places[0], judged, strict=True)]
        return {"title": title, "picture": picture, "found": found,
                "encoding": _milliseconds(encoded - began) if began else None,
                "searching": _milliseconds(time.perf_counter() - encoded)}

    def _right(self, place):
        """Who of the gallery shares a label with the image at `place` of the data, as `relevance.sharing`; None where
        it has none."""
        labels = self.data.labels[place]
        return relevance.sharing(labels, self.labels) if labels.any() else None

    def _classes(self, place):
        classes = ", ".join(self.data.class_names[k] for k in np.flatnonzero(self.data.labels[place]))
        return classes or ("unlabelled" if self.data.names is None else str(self.data.names[place]))


def _checked(number, role, what):
    """The place in the data of the image of that number of a role. Raises UserError where there is none."""
    if not 0 <= number < len(role):
        raise UserError(f"there is no {what} {number}; give one from 0 to {len(role) - 1}")
    return role[number]


def _milliseconds(seconds):
    return round(1000 * seconds, 1)
