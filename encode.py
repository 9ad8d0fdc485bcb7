"""Encode pictures of your own: features, codes and a database to search in.

    python encode.py --images=folder_or_array.npy --out=codes.npz
    python Demo.py --database=codes.npz --image=cat.png

The file holds `features` (float32 [N, D]), `codes` (uint8 [N, M]), what a Database keeps, and what made them.
"""
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from model.tf1 import tf
from utils import errors, settings
from utils.data import pictures
from utils.retrieval.encoder import Encoder, made_of
from utils.session import machine
from utils.training import folder


class Options(BaseModel):
    """Encode pictures of your own with the settings of config.py."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    images: str
    """Folder of pictures, or .npy file of uint8 [N, 32, 32, 3]."""

    out: str
    """File to write, .npz."""


def main():
    config = settings.from_command_line(Options)
    images, names = pictures.read_all(config.images, config.image_size)
    checkpoint = folder.chosen(config)
    folder.check_use(checkpoint, config)
    with tf.Graph().as_default(), machine.session(config) as session:
        encoder = Encoder(config, session, checkpoint)
        features, codes = encoder(images, "encoding")
        made = {**made_of(config, checkpoint), "images": str(Path(config.images).resolve())}
        database = encoder.database(codes, made_of=made, names=names)
    database.save(config.out, features=features, codes=codes)
    print(f"{config.out}: {len(codes)} images, features {list(features.shape)}, {config.n_bits}-bit codes, "
          f"{len(database.gallery.vectors)} distinct")


if __name__ == "__main__":
    errors.run(main)
