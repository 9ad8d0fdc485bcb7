"""Pictures of any format, size and mode, decoded: uint8 [side, side, 3]. Nothing else opens one.

A function that takes an open file raises whatever a decoder raises of a damaged one; `read` and `utils.data.lazy` make
a sentence of it by `files.opened`.
"""
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gpq.utils import files
from gpq.utils.errors import UserError

FORMATS = "JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"  # that Pillow decodes by itself; EPS starts another program
MOST_PIXELS = 50_000_000, 16_000_000  # of an upload: a JPEG that can be decoded at reduced size, and any other
FEW_PIXELS = 4_000_000  # an upload of more is brought to fewer before anything else is done to it
WRONG = Exception,  # what decoders raise of a damaged file: Pillow's raise nearly anything
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_90}  # EXIF's orientation
ONE = 2 ** 11  # OpenCV's weights are whole numbers of this


def cropped(file, side, bounded=False):
    """The middle square of the picture in an open file, scaled by Lanczos' kernel.

    Args:
        file: binary, open; side: int, in pixels.
        bounded: keep to FORMATS and MOST_PIXELS, in bounded memory.
    Returns: uint8 [side, side, 3], turned upright; grey and 16-bit pictures become RGB, transparent ones lie on white.
    Raises: anything.
    """
    return np.asarray(ImageOps.fit(_upright(file, bounded), (side, side), Image.Resampling.LANCZOS))


def squashed(file, side, bounded=False):
    """The whole picture, each side scaled by itself, bilinear between the four pixels about a place, as by OpenCV's
    resize of 8 bits, which WSDHQ's released program calls; otherwise as `cropped`."""
    picture = np.asarray(_upright(file, bounded))
    (top, bottom, down), (left, right, across) = (_between(count, side) for count in picture.shape[:2])
    across, down = across[:, np.newaxis], down[:, np.newaxis, np.newaxis]
    above, below = (rows.take(left, 1) * (ONE - across) + rows.take(right, 1) * across
                    for rows in (picture[top], picture[bottom]))
    # in OpenCV's fixed point, so that values are its own
    return ((((above >> 4) * (ONE - down) >> 16) + ((below >> 4) * down >> 16) + 2) >> 2).astype(np.uint8)


def _between(count, side):
    """For each of `side` places along `count` pixels the two pixels about it, int, and the second's weight, of ONE."""
    place = ((np.arange(side) + 0.5) * count / side - 0.5).clip(0, count - 1)
    first = place.astype(int)
    return first, np.minimum(first + 1, count - 1), np.rint((place - first) * ONE).astype(np.int32)


def read(path, side, prepare=cropped, mend=None):
    """The picture at `path`, uint8 [side, side, 3], as `prepare`, `cropped` or `squashed`, gives it. Raises UserError
    as `files.opened`."""
    with files.opened(path, "picture", mend) as file:
        return prepare(file, side)


def uploaded(file, name, side, prepare=cropped):
    """The picture in an open file that somebody sent, as `read`, in bounded memory.

    Args:
        name: str, what the sender calls it.
    Raises: UserError where it is none, of another format than FORMATS, or of more than MOST_PIXELS.
    """
    try:
        return prepare(file, side, bounded=True)
    except Image.DecompressionBombError as error:
        jpeg, other = (number // 10**6 for number in MOST_PIXELS)
        raise UserError(f"{name} has too many pixels; give a baseline JPEG of at most {jpeg} million, or another "
                        f"picture of at most {other} million") from error
    except WRONG as error:
        raise UserError(f"{name} is no picture that can be read; give one of {', '.join(FORMATS)}") from error


def check(file):
    """Decode the picture in an open file to its end, a JPEG at an eighth of its size. Raises anything."""
    with _opened(file) as picture:
        picture.draft("RGB", (1, 1))
        picture.load()


def _opened(file, formats=None):
    try:
        return Image.open(file, formats=formats)
    except UnidentifiedImageError:
        raise ValueError("it is empty or no picture") from None


def _upright(file, bounded):
    """The picture in an open file as RGB, turned upright. Raises anything."""
    with _opened(file, FORMATS if bounded else None) as picture:
        if bounded:
            _bound(picture)
        deep = picture.mode[:1] == "I" and (picture.mode != "I" or picture.format in ("PNG", "PPM"))
        picture.load()
        try:
            turn = TURNS.get(picture.getexif().get(0x0112))
        except Exception:  # damaged EXIF is no reason to lose the picture
            turn = None
        if bounded:
            picture = _reduced(picture)
        picture = _rgb(picture, deep)
    return picture if turn is None else picture.transpose(turn)


def _bound(picture):
    """Let a large JPEG be decoded at reduced size. DecompressionBombError where a picture has too many pixels."""
    in_parts = picture.format in ("JPEG", "MPO") and not picture.info.get("progressive")
    most = MOST_PIXELS[0 if in_parts else 1]
    pixels = picture.width * picture.height
    if pixels > most:
        raise Image.DecompressionBombError
    if pixels > FEW_PIXELS and in_parts:
        scale = (FEW_PIXELS / pixels) ** 0.5
        picture.draft(None, (max(1, int(picture.width * scale)), max(1, int(picture.height * scale))))


def _reduced(picture):
    """A picture of at most FEW_PIXELS, by means of whole blocks."""
    factor = int(np.ceil((picture.width * picture.height / FEW_PIXELS) ** 0.5))
    if factor == 1 or picture.mode.startswith("I;16"):
        return picture
    if picture.mode in ("1", "P", "PA"):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    return picture.reduce((min(factor, picture.width), min(factor, picture.height)))


def _rgb(picture, deep):
    """A Pillow picture of any mode as RGB. deep: whether it has 16 bits a pixel, which become 8; of other integers and
    floats the least becomes black and the greatest white. What is transparent lies on white."""
    if deep:  # Pillow's own conversion clips them at 255
        picture = Image.fromarray((np.asarray(picture) // 257).clip(0, 255).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        numbers = np.asarray(picture, np.float32)
        known = np.isfinite(numbers)
        low, high = (float(bound(numbers, initial=start, where=known)) for bound, start in
                     ((np.min, np.inf), (np.max, -np.inf)))
        if not low < high:
            raise ValueError(f"all its pixels are {low:g}, so that nothing says how bright they are")
        scaled = (np.where(known, numbers, low) - low) * (255 / (high - low))
        picture = Image.fromarray(np.rint(scaled).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")
