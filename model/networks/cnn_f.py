from gpq.model.networks import layers
from gpq.model.tf1 import tf


def cnn_f(images, forward):
    """CNN-F of Chatfield et al. (BMVC 2014, table 1), up to its layer of 1000 classes.

    images: float32 [B, 32, 32, 3], standardised; they are enlarged to 224 x 224. Returns float32 [B, 4096].
    Dropout takes half of each 4096 activations. Local response normalisation is that of Krizhevsky et al.
    (2012, section 3.3), and pooling that of the published model: 3 x 3, stride 2.
    """
    def normalise(x):
        return tf.nn.local_response_normalization(x, depth_radius=2, bias=2, alpha=1e-4, beta=0.75)

    def full(x, name):
        return forward.drop(tf.nn.relu(layers.dense(x, 4096, name)), name)

    x = normalise(layers.conv_relu(layers.enlarge(images, 224), 64, 11, "conv1", stride=4, padding="VALID"))
    x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    x = normalise(layers.conv_relu(x, 256, 5, "conv2"))
    x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    x = layers.conv_relu(x, 256, 3, "conv3")
    x = layers.conv_relu(x, 256, 3, "conv4")
    x = layers.conv_relu(x, 256, 3, "conv5")
    x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    return full(full(tf.reshape(x, [-1, x.shape[1:].num_elements()]), "full6"), "full7")
