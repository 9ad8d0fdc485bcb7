"""Codes to a faiss index and back, byte for byte: nothing is encoded anew.

    python -m utils.retrieval.faiss codes.npz codes.faiss                    # what encode.py or Demo.py wrote
    python -m utils.retrieval.faiss codes.npz codes.faiss --ivf=100          # behind 100 inverted lists
    python -m utils.retrieval.faiss codes.faiss back.npz --like=codes.npz    # with its names, labels and checkpoint

Codewords of whole bits (ITQ, SH, SDH) become an IndexBinaryFlat; joined ones (GPQ, PQ, OPQ) an IndexPQ, by inner
product or squared distance; added ones by inner product (WSDHQ, WDHT) an IndexResidualQuantizer. With inverted lists
they are the IVF index of the same codes, which is not read back.
"""
if __name__ == "__main__":  # first, as the imports take seconds that a signal may end
    from gpq.utils.errors import run
    run("gpq.utils.retrieval.faiss")

import dataclasses

import faiss
import numpy as np

from gpq.utils import files
from gpq.utils.errors import Parser, UserError
from gpq.utils.reading import indexes
from gpq.utils.retrieval.database import Database, pack, reconstruct, unpack

NIBBLE = 4  # bits of a word where a binary index is all that is known


def bit_patterns(n_book, bits):
    """The codewords whose distance is Hamming's: the patterns of `bits` bits in order, each bit +1/2 or -1/2, the
    highest first; float32 [n_book, 2^bits, bits]."""
    patterns = np.unpackbits(np.arange(2 ** bits, dtype=np.uint8)[:, np.newaxis], axis=1)[:, 8 - bits:]
    return np.tile(patterns.astype(np.float32) - 0.5, (n_book, 1, 1))


def is_binary(codebooks):
    """Whether the words of `codebooks` float32 [M, K, d] are whole bits."""
    n_book, n_words, length = codebooks.shape
    return length <= 8 and n_words == 2 ** length and np.array_equal(codebooks, bit_patterns(n_book, length))


def index_of(database, lists=0):
    """The faiss index of a Database, behind `lists` inverted lists where that is not 0; nprobe says how many of them a
    query looks into. A picture's id is its place in the database.

    Hamming codes of a length that is no multiple of 8 end in zeros. Raises UserError for distances that no index of the
    codes has, and for more lists than pictures.
    """
    books = database.codebooks
    n_book, n_words, length = books.shape
    bits, n = n_words.bit_length() - 1, len(database.codes)
    if lists > n:
        raise UserError(f"--ivf={lists} is more lists than the {n} codes; give a smaller number")
    if is_binary(books):
        return _binary(pack(database.codes, bits), lists)
    if database.distance == "norms":
        raise UserError("a sum of norms over the codebooks (SPQ) has no faiss index; search it with Demo.py, or train "
                        "a method whose distance is squared, such as --method=opq")
    if database.added and database.distance == "squared":
        raise UserError("a squared distance to codewords that are added (LOPQ) has no faiss index of the same bytes; "
                        "search it with Demo.py, or train --method=opq, which has one")
    packed = faiss.pack_bitstrings(database.codes.astype(np.int32), bits)
    metric = faiss.METRIC_INNER_PRODUCT if database.distance == "inner" else faiss.METRIC_L2
    size = length if database.added else n_book * length
    coarse = _coarse(reconstruct(books, database.codes, database.added), lists, metric) if lists else None
    if database.added:
        search = faiss.AdditiveQuantizer.ST_LUT_nonorm
        index = (faiss.IndexIVFResidualQuantizer(coarse.quantizer, size, lists, n_book, bits, metric, search) if lists
                 else faiss.IndexResidualQuantizer(size, n_book, bits, metric, search))
        faiss.copy_array_to_vector(books.ravel(), index.rq.codebooks)
        index.rq.is_trained = True
    else:
        index = (faiss.IndexIVFPQ(coarse.quantizer, size, lists, n_book, bits, metric) if lists
                 else faiss.IndexPQ(size, n_book, bits, metric))
        faiss.copy_array_to_vector(books.ravel(), index.pq.centroids)
    index.is_trained = True
    if lists:
        index.by_residual, index.own_fields = False, True
        coarse.quantizer.this.disown()
        numbers = coarse.of_each.astype("<i8").view(np.uint8).reshape(n, 8)[:, :index.coarse_code_size()]
        packed = np.hstack([numbers, packed])
    index.add_sa_codes(packed)
    return index


