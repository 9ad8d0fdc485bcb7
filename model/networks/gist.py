"""GIST (Oliva and Torralba, IJCV 2001) of small grey images, as LMgist.m computes it: 512 numbers, nothing learned.

The energy of an image in 32 bands, 8 orientations at each of 4 scales, averaged over a grid of 4 x 4 blocks. LEAR's
gist.c 1.1 shares `even_out` and `band_energies`, and differs in the bands, in colour, in no stretch and no extension.
"""
import numpy as np

from gpq.model.tf1 import tf

ORIENTATIONS = (8, 8, 8, 8)  # of each scale, finest first
BLOCKS = 4  # of the grid, on a side
FEATURES = sum(ORIENTATIONS) * BLOCKS ** 2
EXTENSION = 32  # pixels that the image is mirrored beyond its border, before the bands
MARGIN = 5  # pixels, before its contrast is evened out
CUTOFF = 4 / np.log(2) ** 0.5  # cycles in a mirrored image, where the low-pass has fallen to 1/e


def _frequencies(side):
    """Horizontal and vertical, float [side, side] each, in cycles per image, as the Fourier transform orders them."""
    return np.meshgrid(*2 * [np.fft.fftfreq(side, 1 / side)])


def gabor_bands(side, orientations=ORIENTATIONS):
    """Transfer functions of the bands for images of that many pixels a side: float32 [bands, side, side], scale by
    scale. Each is a Gaussian in radius and angle and lies on one side of zero, so responses are complex."""
    across, down = _frequencies(side)
    radius, angle = np.hypot(across, down) / side, np.arctan2(down, across)
    bands = []
    for scale, count in enumerate(orientations):
        for number in range(count):
            turned = (angle + np.pi * number / count + np.pi) % (2 * np.pi) - np.pi
            bands.append(np.exp(-3.5 * (radius / (0.3 / 1.85 ** scale) - 1) ** 2
                                - 2 * np.pi * (16 * count ** 2 / 32 ** 2) * turned ** 2))
    return np.array(bands, np.float32)


def _mirrored(x, margin):
    return tf.pad(x, [[0, 0], [0, 0], [margin, margin], [margin, margin]], "SYMMETRIC")


def _cropped(x, margin):
    return x[..., margin:-margin, margin:-margin] if margin else x


def _filtered(spectrum, transfer):
    return tf.signal.ifft2d(spectrum * tf.cast(transfer, tf.complex64))


def _spectrum(x):
    return tf.signal.fft2d(tf.cast(x, tf.complex64))


def even_out(x):
    """Images of logarithmic brightness without their coarse shape, divided by the local deviation of what is left.

    x: float32 [B, C, S, S], 0 to 255, where C is 1 for grey. Returns the same shape.
    """
    x = _mirrored(tf.math.log(x + 1), MARGIN)
    across, down = _frequencies(int(x.shape[-1]))
    low_pass = np.exp(-(across ** 2 + down ** 2) / CUTOFF ** 2)
    x -= tf.math.real(_filtered(_spectrum(x), low_pass))
    power = tf.reduce_mean(x, axis=1, keepdims=True) ** 2
    deviation = tf.sqrt(tf.abs(_filtered(_spectrum(power), low_pass)))
    return _cropped(x / (0.2 + deviation), MARGIN)


def band_energies(x, orientations=ORIENTATIONS, extension=EXTENSION):
    """Mean magnitude of each band's response in each block: x float32 [B, C, S, S], S a multiple of BLOCKS, to float32
    [B, C * bands * BLOCKS ** 2], by channel, band, column and row of the block, the row changing fastest."""
    channels, side = map(int, (x.shape[1], x.shape[-1]))
    spectrum = _spectrum(_mirrored(x, extension))

    def energy(transfer):
        magnitude = _cropped(tf.abs(_filtered(spectrum, transfer)), extension)
        blocks = tf.reshape(magnitude, [-1, channels, BLOCKS, side // BLOCKS, BLOCKS, side // BLOCKS])
        return tf.transpose(tf.reduce_mean(blocks, axis=[3, 5]), [0, 1, 3, 2])

    bands = gabor_bands(side + 2 * extension, orientations)
    energies = tf.map_fn(energy, tf.constant(bands), fn_output_signature=tf.float32)
    return tf.reshape(tf.transpose(energies, [1, 2, 0, 3, 4]), [-1, channels * len(bands) * BLOCKS ** 2])


def gist(images, forward):
    """images: float32 [B, S, S, 3], 0 to 255. Returns float32 [B, 512]. The mean of the channels is stretched to
    0 to 255 in each image."""
    grey = tf.reduce_mean(images, axis=3)[:, tf.newaxis]
    grey -= tf.reduce_min(grey, axis=[2, 3], keepdims=True)
    grey *= 255 / tf.maximum(tf.reduce_max(grey, axis=[2, 3], keepdims=True), 1e-9)
    return band_energies(even_out(grey))
