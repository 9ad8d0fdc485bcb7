"""Convolution and pooling in two forms that give the same network up to rounding; a graph is built with one of them.

Each says how images lie in memory. H and W are static and, where they are pooled, even.
"""
from model.networks import winograd
from model.tf1 import tf, tflearn


class Direct:
    """Images are float32 [B, H, W, C], convolved by the library."""

    def enter(self, images):
        """float32 [B, H, W, C] images in this form's layout."""
        return images

    def leave(self, x):
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

    def enter(self, images):
        return tf.transpose(images, [1, 2, 0, 3])

    def leave(self, x):
        return tf.transpose(x, [2, 0, 1, 3])

    def convolve(self, x, kernel):
        return winograd.convolve(x, kernel)

    def max_pool(self, x):
        height, width, _, channels = x.shape.as_list()
        x = tf.nn.max_pool2d(tf.reshape(x, [1, height, width, -1]), 2, 2, "SAME")
        return tf.reshape(x, [height // 2, width // 2, -1, channels])

    def average_pool(self, x):
        return tf.reduce_mean(x, [0, 1])


DIRECT = Direct()