@dataclasses.dataclass
class _Coarse:
    """The index of the lists' centres, and the list of each picture, int64 [N]."""

    quantizer: object
    of_each: np.ndarray


def _coarse(vectors, lists, metric):
    """The `_Coarse` of `vectors` float32 [N, D], by k-means."""
    means = faiss.Kmeans(vectors.shape[1], lists, niter=10, seed=1, min_points_per_centroid=1,
                         max_points_per_centroid=64)
    means.train(vectors)
    quantizer = faiss.IndexFlat(vectors.shape[1], metric)
    quantizer.add(means.centroids)
    return _Coarse(quantizer, quantizer.search(vectors, 1)[1].ravel())


def _binary(packed, lists):
    """The binary index of `packed` bits, uint8 [N, bytes]."""
    index = faiss.IndexBinaryFlat(8 * packed.shape[1])
    if lists:
        quantizer = index
        index = faiss.IndexBinaryIVF(quantizer, quantizer.d, lists)
        index.own_fields = True
        quantizer.this.disown()
        index.cp.min_points_per_centroid = 1
        index.train(packed)
    index.add(packed)
    return index


def read(path, like=None):
    """The Database of a faiss index's codes: with the names, labels and what made it of `like`, a Database of as many
    pictures, where it is given. Without it, four bits of a binary index are a word.

    Takes the kinds of `utils.reading.indexes`. Raises UserError for another, or one that does not fit `like`.
    """
    index = indexes.read(path)
    if index.codebooks is None:
        bits = like.codebooks.shape[2] if like else NIBBLE
        n_book = len(like.codebooks) if like else 8 * index.codes.shape[1] // bits
        found = Database(unpack(index.codes, n_book, bits), bit_patterns(n_book, bits), None, {},
                         distance=like.distance if like else "squared")
    else:
        found = Database(index.codes, index.codebooks, None, {}, distance="inner" if index.inner else "squared",
                         added=index.added)
    if like is None:
        return found
    if len(found.codes) != len(like.codes) or found.codebooks.shape != like.codebooks.shape:
        raise UserError(f"{path} holds {len(found.codes)} codes of codebooks {list(found.codebooks.shape)} and the "
                        f"database of --like {len(like.codes)} of {list(like.codebooks.shape)}; give the one that the "
                        "index was made of, or leave --like out")
    return dataclasses.replace(found, labels=like.labels, made_of=like.made_of, names=like.names)


def write(index, path):
    """Write `index` to `path`, whole or not at all. Raises UserError where the disk refuses."""
    binary = isinstance(index, faiss.IndexBinary)
    with files.whole(path) as file:
        file.write((faiss.serialize_index_binary if binary else faiss.serialize_index)(index))


def main():
    parser = Parser(prog="python -m utils.retrieval.faiss", description="Codes to faiss and back.")
    parser.add_argument("source", help="a database, .npz, or a faiss index")
    parser.add_argument("out", help="file to write: the other of the two")
    parser.add_argument("--ivf", type=int, default=0, metavar="N", help="inverted lists in front of the codes")
    parser.add_argument("--like", help="the database whose names, labels and checkpoint an index's codes get")
    given = parser.parse_args()
    if given.source.endswith(".npz"):
        if given.like or given.ivf < 0:
            raise UserError("--like goes with an index as the source, and --ivf takes a number from 1; leave it out")
        index = index_of(Database.load(given.source), given.ivf)
        write(index, given.out)
        print(f"{given.out}: {type(index).__name__} of {index.ntotal} codes of {index.code_size} bytes")
    else:
        if given.ivf:
            raise UserError("--ivf goes with a database as the source; leave it out")
        database = read(given.source, Database.load(given.like) if given.like else None)
        database.save(given.out, codes=database.codes)
        print(f"{given.out}: {len(database.codes)} codes of {len(database.codebooks)} codebooks")
