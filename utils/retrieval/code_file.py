"""Codes, and of pictures features, in a .npy file of one record an image or vector, see `block_file`."""
import sys

import numpy as np

from gpq.utils.data import lazy
from gpq.utils.retrieval import block_file


def kept(path, encoder, images, made_of):
    """What `encoder`, an `Encoder`, makes of images uint8 [N, H, W, 3] or vectors float [N, D]: records [N], mapped
    from the file `path`, which is made first or gone on with.

    A record has `codes`, uint8 [M], and of an image also `features`, float32 [d], and `there`, bool: False of a picture
    that cannot be read, where `images` are `lazy.Pictures` that leave such out. These are named on stderr. made_of:
    JSON-able, what makes the codes, beside the images. Raises UserError as `block_file.kept` and the encoder.
    """
    vectors = images.ndim == 2
    features, codes = encoder(images[:1])
    fields = [("codes", codes.dtype, codes.shape[1:])]
    if not vectors:
        fields += [("features", features.dtype, features.shape[1:]), ("there", bool)]
    faults = images.faults if isinstance(images, lazy.Pictures) else {}

    def blocks(first):
        for made in encoder.batches(images, "encoding", first, with_features=not vectors):
            rows = np.zeros(len(made[-1]), fields)
            rows["codes"] = made[-1]
            if not vectors:
                rows["features"] = made[0]
                rows["there"] = [place not in faults for place in range(first, first + len(rows))]
                for place in first + np.flatnonzero(~rows["there"]):
                    print(faults[place], file=sys.stderr)
            first += len(rows)
            yield rows

    return block_file.kept(path, len(images), fields, {**made_of, "images": block_file.digest(images)}, encoder.batch,
                           blocks, "Codes", "vectors" if vectors else "pictures")
