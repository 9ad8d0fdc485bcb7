"""A map of a gallery: where its codes lie in the plane, found once and kept beside the database."""
import hashlib
import io
import json
from pathlib import Path

import numpy as np

from gpq.utils import files
from gpq.utils.errors import UserError
from gpq.utils.paper import tsne
from gpq.utils.reading import arrays
from gpq.utils.retrieval.database import reconstruct
from gpq.utils.retrieval.search import distinct

SHOWN = 3000  # pictures on the map, spread evenly over the gallery


def atlas(database, path, seed):
    """The t-SNE (see utils.paper.tsne) of at most SHOWN pictures of `database`, by what their codes reconstruct.

    Returns (places int64 [n] in the gallery, points float32 [n, 2], each axis from 0 to 1). Pictures of equal code
    share a point. It is read from the .npz file at `path` where that was made of the same database, else made anew and
    kept there; a path that cannot be written is told of and left.
    """
    places = np.unique(np.linspace(0, len(database.codes) - 1, SHOWN).astype(np.int64))
    chosen = database.codes[places]
    made = json.dumps({**database.made_of, "codes": hashlib.sha256(chosen).hexdigest(), "seed": seed})
    if (kept := _kept(path, made, len(database.codes))) is not None:
        return kept
    codes, inverse, *_ = distinct(chosen)
    points = _spread(tsne.tsne(reconstruct(database.codebooks, codes, database.added), seed)
                     if len(codes) > 1 else np.zeros((1, 2), np.float32))[inverse]
    content = io.BytesIO()
    try:
        with files.whole(path, over_input=True) as file:
            np.savez(content, places=places, points=points, made_of=made)
            file.write(content.getbuffer())
    except UserError as error:
        print(f"The map is not kept: {error}")
    return places, points


def _kept(path, made, n):
    """(places, points) of a map made of `made`, of n pictures, or None where there is no such file that can be read."""
    if not Path(path).exists():
        return None
    try:
        kept = arrays.read(path, {"places": f"int [P], 0 to {n - 1}", "points": "float32 [P, 2], 0 to 1",
                                  "made_of": "str []"}, "map")
    except UserError:  # it is made anew
        return None
    return (kept["places"], kept["points"]) if str(kept["made_of"]) == made else None


def _spread(points):
    """float32 [n, 2] with each axis from 0 to 1."""
    low, high = points.min(0), points.max(0)
    return (points - low) / np.maximum(high - low, 1e-12)
