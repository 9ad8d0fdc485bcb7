"""Convolution and pooling in two forms that give the same network up to rounding.

Each form has its own memory layout. H and W are static and, where they are pooled, even. Winograd's minimal filtering
needs a quarter of the multiplications: F(4 x 4, 3 x 3) of Lavin & Gray (Fast Algorithms for Convolutional Neural
Networks, CVPR 2016): a tile of 6 x 6 pixels and the kernel are evaluated at 6 x 6 points, multiplied point by point,
and interpolated to 4 x 4 pixels. Each transform is a product with a constant matrix, so that a gradient costs no more
than the convolution.
"""
import numpy as np

from gpq.model.tf1 import tf, tflearn

WINOGRAD_FROM = 50  # images in a batch: fewer do not repay what Winograd's method does to the kernels
TILE, KERNEL = 4, 3
N_POINTS = TILE + KERNEL - 1
# Infinity is the sixth. Any would do; these, each with its negative and its inverse, keep rounding low.
POINTS = (0, -2 ** -0.5, 2 ** -0.5, -2 ** 0.5, 2 ** 0.5)
AT_ONCE = 1000  # numbers in a transform of both axes, up to which one product is faster than two


def _evaluation(n):
    """The matrix [N_POINTS, n] that evaluates a polynomial of n coefficients at the points."""
    return np.vstack([np.vander(POINTS, n, increasing=True), np.eye(n)[-1]])


def _transforms(size):
    """For an axis of `size` pixels the matrix that pads it, cuts it into tiles and evaluates them, [N_POINTS * tiles,
    size], and the one that interpolates, [size, N_POINTS * tiles]."""
    tiles = -(-size // TILE)
    padded = np.pad(np.eye(size), ((1, tiles * TILE - size + 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, N_POINTS, axis=0)[::TILE]
    there = np.einsum("ip,tsi->pts", np.linalg.inv(_evaluation(N_POINTS)), windows)
    back = np.einsum("pi,tu->tipu", _evaluation(TILE), np.eye(tiles))
    return there.reshape(N_POINTS * tiles, size), back.reshape(tiles * TILE, N_POINTS * tiles)[:size]


def _product(matrix, x):
    """The constant `matrix` times x. The gradient has a constant of its own, since oneDNN transposes one slowly."""
    matrix = matrix.astype(np.float32)

    @tf.custom_gradient
    def product(x):
        return tf.matmul(matrix, x), lambda gradient: tf.matmul(matrix.T, gradient)
    return product(x)


def _along_both(rows, columns, x):
    """`rows` along the first axis of x and `columns` along the second, float32 [H, W, N] to [len(rows), len(columns),
    N]. One product does both where its matrix is small, since most of the time goes into reading and writing x."""
    if rows.size * columns.size <= AT_ONCE:
        x = _product(np.kron(rows, columns), tf.reshape(x, [rows.shape[1] * columns.shape[1], -1]))
    else:
        x = _product(rows, tf.reshape(x, [rows.shape[1], -1]))
        x = _product(columns, tf.reshape(x, [len(rows), columns.shape[1], -1]))
    return tf.reshape(x, [len(rows), len(columns), -1])


def winograd(x, kernel):
    """The same as `tf.nn.conv2d(x, kernel, 1, "SAME")` up to rounding, in another layout.

    x: float32 [H, W, B, C], static except for B; kernel: float32 [3, 3, C, O]. Returns float32 [H, W, B, O]. In this
    layout a transform is one product of long rows, and the numbers of a tile lie together.
    """
    height, width, _, channels = x.shape.as_list()
    (to_rows, from_rows), (to_columns, from_columns) = _transforms(height), _transforms(width)
    to_kernel = _evaluation(KERNEL)

    u = _along_both(to_kernel, to_kernel, tf.reshape(kernel, [KERNEL, KERNEL, -1]))
    v = _along_both(to_rows, to_columns, tf.reshape(x, [height, width, -1]))
    y = tf.matmul(tf.reshape(v, [N_POINTS, len(to_rows) // N_POINTS, N_POINTS, -1, channels]),
                  tf.reshape(u, [N_POINTS, 1, N_POINTS, channels, -1]))
    y = _along_both(from_rows, from_columns, tf.reshape(y, [len(to_rows), len(to_columns), -1]))
    return tf.reshape(y, [height, width, -1, kernel.shape[-1]])


class Direct:
    """Images are float32 [B, H, W, C], convolved by the library."""

    def to_layout(self, images):
        """float32 [B, H, W, C] images in this form's layout."""
        return images

    def from_layout(self, x):
        """x in this layout as float32 [B, H, W, C] images."""
        return x

    def convolve(self, x, kernel):
        """Stride 1, SAME, no bias. x: images in this layout; kernel: float32 [h, w, C, filters]. Returns the same
        layout, of `filters` channels."""
        return tf.nn.conv2d(x, kernel, strides=1, padding="SAME")

    def max_pool(self, x):
        """2 x 2 max pooling: x in this layout, H and W halved."""
        return tf.nn.max_pool2d(x, 2, 2, "SAME")

    def average_pool(self, x):
        """The mean over H and W of x in this layout, float32 [B, C]."""
        return tflearn.global_avg_pool(x)


class Winograd:
    """Images are float32 [H, W, B, C], convolved by Winograd's method, which is faster on processors. The methods are
    those of Direct; kernels are 3 x 3."""

    def to_layout(self, images):
        return tf.transpose(images, [1, 2, 0, 3])

    def from_layout(self, x):
        return tf.transpose(x, [2, 0, 1, 3])

    def convolve(self, x, kernel):
        return winograd(x, kernel)

    def max_pool(self, x):
        height, width, _, channels = x.shape.as_list()
        x = tf.nn.max_pool2d(tf.reshape(x, [1, height, width, -1]), 2, 2, "SAME")
        return tf.reshape(x, [height // 2, width // 2, -1, channels])

    def average_pool(self, x):
        return tf.reduce_mean(x, [0, 1])


DIRECT = Direct()


def fastest(batch_size):
    """The faster form for batches of that many images here, None for any number."""
    few = batch_size is not None and batch_size < WINOGRAD_FROM
    return DIRECT if few or tf.config.list_physical_devices("GPU") else Winograd()
