"""What a network that nobody need train, ImageNet's EfficientNet-Lite or GIST, sees in pictures: a .npy file of float
[N, D] that is never held in memory, see `block_file`. D is `pretrained_dim` of the network's row: 1280, or 512."""
import numpy as np

from gpq.model.backbone import NETWORKS, Backbone
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import imagenet, machine
from gpq.utils.errors import UserError
from gpq.utils.retrieval import block_file
from gpq.utils.retrieval.encoder import by_batch

BLOCK = 32  # images of 224 x 224: a batch, and what a cut loses at most


def kept(path, images, config, dtype=np.float16, mirrored=False):
    """What the network of `config`, with ImageNet's weights if it has any, sees in images uint8 [N, H, W, 3] before its
    last layer: `dtype` [N, D], mapped from the file `path`, which is made first where it is not there or was made of
    others.

    mirrored: the mean of what it sees in a picture and in its mirror image, left and right exchanged.
    Raises UserError where the network would have to be trained or its weights are not installed, and as
    `block_file.kept`.
    """
    network = NETWORKS[config.backbone]
    if network.pretrained_dim is None:
        raise UserError(f"there are no weights of ImageNet for backbone={config.backbone}; set "
                        "--backbone=efficientnet_lite2, or gist, which needs none")
    weights = config.backbone if network.imagenet is None else imagenet.weight_file(network.imagenet).name
    dtype = np.dtype(dtype)
    made_of = {"weights": weights, "input_side": config.input_side, "precision": config.precision,
               "mirrored": mirrored, "dtype": dtype.name, "images": block_file.digest(images)}

    def blocks(first):
        return (found.astype(dtype) for found in _features(images, config, mirrored, first))

    return block_file.kept(path, len(images), (dtype, network.pretrained_dim), made_of, BLOCK, blocks,
                           "Features", "images")


def _features(images, config, mirrored, first):
    """Yields the features of the images from the number `first` on, float32 [BLOCK or fewer, D]."""
    F = Backbone(config)
    with tf.Graph().as_default(), machine.session(config) as session:
        placeholder = tf.placeholder(tf.uint8, [None, *images.shape[1:]])
        features = F(placeholder)
        if mirrored:
            features = (features + F(placeholder[:, :, ::-1])) / 2
        if F.network.imagenet is not None:
            imagenet.load(session, F.network.imagenet, F.network.scope)
        for found, in by_batch(session, [features], placeholder, images, BLOCK, "encoding", first=first):
            yield found
