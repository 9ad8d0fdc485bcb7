"""SPQ's augmentations, matching kornia 0.5.10: crop, flip, colours, grey, blur.

Pixels are float32 [B, H, W, 3] from 0 to 1. What is drawn, a number an image, is an argument of what it does: `view`
draws it all, with stateless seeds.
"""
import functools
import math

import numpy as np

from gpq.model.augmentation import stateless_seed
from gpq.model.tf1 import tf

CANDIDATES = 10  # of which the first crop that fits is taken
AREA, RATIO = (0.08, 1.0), 4 / 3  # share of the image; longest side to shortest
JITTER, HUE_DELTA = 0.4, 0.1  # of brightness, contrast and saturation; of the hue, in turns
JITTERED, GREY, BLURRED = 0.8, 0.2, 0.5  # probabilities; a flip's is 1/2
SIGMA = (0.1, 2.0)  # pixels, of the blur
KERNEL = 10  # times as long as the blur's kernel is an image's side
GREY_WEIGHTS = (0.299, 0.587, 0.114)
LEVELS = 2 ** 24


def view(images, name, config, step):
    """A view of each image, another for every name and step, float32 [B, H, W, 3] from 0 to 1.

    images: uint8 [B, H, W, 3], B, H and W static; config: has `seed` and `blur`; step: as of
    `augmentation.stateless_seed`.
    """
    batch, *sides, _ = images.shape.as_list()

    def draw(what, *shape, low=0.0, high=1.0):
        """Uniform in [low, high), float32."""
        # Integers, since TensorFlow and XLA draw other floats from the same seed.
        seed = stateless_seed(f"{what} of {name}", config.seed, step)
        draws = tf.random.stateless_uniform(shape, seed, 0, LEVELS, tf.int32)
        return low + (high - low) / LEVELS * tf.cast(draws, tf.float32)

    def some(probability, what, changed, x):
        return tf.where_v2(per_image(draw(f"whether to {what}", batch) < probability), changed, x)

    x = resample(tf.cast(images, tf.float32) / 255, *crops(batch, sides, draw))
    x = some(0.5, "flip", x[:, :, ::-1], x)
    factors = [*tf.unstack(draw("factors", 3, batch, low=1 - JITTER, high=1 + JITTER)),
               draw("turn", batch, low=-HUE_DELTA, high=HUE_DELTA)]
    x = some(JITTERED, "jitter", jitter(x, factors, tf.argsort(draw("order", 4))), x)
    x = some(GREY, "grey", grey(x), x)
    sigmas = SIGMA if config.blur == "kornia0510" else [draw("sigma", batch, low=SIGMA[0], high=SIGMA[1])] * 2
    return some(BLURRED, "blur", blur(x, *sigmas, reach=sides[0] // KERNEL // 2), x)


def per_image(numbers):
    """[B] to [B, 1, 1, 1]."""
    return numbers[:, tf.newaxis, tf.newaxis, tf.newaxis]


def crops(batch, sides, draw):
    """Where a random resized crop cuts: (top and left corner, height and width), float32 [B, 2] each, whole pixels.

    A crop is smaller than the image, strictly, on both sides. Where none of the candidates is (2 of 10^8), it is three
    quarters of the image's height. sides: height and width; draw: as in `view`.
    """
    area = sides[0] * sides[1] * draw("area", batch, CANDIDATES, low=AREA[0], high=AREA[1])
    ratio = tf.exp(draw("ratio", batch, CANDIDATES, low=-math.log(RATIO), high=math.log(RATIO)))
    sizes = tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio], axis=-1)))
    sides = tf.constant(sides, tf.float32)
    fits = tf.reduce_all((sizes > 0) & (sizes < sides), axis=-1)
    first = tf.gather(sizes, tf.argmax(tf.cast(fits, tf.int32), axis=1), batch_dims=1)
    size = tf.where_v2(tf.reduce_any(fits, axis=1, keepdims=True), first, tf.round(sides * [1 / RATIO, 1]))
    return tf.floor(draw("corner", batch, 2) * (sides - size + 1)), size


