import io
import json
from typing import NamedTuple

import numpy as np

from utils import files
from utils.errors import UserError

KEYS = ("packed_codes", "codebooks", "made_of", "labels", "names")


class Database(NamedTuple):
    """A gallery of N pictures as product-quantization codes: M codebooks of K = 2^b codewords of length d."""

    codes: np.ndarray  # uint8 [N, M], the codeword's index of each sub-vector
    codebooks: np.ndarray  # float32 [M, K, d], the codewords that distances are computed with
    labels: np.ndarray | None  # int64 [N], the class of each picture, or None where nobody knows
    made_of: dict  # JSON-able: what the database was made from (checkpoint, data, settings)
    names: np.ndarray | None = None  # str [N], file names of a user's own pictures


def pack(codes, bits):
    """Codes uint8 [N, M] below 2^bits as a run of bits each, first word first: uint8 [N, ceil(M * bits / 8)].

    With 4 bits two words share a byte, so a 48-bit code takes 6. Raises ValueError if a word does not fit.
    """
    if codes.size and int(codes.max()) >> bits:
        raise ValueError(f"word {codes.max()} does not fit in {bits} bits")
    words = np.unpackbits(codes[:, :, None], axis=2)[:, :, 8 - bits:]
    return np.packbits(words.reshape(len(codes), -1), axis=1)


def unpack(packed, n_book, bits):
    """The inverse of `pack`: uint8 [N, ceil(n_book * bits / 8)] to codes uint8 [N, n_book]."""
    words = np.unpackbits(packed, axis=1, count=n_book * bits).reshape(len(packed), n_book, bits)
    return np.packbits(np.pad(words, ((0, 0), (0, 0), (8 - bits, 0))), axis=2)[:, :, 0]


def save(path, database, **more):
    """Write `database` to `path` as .npz, whole or not at all, with the arrays of `more` beside it.

    Keys: `packed_codes` (see `pack`), `codebooks`, `made_of` (JSON), `labels` and `names` where there are
    any, and those of `more`, which `load` leaves alone. Raises UserError if the file cannot be written.
    """
    arrays = {"labels": database.labels, "names": database.names}
    arrays = {key: value for key, value in arrays.items() if value is not None}
    packed = pack(database.codes, _bits(database.codebooks))
    made_of = json.dumps(database.made_of)
    whole = io.BytesIO()  # numpy 1.26 stumbles over its open zip when a disk is full
    np.savez(whole, packed_codes=packed, codebooks=database.codebooks, made_of=made_of, **arrays, **more)
    with files.whole(path) as file:
        file.write(whole.getbuffer())


def load(path):
    """The `Database` saved at `path`. Raises UserError if there is none, or it is damaged or foreign."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return _database(**{key: file[key] for key in file.files if key in KEYS})
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; give the path of a database") from error
    except Exception as error:  # a foreign file fails in any way it likes
        raise UserError(f"{path} is damaged or no retrieval database; move it away and make one") from error


def _database(packed_codes, codebooks, made_of, labels=None, names=None):
    """The `Database` of the arrays of a file; raises ValueError where they do not fit together."""
    n_book, n_words, _ = codebooks.shape
    bits = _bits(codebooks)
    if codebooks.dtype != np.float32 or n_words != 2**bits or packed_codes.shape[1] != -(-n_book * bits // 8):
        raise ValueError("codes and codebooks do not fit together")
    codes = unpack(packed_codes, n_book, bits)
    if any(column is not None and column.shape != (len(codes),) for column in (labels, names)):
        raise ValueError("labels or names do not fit the codes")
    return Database(codes, codebooks, labels, json.loads(str(made_of)), names)


def _bits(codebooks):
    """Bits of a word: log2 of the number of codewords, rounded up."""
    return (codebooks.shape[1] - 1).bit_length()
