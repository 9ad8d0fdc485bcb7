import json
import typing
import zipfile
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pydantic

from gpq.config import METHODS
from gpq.utils import files
from gpq.utils.data import labels as labelling
from gpq.utils.reading import arrays, documents
from gpq.utils.retrieval.search import DISTANCES, Gallery, check_finite, distinct, named

FORMS = {"packed_codes": "uint8 [N, B]", "codebooks": "float32 [M, K, d]", "made_of": "str []",
         "labels?": "int [N] or bool [N, L]", "names?": "str [N]", "distance?": "str []", "added?": "bool []",
         "members?": "str [?]"}
OTHERS = "features", "codes"  # what encode.py writes beside them


class MadeOf(pydantic.BaseModel):
    """What JSON must say of what a database was made of, where it says it."""

    images: typing.Annotated[str, pydantic.Field(pattern=r"^[^\x00]*$")] = ""
    count: pydantic.PositiveInt = 1
    shard: pydantic.PositiveInt = 1
    method: typing.Literal[tuple(METHODS)] = "gpq"
    model: typing.Annotated[str, pydantic.Field(pattern=r"^[^\x00]*$")] = ""


@dataclass(frozen=True, eq=False)
class Database:
    """A gallery of N pictures as codes, each of which names one codeword in each of M codebooks of K = 2^b codewords.

    The M codewords of a code, joined (product quantization) or added (additive quantization), are the vector that
    stands for the picture: its reconstruction. Raises ValueError where `distance` is not one of search.DISTANCES, and
    for "norms", which are taken in each codebook, of codewords that are added.
    """

    codes: np.ndarray  # uint8 [N, M], the codeword's index in each codebook
    codebooks: np.ndarray  # float32 [M, K, d], the codewords that distances are computed with; d is D where added
    labels: np.ndarray | None  # bool [N, L], the labels of each picture, or None where nobody knows
    made_of: dict  # JSON-able: what the database was made from (checkpoint, data, settings)
    names: np.ndarray | None = None  # str [N], file names of a user's own pictures
    distance: str = "inner"  # M - <query, reconstruction>; "squared": Euclidean, squared; "norms": see search.blocks
    added: bool = False  # the codewords are added, not joined

    def __post_init__(self):
        if self.distance not in DISTANCES:
            raise ValueError(f"distance is {self.distance!r}, not one of {DISTANCES}")
        if self.distance == "norms" and self.added:
            raise ValueError("a sum of norms over the codebooks is of codewords that are joined, not added")

    @cached_property
    def gallery(self):
        """The `search.Gallery` of these codes, found at its first use and kept. Raises UserError where a codeword has a
        number that is not finite."""
        check_finite(self.codebooks)
        codes, *pictures = distinct(self.codes)
        if self.distance == "norms":
            return Gallery(named(codes, self.codebooks.shape[1]), *pictures, len(self.codebooks), self.distance,
                           self.codebooks)
        vectors = reconstruct(self.codebooks, codes, self.added)
        return Gallery(vectors, *pictures, len(self.codebooks), self.distance)

    def save(self, path, over_input=False, **more):
        """Write the database to `path` as .npz, whole or not at all, with the arrays of `more` beside it.

        Keys: `packed_codes` (see `pack`), `codebooks`, `made_of` (JSON), `distance`, `added`, `labels` and `names`
        where there are any, those of `more`, of OTHERS, and `members`, which names all of them. Raises UserError if the
        file cannot be written.
        """
        given = {"labels": getattr(self.labels, "numbers", self.labels), "names": self.names, **more}
        content = {"packed_codes": pack(self.codes, word_bits(self.codebooks)), "codebooks": self.codebooks,
                   "made_of": json.dumps(self.made_of), "distance": self.distance, "added": self.added,
                   **{key: value for key, value in given.items() if value is not None}}
        # Not by np.savez: of numpy 1.26 it stumbles over its open zip when a disk is full.
        with files.whole(path, over_input) as file, zipfile.ZipFile(file, "w") as archive:
            for key, value in {**content, "members": list(content)}.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)

    @classmethod
    def load(cls, path):
        """The `Database` saved at `path`. Raises UserError if there is none, or it is damaged or foreign.

        The class numbers of an older file, int64 [N], become bool [N, the highest + 1].
        """
        what = "retrieval database", "make one with python encode.py"
        found = arrays.read(path, FORMS, *what, others=OTHERS)
        with files.sound(path, *what):
            return cls._of(**found)

    @classmethod
    def _of(cls, packed_codes, codebooks, made_of, labels=None, names=None, distance="inner", added=False, **_):
        """The `Database` of the arrays of a file; raises ValueError where they do not fit together."""
        n_book, n_words, _ = codebooks.shape
        bits = word_bits(codebooks)
        if n_words != 2**bits or bits > 8 or packed_codes.shape[1] != -(-n_book * bits // 8):
            raise ValueError("codes and codebooks do not fit together")
        codes = unpack(packed_codes, n_book, bits)
        if labels is not None and labels.ndim == 1:
            labels = labelling.of_numbers(labels, int(labels.max(initial=-1)) + 1)
        return cls(codes, codebooks, labels, documents.parse(str(made_of), MadeOf), names, str(distance), bool(added))


def reconstruct(codebooks, codes, added=False):
    """The codewords that `codes` uint8 [N, M] name in `codebooks` float32 [M, K, d]: joined, float32 [N, M * d], or
    `added`, float32 [N, d]."""
    if added:
        return sum(words[column] for words, column in zip(codebooks, codes.T, strict=True))
    return codebooks[np.arange(len(codebooks)), codes].reshape(len(codes), -1)


def pack(codes, bits):
    """Codes uint8 [N, M] below 2^bits as a run of bits each, first word first: uint8 [N, ceil(M * bits / 8)].

    With 4 bits two words share a byte, so a 48-bit code takes 6. Raises ValueError if a word does not fit.
    """
    if codes.size and int(codes.max()) >> bits:
        raise ValueError(f"word {codes.max()} does not fit in {bits} bits")
    words = np.unpackbits(codes[:, :, None], axis=2)[:, :, 8 - bits:]
    return np.packbits(words.reshape(len(codes), bits * codes.shape[1]), axis=1)


def unpack(packed, n_book, bits):
    """The inverse of `pack`: uint8 [N, ceil(n_book * bits / 8)] to codes uint8 [N, n_book]."""
    words = np.unpackbits(packed, axis=1, count=n_book * bits).reshape(len(packed), n_book, bits)
    return np.packbits(np.pad(words, ((0, 0), (0, 0), (8 - bits, 0))), axis=2)[:, :, 0]


def word_bits(codebooks):
    """Bits of a word: log2 of the number of codewords, rounded up."""
    return (codebooks.shape[1] - 1).bit_length()
