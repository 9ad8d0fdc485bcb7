"""3 x 3 convolution by Winograd's minimal filtering, with a quarter of the multiplications.

F(4 x 4, 3 x 3) of Lavin & Gray (Fast Algorithms for Convolutional Neural Networks, CVPR 2016): a tile of 6 x 6
pixels and the kernel are evaluated at 6 x 6 points, multiplied point by point, and interpolated to 4 x 4 pixels. Each
transform is a product with a constant matrix, so that a gradient costs no more than the convolution.
"""
import numpy as np

from model.tf1 import tf

TILE, KERNEL = 4, 3
N_POINTS = TILE + KERNEL - 1
# Infinity is the sixth. Any would do; these, each with its negative and its inverse, keep rounding low.
POINTS = (0, -2 ** -0.5, 2 ** -0.5, -2 ** 0.5, 2 ** 0.5)


def _evaluation(n):
    """The matrix [N_POINTS, n] that evaluates a polynomial of n coefficients at the points."""
    return np.vstack([np.vander(POINTS, n, increasing=True), np.eye(n)[-1]])


def _transforms(size):
    """For an axis of `size` pixels the matrix that pads it, cuts it into tiles and evaluates them, float32 [N_POINTS *
    tiles, size], and the one that interpolates, float32 [size, N_POINTS * tiles]."""
    tiles = -(-size // TILE)
    padded = np.pad(np.eye(size), ((1, tiles * TILE - size + 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, N_POINTS, axis=0)[::TILE]
    there = np.einsum("ip,tsi->pts", np.linalg.inv(_evaluation(N_POINTS)), windows)
    back = np.einsum("pi,tu->tipu", _evaluation(TILE), np.eye(tiles))
    return (there.reshape(N_POINTS * tiles, size).astype(np.float32),
            back.reshape(tiles * TILE, N_POINTS * tiles)[:size].astype(np.float32))


def convolve(x, kernel):
    """What `tf.nn.conv2d(x, kernel, 1, "SAME")` gives, rounded otherwise.

    x: float32 [B, H, W, C], static but for B; kernel: float32 [3, 3, C, O]. Returns float32 [B, H, W, O].
    """
    _, height, width, channels = x.shape.as_list()
    (to_rows, from_rows), (to_columns, from_columns) = _transforms(height), _transforms(width)
    to_kernel = np.kron(_evaluation(KERNEL), _evaluation(KERNEL)).astype(np.float32)

    u = tf.matmul(to_kernel, tf.reshape(kernel, [KERNEL ** 2, -1]))
    u = tf.reshape(u, [N_POINTS, 1, N_POINTS, 1, channels, -1])  # as many axes as v has below
    # With the images last but one, a transform is one product of long rows, and a tile's numbers lie together.
    v = tf.transpose(x, [1, 2, 0, 3])
    v = tf.matmul(to_rows, tf.reshape(v, [height, -1]))
    v = tf.matmul(to_columns, tf.reshape(v, [len(to_rows), width, -1]))
    v = tf.reshape(v, [N_POINTS, len(to_rows) // N_POINTS, N_POINTS, len(to_columns) // N_POINTS, -1, channels])
    y = tf.matmul(v, u)
    y = tf.matmul(from_rows, tf.reshape(y, [len(to_rows), -1]))
    y = tf.matmul(from_columns, tf.reshape(y, [height, len(to_columns), -1]))
    return tf.transpose(tf.reshape(y, [height, width, -1, kernel.shape[-1]]), [2, 0, 1, 3])
