"""The one door through which TensorFlow comes: `from model.tf1 import tf, tflearn`.

It sets what must be set before TensorFlow's import, mends tflearn 0.5 for today's TensorFlow and Pillow, and
hands on `tensorflow.compat.v1` in graph mode with resource variables. TensorFlow's start-up remarks are dropped
unless TF_CPP_MIN_LOG_LEVEL is set below 3.
"""
import contextlib
import os
import warnings

# oneDNN doubles the speed on AVX2 processors, where TensorFlow leaves it off.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextlib.contextmanager
def _quiet():
    """Drop what native code writes to stderr: its first remarks come before any log level counts."""
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    if level not in (None, "3"):
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        if level is None:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


with _quiet(), warnings.catch_warnings():
    warnings.simplefilter("ignore", SyntaxWarning)  # tflearn compares texts by `is`

    import PIL.Image
    import tensorflow.compat.v1 as tf
    from tensorflow.python.util import nest

    tf.logging.set_verbosity(tf.logging.ERROR)

    # Both names are gone, and tflearn's import asks for them.
    if not hasattr(nest, "is_sequence"):
        nest.is_sequence = nest.is_nested
    if not hasattr(PIL.Image, "ANTIALIAS"):
        PIL.Image.ANTIALIAS = PIL.Image.LANCZOS

    # tflearn puts a variable of its own into the default graph; that graph is thrown away.
    with tf.Graph().as_default():
        import tflearn

tf.disable_v2_behavior()
# tflearn's import turns resource variables off, so this comes after it.
tf.enable_resource_variables()

__all__ = ["tf", "tflearn"]
