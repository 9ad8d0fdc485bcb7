from pathlib import Path

from config import Config
from model.tf1 import tf
from utils import errors
from utils.data import pictures
from utils.retrieval import search
from utils.retrieval.database import Database, save
from utils.retrieval.encoder import Encoder, made_of
from utils.session import machine
from utils.settings import from_command_line


class Options(Config):
    """GPQ's settings, what to encode and where to."""

    images: str
    """Folder of pictures, or .npy file of uint8 [N, 32, 32, 3]."""

    out: str
    """File to write, .npz."""


def main():
    config = from_command_line(Options)
    images, names = pictures.read_all(config.images, config.image_size)
    with tf.Graph().as_default(), machine.session(config) as session:
        encoder = Encoder(config, session, config.checkpoint)
        features, codes = encoder(images, "encoding")
        codebooks = encoder.codebooks()
    made = {**made_of(config), "images": str(Path(config.images).resolve())}
    database = Database(codes, codebooks, None, made, names)
    save(config.out, database, features=features, codes=codes)
    print(f"{config.out}: {len(codes)} images, features {list(features.shape)}, {config.n_bits}-bit codes, "
          f"{len(search.distinct(codes).counts)} distinct")


if __name__ == "__main__":
    errors.run(main)
