"""A function's value as XLA computes it: what several test files compare TensorFlow's with."""
from gpq.model.tf1 import tf


def under_xla(function, *arrays):
    """The value of `function` of the arrays, compiled by XLA. They are fed: constants would be folded before it."""
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = [tf.placeholder(array.dtype, array.shape) for array in arrays]
        compiled = tf.function(function, jit_compile=True)(*inputs)
        return session.run(compiled, dict(zip(inputs, arrays, strict=True)))
