"""A user's own pictures: files of any format, size and mode to the uint8 [32, 32, 3] that F takes."""
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from utils.errors import UserError


def read(path, size):
    """The picture at `path` as uint8 [size, size, 3]: turned upright, cropped to its middle square, scaled.

    Grey and 16-bit pictures become RGB, transparent ones lie on white. Raises UserError where `path` is absent
    or no picture.
    """
    try:
        with Image.open(path) as picture:
            picture = ImageOps.exif_transpose(picture)
            return np.asarray(ImageOps.fit(to_rgb(picture), (size, size), Image.Resampling.LANCZOS))
    except FileNotFoundError:
        raise UserError(f"there is no picture at {path}; give the path of one") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is not a picture that can be read ({error}); give another, or take it away") from error


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


def read_all(source, size):
    """Every picture of a folder, in the order of their names, or an array file.

    source: a folder, or a .npy file of uint8 [N, size, size, 3]. Returns (uint8 [N, size, size, 3], names str [N] or
    None for an array). Raises UserError where there is nothing to read or something else is found.
    """
    source = Path(source)
    if source.is_dir():
        kinds = Image.registered_extensions()
        files = sorted(file for file in source.iterdir() if file.suffix.lower() in kinds)
        if not files:
            raise UserError(f"the folder {source} holds no pictures; give one that does")
        return np.stack([read(file, size) for file in files]), np.array([file.name for file in files])
    try:
        images = np.load(source, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"there is no folder or array at {source}; give a folder of pictures or a .npy file") from None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{source} is neither a folder nor a .npy array; give a folder of pictures "
                        "or a .npy file") from error
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, 3) or not len(images):
        raise UserError(f"{source} is {images.dtype} {list(images.shape)}; it must be uint8 [N, {size}, {size}, 3], "
                        "N at least 1")
    return images, None


def of(data, places, size):
    """The images of `data` at `places`, int [n], to be shown: a list of uint8 [size, size, 3], or None where a vector
    comes without a file of a picture. Raises UserError where such a file is no picture."""
    if data.images.ndim > 2:
        return list(data.images[places])
    if data.names is None:
        return [None] * len(places)
    files = [data.folder / str(name) for name in data.names[places]]
    return [read(file, size) if file.is_file() else None for file in files]
