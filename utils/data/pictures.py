"""A user's own pictures: files of any format, size and mode to the uint8 [32, 32, 3] that F takes."""
import collections
import functools
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from utils.errors import UserError
from utils.reading import arrays

WRONG = ValueError, SyntaxError, Image.DecompressionBombError  # what Pillow raises of a damaged file, besides OSError
OTHERS = {".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".jxl", ".nef", ".raf", ".svg"}  # Pillow may lack


def read(path, size):
    """The picture at `path` as uint8 [size, size, 3]: turned upright, cropped to its middle square, scaled.

    Grey and 16-bit pictures become RGB, transparent ones lie on white. Raises UserError where `path` is absent
    or no picture.
    """
    try:
        return cropped(path, size)
    except FileNotFoundError:
        raise UserError(f"there is no picture at {path}; give the path of one") from None
    except (OSError, *WRONG) as error:
        raise UserError(f"{path} is not a picture that can be read ({error}); give another, or take it away") from error


def cropped(file, size):
    """The picture in a file, a path or an open one, as `read` gives it. Raises OSError or one of WRONG."""
    with Image.open(file) as picture:
        return fitted(picture, size)


def fitted(picture, size):
    """An open Pillow picture as `read` gives it. Raises as `cropped`."""
    upright = to_rgb(ImageOps.exif_transpose(picture))
    return np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS))


def to_rgb(picture):
    """A Pillow picture of any mode as RGB: 16 bits become 8, what is transparent lies on white."""
    if picture.mode.startswith("I"):
        # 16 bits a pixel; Pillow's own conversion clips them at 255.
        picture = Image.fromarray((np.asarray(picture, np.int64) // 257).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def below(folder):
    """The pictures in a folder and its subfolders, by the ending of their names: str [N], paths from the folder, in
    order. Folders that are links or cannot be entered, and pictures of a kind that Pillow does not read, are left out
    and told of on stderr, once. Raises UserError where there are none."""
    kinds, names, others = Image.registered_extensions(), [], collections.Counter()
    for place, folders, files in os.walk(folder, onerror=lambda error: _tell(
            f"{error.filename} cannot be read and is left out: {error.strerror}")):
        for linked in filter(os.path.islink, (os.path.join(place, name) for name in folders)):
            _tell(f"{linked} is a link to a folder and is left out; put the folder itself there")
        inside = Path(place).relative_to(folder)
        for file in files:
            kind = os.path.splitext(file)[1].lower()
            if kind in kinds:
                names.append((inside / file).as_posix())
            elif kind in OTHERS:
                others[kind] += 1
    for kind, count in sorted(others.items()):
        _tell(f"{folder}: {count} pictures that end in {kind} are left out, which Pillow does not read here")
    if not names:
        raise UserError(f"the folder {folder} holds no pictures; give one that does")
    return np.sort(np.array(names))


@functools.cache
def _tell(sentence):
    """Say it on stderr, but once: a folder is looked through several times in a run."""
    print(sentence, file=sys.stderr)


def read_array(path, size):
    """The images of a .npy file, uint8 [N, size, size, 3], mapped. Raises UserError where it holds something else."""
    what = "folder of pictures or .npy file of them"
    images = arrays.one(path, f"uint8 [N, {size}, {size}, 3]", what)
    if not len(images):
        raise UserError(f"{path} is uint8 {list(images.shape)}; it must be uint8 [N, {size}, {size}, 3], N at least 1")
    return images


def of(data, places, size):
    """The images of `data` at `places`, int [n], to be shown: a list of uint8 [size, size, 3], or None where a vector
    comes without a file of a picture. Raises UserError where such a file is no picture."""
    if data.images.ndim > 2:
        return list(data.images[places])
    if data.names is None:
        return [None] * len(places)
    files = [data.folder / str(name) for name in data.names[places]]
    return [read(file, size) if file.is_file() else None for file in files]
