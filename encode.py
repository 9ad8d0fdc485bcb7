"""Encode pictures or vectors of your own: features, codes and a database to search in.

    python encode.py --images=folder_or_array.npy --out=codes.npz
    python Demo.py --database=codes.npz --image=cat.png
    python encode.py --images=folder --out=folder_of_codes/ --ray=auto      # by all machines of a Ray cluster
    python encode.py --backbone=efficientnet_lite2 --features_only --out=lite2.npy    # of the data set, or of --images
    python encode.py --backbone=gist --features_only --out=gist.npy
    python encode.py --embeddings=learned_from.npz --images=vectors.npy --out=codes.npz     # float [N, D]
    python Demo.py --database=codes.npz --image=vector.npy
    python encode.py --export=encoder          # a SavedModel, from uint8 pictures to features and codes; .onnx for ONNX

A folder is read with its subfolders; a picture that cannot be read is named, and left out. The file holds `features`
(float32 [N, D], where there were pictures), `codes` (uint8 [N, M]), what a Database keeps, and what made them. Until it
is whole, what is done lies beside it, and the same command goes on with that. A name that ends in / is a folder of
Parquet files instead, for more pictures than one machine should encode (docs/cluster.md).
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.encode")

import sys
import time
from pathlib import Path

import numpy as np
from pydantic_settings import CliImplicitFlag

from gpq.model.tf1 import tf
from gpq.utils import errors, files, settings
from gpq.utils.base_settings import Own, PathText
from gpq.utils.checkpoints import machine, runs
from gpq.utils.data import embeddings, lazy, sets
from gpq.utils.retrieval import block_file, cluster, code_file, feature_file, search
from gpq.utils.retrieval.encoder import Encoder, made_by, made_of


class Options(Own):
    """Encode pictures or vectors of your own with the settings of config.py."""

    needs = {**dict.fromkeys(("n_DB", "without_hits", "cifar10_label_sim_path"), []),
             "mirrored": ("features_only", True)}

    images: PathText = ""
    """Folder of pictures and subfolders, or .npy file of uint8 [N, 32, 32, 3]; with embeddings .npy file of float
    [N, D]. Left out with features_only, it is all images of the data set, in the order in which they are loaded."""

    features_only: CliImplicitFlag[bool] = False
    """Write what ImageNet's EfficientNet-Lite, or GIST, sees in the pictures, float16 [N, 1280 or 512], as .npy. A run
    that was cut goes on where it stood."""

    mirrored: CliImplicitFlag[bool] = False
    """With features_only, the mean of what it sees in a picture and in its mirror image; it takes twice as long."""

    out: PathText = ""
    """File to write, .npz; .npy with features_only. A name that ends in / is a folder of Parquet files."""

    ray: str = ""
    """Ray cluster that fills a folder: "auto" is the one that runs, "local" one on this machine alone."""

    export: PathText = ""
    """Write the encoder itself and encode nothing: a folder, which becomes a SavedModel, or a file that ends in .onnx.
    It takes pictures, uint8 [B, H, W, 3], to features and codes."""


def _chosen(config):
    """As `runs.chosen`, for pictures of a user's own or vectors."""
    checkpoint, config = runs.chosen(config)
    return checkpoint, config if config.backbone == "embeddings" else sets.for_own_pictures(config)


def write_features(config):
    """Write what `feature_file.kept` sees in the pictures, or else in those of the data set."""
    config = sets.for_own_pictures(config) if config.images else config
    images = (lazy.read_readable(config.images, config.image_size, sets.SETS[config.dataset].prepare) if config.images
              else sets.load(config).images)
    features = feature_file.kept(config.out, images, config, mirrored=config.mirrored)
    print(f"{config.out}: features {list(features.shape)} of {config.backbone}, {features.dtype}")


def write_encoder(config):
    """Write the encoder of the chosen checkpoint to `config.export`."""
    if config.images or config.out or config.features_only:
        raise errors.UserError("export writes the encoder alone; leave out images, out and features_only, or export")
    checkpoint, config = _chosen(config)
    like = sets.load(config).images if config.backbone == "embeddings" else None
    with tf.Graph().as_default(), machine.session(config) as session:
        Encoder(config, session, checkpoint, like, portable=True).export(config.export)
    print(f"{config.export}: the encoder of {checkpoint}, from images to features and codes")


def write_folder(config, checkpoint, images, names):
    """Encode the images of the names, or vectors, into the folder `config.out`."""
    began = time.perf_counter()
    now = cluster.encode(images, names, config, checkpoint, config.out, config.ray)
    rate = now / (time.perf_counter() - began)
    database, faults = cluster.load(config.out)
    for fault in faults:
        print(fault, file=sys.stderr)
    if not len(database.codes):
        raise errors.UserError(f"none of the {len(faults)} pictures in {config.images} can be read; give others")
    if faults:
        print(f"{config.images}: {len(faults)} of {len(images)} pictures are left out", file=sys.stderr)
    print(f"{config.out}: {len(database.codes)} {'images' if config.backbone != 'embeddings' else 'vectors'}, "
          f"{config.n_bits}-bit codes, {now} of them encoded now, {rate:.1f} a second")


def main():
    config = settings.from_command_line(Options)
    settings.refuse_idle(config)
    if config.export:
        return write_encoder(config)
    if not config.out:
        raise errors.UserError("--out is missing; name the file to write, such as --out=codes.npz")
    to_folder = config.out.endswith("/")
    if config.ray and not to_folder:
        raise errors.UserError(f"ray has no effect on the file {config.out}; set --out to a folder, a name that ends "
                               "in /, or leave --ray out")
    if config.features_only and to_folder:
        raise errors.UserError(f"features_only writes a .npy file, and {config.out} is a folder; set --out to a file")
    if config.features_only:
        return write_features(config)
    if not config.images:
        raise errors.UserError("--images is missing; give a folder of pictures or a .npy file")
    checkpoint, config = _chosen(config)
    vectors = config.backbone == "embeddings"
    images, names = ((embeddings.read_vectors(config.images), None) if vectors else
                     lazy.read_all(config.images, config.image_size, True, sets.SETS[config.dataset].prepare))
    if to_folder:
        return write_folder(config, checkpoint, images, names)
    files.check_target(config.out)
    unfinished = f"{config.out}.encoded.npy"
    with tf.Graph().as_default(), machine.session(config) as session:
        encoder = Encoder(config, session, checkpoint, like=images)
        made = made_of(config, checkpoint)
        records = code_file.kept(unfinished, encoder, images, made)
        codes, more = np.ascontiguousarray(records["codes"]), {}
        if not vectors:
            there, more = records["there"], {"features": records["features"]}
            if not there.any():
                raise errors.UserError(f"none of the {len(there)} pictures in {config.images} can be read; give others")
            if not there.all():
                codes, names, more = codes[there], names[there], {"features": more["features"][there]}
                print(f"{config.images}: {np.count_nonzero(~there)} of {len(there)} pictures are left out",
                      file=sys.stderr)
        made |= {"images": str(Path(config.images).resolve()), **made_by(config, checkpoint, Path(config.out).parent)}
        database = encoder.database(codes, made_of=made, names=names)
    database.save(config.out, **more, codes=codes)
    block_file.remove(unfinished)
    print(f"{config.out}: {len(codes)} {'vectors' if vectors else 'images'}, "
          + "".join(f"{name} {list(array.shape)}, " for name, array in more.items())
          + f"{config.n_bits}-bit codes, {len(search.distinct(codes)[0])} distinct")
