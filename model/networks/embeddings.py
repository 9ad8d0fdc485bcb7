"""F on vectors that another model has made: a dense layer, or several with ReLU between."""
from gpq.model.networks import layers
from gpq.model.tf1 import tf

SCOPE = "Embeddings"


def unit_scale(vectors):
    """Vectors, float [B, D], to float32 whose squares have the mean 1, each by itself: their scale does not count."""
    vectors = tf.cast(vectors, tf.float32)
    largest = tf.reduce_max(tf.abs(vectors), axis=1, keepdims=True)
    beyond = (largest > 1e15) | (largest < 1e-12) & (largest > 1e-37)  # whose squares float32 has not
    vectors /= tf.where(beyond, largest, tf.ones_like(largest))
    return tf.nn.l2_normalize(vectors, axis=1, epsilon=1e-30) * float(vectors.shape[1]) ** 0.5


def dense_layers(vectors, forward):
    """The hidden layers, each with ReLU. vectors: float32 [B, D]. Returns float32 [B, units of the last]."""
    for number, units in enumerate(forward.hidden, 1):
        vectors = tf.nn.relu(layers.dense(vectors, units, f"hidden{number}"))
    return vectors


def widths(shapes):
    """[D, units of each hidden layer, ...] of the network that has variables of these shapes, {name: shape}; [] where
    there is none, or it has no layer."""
    names = [f"{SCOPE}/hidden{number}/kernel" for number in range(1, len(shapes) + 1)] + [f"{SCOPE}/dense/kernel"]
    kernels = [shapes[name] for name in names if name in shapes]
    last = [] if names[-1] in shapes else kernels[-1:]  # a method with a head of its own has no `dense`
    return [kernel[0] for kernel in kernels] + [kernel[1] for kernel in last]
