"""Additive quantization fitted: WSDHQ's codebooks and codes (Wang et al., AAAI 2021, by its release).

N vectors x, float32 [N, D], stand as sums of one word from each of M codebooks, float32 [M, K, D]. codes: int32 [N, M],
-1 for no word. How far a vector v reaches is v^T gram v, gram float32 [D, D].
"""
import numpy as np
import scipy.sparse
from scipy.linalg import cho_factor, cho_solve
from sklearn.cluster import MiniBatchKMeans

from gpq.model.errors import UserError

RIDGE = 1e-3
DEAD = 1e-8  # squared length of a word that no vector has
BLOCK = 500  # vectors that are coded at once (release)


def start(x, n_book, n_word, seed):
    """First codebooks: the k-means centres of x in D // M dimensions of its own for each book, 0 in the others.

    Mini-batch k-means as scikit-learn 0.23 has it by default. Where there are fewer than n_word vectors, the last
    centre repeats.
    """
    width = x.shape[1] // n_book
    codebooks = np.zeros([n_book, n_word, x.shape[1]], np.float32)
    for book, words in enumerate(codebooks):
        own = slice(book * width, (book + 1) * width)
        k_means = MiniBatchKMeans(min(n_word, len(x)), batch_size=100, max_iter=100, n_init=3, random_state=seed + book)
        centres = k_means.fit(x[:, own]).cluster_centers_
        words[:, own] = centres[np.minimum(np.arange(n_word), len(centres) - 1)]
    return codebooks


def encode(x, codebooks, gram, sweeps, generator):
    """Codes of x by iterated conditional modes (see model.wsdhq.coded), block by block; in every sweep the codebooks
    come in an order drawn by `generator`. The cost in a block is that of M K table look-ups a vector and sweep."""
    n_book, n_word, dimension = codebooks.shape
    words = codebooks.reshape(-1, dimension)
    weighted = words @ gram
    tables = (2 * weighted @ words.T).reshape(n_book, n_word, n_book, n_word).transpose(0, 2, 1, 3).copy()
    squares = np.einsum("wd,wd->w", weighted, words)
    blocks = [_encode_block(squares - 2 * x[first:first + BLOCK] @ weighted.T, tables, sweeps, generator)
              for first in range(0, len(x), BLOCK)]
    return np.concatenate(blocks)


def _encode_block(costs, tables, sweeps, generator):
    """Of costs float32 [b, M * K], each word's by itself, and tables float32 [M, M, K, K], what it adds to another's:
    int32 [b, M]."""
    n_book, _, n_word, _ = tables.shape
    costs, codes, chosen = costs.reshape(-1, n_book, n_word), np.full([len(costs), n_book], -1, np.int32), set()
    for _ in range(sweeps):
        for book in generator.permutation(n_book):
            cost = costs[:, book].copy()
            for other in chosen - {book}:
                cost += tables[other, book][codes[:, other]]
            codes[:, book] = cost.argmin(1)
            chosen.add(book)
    return codes


def update(x, codes, codebooks):
    """The codebooks that make up x by its codes best, with a ridge: (H^T H + 0.001 I)^-1 H^T x, for H the 0 or 1 of the
    words that each vector has. A word that comes out shorter than 0.0001, as one that none has, stays as it was."""
    n_book, n_word, dimension = codebooks.shape
    row, book = np.nonzero(codes >= 0)
    named = scipy.sparse.csr_matrix((np.ones(len(row)), (row, codes[row, book] + n_word * book)),
                                    (len(x), n_book * n_word))
    normal = (named.T @ named).toarray() + RIDGE * np.eye(n_book * n_word)
    found = cho_solve(cho_factor(normal), named.T @ x.astype(np.float64)).reshape(codebooks.shape).astype(np.float32)
    alive = (found ** 2).sum(2, keepdims=True) >= DEAD
    return np.where(alive, found, codebooks)


def shuffled(count, generator):
    """The order in which a round codes `count` vectors (release): shuffled, and where the last block is not full a full
    one drawn afresh in its place, so that some vectors keep the codes they had. int64 [n]."""
    order, left = generator.permutation(count), count % BLOCK
    if count <= BLOCK or not left:
        return order
    return np.concatenate([order[:-left], generator.permutation(count)[:BLOCK]])


def fit(given, config, step):
    """What WSDHQ fits after `step` steps: where a round is due, codes and then codebooks of the stored features, as old
    as they are (release). {variable of model.wsdhq: array}, which depend on nothing but its variables, `step` and the
    seed. given: a utils.training.fitting.Fitting. UserError where the training is too short for a round, and where the
    codebooks are more than the dimensions that they start in."""
    if config.n_book > config.dimension:
        raise UserError(f"dimension is {config.dimension}, too few for {config.n_book} codebooks; set n_book to "
                        f"{config.dimension} or less")
    count = given.counts[0]
    period = config.update_epochs * -(-count // config.batch_size)
    if given.n_steps <= period:
        raise UserError(f"iterations is {config.iterations}, but codebooks are first fitted after step {period + 1}; "
                        f"set iterations to {period + 1} or more")
    if not due(step, period):
        return {}
    x, gram, codes, flat, again = given.values(*(f"wsdhq/{name}" for name in ("store", "G", "codes", "C", "started")))
    generator = np.random.default_rng([config.seed, step])
    codebooks = (flat.reshape(config.n_book, config.intn_word, -1) if again
                 else start(x, config.n_book, config.intn_word, config.seed))
    rows = shuffled(count, generator)
    codes[rows] = encode(x[rows], codebooks, gram, config.sweeps, generator)
    codebooks = update(x, codes, codebooks)
    return {"wsdhq/codes": codes, "wsdhq/C": codebooks.reshape(flat.shape), "wsdhq/started": True}


def due(step, period):
    """Whether a round follows `step` steps: 1 + k * period of them, k = 1, 2, ... (release)."""
    return step > 1 and (step - 1) % period == 0