def resample(images, corner, size):
    """Each image's crop, enlarged to the whole by bilinear interpolation, corner pixels on corner pixels.

    corner, size: as of `crops`. Written as two products with the weights, which XLA takes.
    """
    def weights(axis, side):
        places = corner[:, axis, tf.newaxis] + (size[:, axis, tf.newaxis] - 1) * np.linspace(0, 1, side, dtype="f")
        return tf.nn.relu(1 - tf.abs(places[..., tf.newaxis] - tf.range(float(side))))

    _, height, width, _ = images.shape.as_list()
    return tf.einsum("bjw,biwc->bijc", weights(1, width), tf.einsum("bih,bhwc->biwc", weights(0, height), images))


def jitter(images, factors, order):
    """Brightness, contrast, saturation and hue changed in `order`, int [4], a permutation of 0 to 3 in this order.

    factors: what each of the four functions below takes, float32 [B] each.
    """
    changes = [functools.partial(change, by=per_image(by))
               for change, by in zip((brighten, contrast, saturate, adjust_hue), factors, strict=True)]
    for place in range(len(changes)):
        images = tf.switch_case(order[place], [functools.partial(change, images) for change in changes])
    return images


def brighten(images, by):
    """by - 1 added, which kornia takes for brightness."""
    return tf.clip_by_value(images + (by - 1), 0, 1)


def contrast(images, by):
    """Multiplied by `by`, not around the mean, which kornia takes for contrast."""
    return tf.clip_by_value(images * by, 0, 1)


def saturate(images, by):
    """HSV's saturation multiplied by `by`, at most to 1. Hue and value stay: each channel moves from the largest."""
    value = tf.reduce_max(images, axis=3, keepdims=True)
    most = tf.math.divide_no_nan(value, value - tf.reduce_min(images, axis=3, keepdims=True))
    return value - (value - images) * tf.minimum(by, most)


def adjust_hue(images, by):
    """HSV's hue turned `by`, in turns."""
    r, g, b = tf.unstack(images, axis=3)
    value, least = tf.reduce_max(images, axis=3), tf.reduce_min(images, axis=3)
    chroma = value - least
    difference = tf.where_v2(r >= value, g - b, tf.where_v2(g >= value, b - r, r - g))
    sextant = tf.where_v2(r >= value, 0., tf.where_v2(g >= value, 2., 4.))
    hue = (sextant + tf.math.divide_no_nan(difference, chroma))[..., tf.newaxis] + 6 * by
    # A channel is full for two sextants, then falls over one, is empty for two and rises over one.
    place = tf.math.floormod(hue + [5., 3., 1.], 6)
    empty = tf.clip_by_value(tf.minimum(place, 4 - place), 0, 1)
    return value[..., tf.newaxis] - chroma[..., tf.newaxis] * empty


def grey(images):
    """RGB to grey, in all three channels."""
    return tf.broadcast_to(tf.reduce_sum(images * GREY_WEIGHTS, axis=3, keepdims=True), tf.shape(images))


def blur(images, down, across, reach=1):
    """Gaussian blur by a kernel of 2 * reach + 1 pixels a side, the border mirrored.

    down, across: its deviations in pixels, of the rows and of the columns, a number or float32 [B] each. kornia 0.5.10
    takes the two ends of the range of deviations for the deviations of the two axes.
    """
    def along(axis, x, deviation):
        side = x.shape[axis]
        padded = tf.pad(x, [[reach * (each == axis)] * 2 for each in range(4)], "REFLECT")

        def moved(by):
            return padded[(slice(None),) * axis + (slice(reach + by, reach + by + side),)]

        square = tf.square(tf.reshape(tf.cast(deviation, tf.float32), [-1, 1, 1, 1]))
        taps = [tf.exp(-0.5 * by ** 2 / square) for by in range(1, reach + 1)]
        whole = 1 + 2 * sum(taps)
        return 1 / whole * x + sum(tap / whole * (moved(-by) + moved(by)) for by, tap in enumerate(taps, 1))

    return along(2, along(1, images, down), across)
