"""The Caffe AlexNet (Krizhevsky et al., NIPS 2012) as WSDHQ's release computes it, on 227 x 227 of 256 x 256 pixels."""
from gpq.model import augmentation
from gpq.model.networks import layers
from gpq.model.tf1 import tf

SIDE, CROP = 256, 227
# Of blue, green, red, yet taken from red, green, blue, as the release does (thulab/DeepHash, issue 41).
MEAN = (103.939, 116.779, 123.68)
CORNERS = ((0, 0), (28, 28), (28, 0), (0, 28), (14, 14))  # 28, not 29 (release)


def standardise(images):
    """uint8 [B, H, H, 3], RGB, to float32 [B, 256, 256, 3] less the channels' means (release)."""
    images = tf.cast(images, tf.float32)
    if images.shape[1] != SIDE:
        images = layers.enlarge(images, SIDE)
    return images - MEAN


def view(images, name, config, step, standardise):
    """Two variations of a step's batch `name`: (flipped and cropped at random, the same further distorted), float32
    [B, 227, 227, 3] each. Arguments as of `augmentation.view`."""
    augmented = augmentation.flip_and_crop(standardise(images), CROP, CROP,
                                           augmentation.stateless_seed(f"augment {name}", config.seed, step))
    scale = augmentation.CHANNEL_STD
    seed = augmentation.stateless_seed(f"distort {name}", config.seed, step)
    return augmented, scale * augmentation.strong_augment(augmented / scale, seed)


def ten_crops(images, see):
    """The mean of see(crop), float32 [B, D], over five crops of the images and of their mirror images (release).

    images: float32 [B, 256, 256, 3]; see: function of float32 [B, 227, 227, 3]. One crop after another: ten at once
    take ten times the memory.
    """
    def at(corner):
        return sum(see(tf.slice(whole, [0, corner[0], corner[1], 0], [-1, CROP, CROP, 3]))
                   for whole in (images, images[:, :, ::-1]))

    seen = tf.map_fn(at, tf.constant(CORNERS), fn_output_signature=tf.float32, parallel_iterations=1)
    return tf.reduce_mean(seen, axis=0) / 2


def alexnet(images, forward):
    """images: float32 [B, H, H, 3], of `standardise`; of more than 227 x 227 pixels the middle counts. Returns
    float32 [B, 4096]. Dropout takes half of each 4096 activations."""
    def pool(x):
        return tf.nn.max_pool2d(x, 3, 2, "VALID")

    def normalise(x):
        return tf.nn.local_response_normalization(x, depth_radius=2, bias=1, alpha=2e-5, beta=0.75)

    def full(x, name):
        return forward.drop(tf.nn.relu(layers.dense(x, 4096, name)), name)

    before = (int(images.shape[1]) - CROP) // 2
    images = images[:, before:before + CROP, before:before + CROP]
    x = normalise(pool(layers.conv_relu(images, 96, 11, "conv1", stride=4, padding="VALID")))
    x = normalise(pool(layers.conv_relu(x, 256, 5, "conv2", groups=2)))
    x = layers.conv_relu(x, 384, 3, "conv3")
    x = layers.conv_relu(x, 384, 3, "conv4", groups=2)
    x = pool(layers.conv_relu(x, 256, 3, "conv5", groups=2))
    x = tf.reshape(x, [-1, x.shape[1:].num_elements()])
    return full(full(x, "fc6"), "fc7")
