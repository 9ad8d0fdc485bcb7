"""METHODS: one row a method, and the only list of them. What the scripts need to know of a method stands in its row."""
import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from model import classifier, gpq, spq, training, wsdhq
from model.backbones import NETWORKS
from model.baselines import bgdh, cnnh, dqn, dtq, ninh, pqn, shallow, ssdh, subic, tanh_codes
from model.networks.embeddings import widths
from utils.data import batches
from utils.errors import UserError
from utils.fitting import additive, hashing, product, similarity


class Method(NamedTuple):
    """A method's face. Where a field has a default, it is GPQ's way.

    draws: roles of Data that training sees, a batch of each a step; of the first one held-back images are taken.
    sample(indices of each role, batch_size, seed, step) -> int64 [roles, batch_size], the images of a step.
    losses({role: training.Batch}, config, step, spatial) -> (a NamedTuple of scalars, one of them `total`, and the
        operation that updates the moving averages).
    retrieval(images uint8 [B, H, W, 3], config, spatial) -> model.retrieval.Retrieval.
    vectors(features float32 [N, D], config) -> float32 [N, D], whose inner product ranks where nothing is quantised.
    check(path, {variable: shape}, config) raises UserError where a checkpoint does not fit the settings.
    log(losses, config) -> the text of a line of the log.
    measure: what is measured on held-back images, a name in utils.retrieval.evaluation.MEASURES.
    coded_by: the settings that, beside a checkpoint, decide an image's code.
    optimise(losses, averages, config, n_steps) -> model.training.TrainingGraph.
    views: how often F sees an image of a step, for what training costs.
    distance: what a query and a code are compared by, one of utils.retrieval.search.DISTANCES.
    added: whether the codewords that a code names are summed, and not joined, to its vector.
    targets: what a batch has as its labels: "labels", or "tags".
    fit(given, config, step) -> {variable: array}, what it finds otherwise than by gradient after `step` steps, 0 before
        the first, empty where nothing is due; given: a utils.training.fitting.Fitting. None where it finds nothing so.
        Of a method that is fitted alone, without steps, `sample`, `losses` and `log` are None.
    sees(images as for `retrieval`, config, spatial) -> float32 [B, D], the features that `fit` may ask for, or None.
    """

    draws: tuple[str, ...]
    sample: Callable
    losses: Callable
    retrieval: Callable
    vectors: Callable
    check: Callable
    log: Callable
    measure: str
    coded_by: tuple[str, ...]
    optimise: Callable = training.training_graph
    views: int = 1
    distance: str = "inner"
    added: bool = False
    targets: str = "labels"
    fit: Callable | None = None
    sees: Callable | None = None


def _unit(vectors):
    """float32 [..., D], each vector at length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _intra_normalised(features, config):
    """float32 [N, M * d] with each sub-vector at one length, and the whole at length 1."""
    sub_vectors = features.reshape(len(features), config.n_book, -1)
    return _unit(_unit(sub_vectors).reshape(features.shape))


def _gpq_log(losses, config):
    """As the release prints it; `ent` is the negative entropy."""
    return (f"loss: {losses.total:.4f}, hash: {losses.n_pair:.4f}, cls: {losses.classification:.4f}, "
            f"ent: {-losses.entropy:.4f}")


def _classifier_log(losses, config):
    return f"loss: {losses.total:.4f}, accuracy: {losses.accuracy:.4f}"


def _check_backbone(path, shapes, config):
    made_with = [name for name, network in NETWORKS.items()
                 if any(part.startswith(f"{network.scope}/") for part in shapes)]
    if made_with and config.backbone not in made_with:
        raise UserError(f"{path} holds another F than {config.backbone}, which the settings ask for; "
                        f"set backbone={made_with[0]}")
    _, *hidden = widths(shapes) or [None]
    if config.backbone == "embeddings" and hidden != list(config.hidden):
        raise UserError(f"{path} has hidden layers of {hidden} units, the settings ask for {list(config.hidden)}; "
                        f"set hidden={hidden}")


def _check_gpq(path, shapes, config):
    if any(len(shapes.get(name, [])) != 2 for name in "ZC"):
        raise UserError(f"{path} is not a checkpoint of GPQ: it has no tables Z and C; set model_load_path to another")
    _check_backbone(path, shapes, config)
    (codewords, dimension), classes = shapes["Z"], shapes["C"][0]
    if codewords != config.intn_word:
        raise UserError(f"{path} has {codewords} codewords a codebook, the settings ask for {config.intn_word}; "
                        f"set bn_word={codewords.bit_length() - 1}")
    if dimension != config.n_book * config.len_code:
        mend = (f"n_book={dimension // config.len_code}" if dimension % config.len_code == 0
                else f"len_code={dimension // config.n_book}" if dimension % config.n_book == 0
                else f"n_book and len_code, whose product is {dimension}")
        raise UserError(f"{path} has features of {dimension} numbers, the settings ask for {config.n_book} x "
                        f"{config.len_code}; set {mend}")
    if classes != config.n_CLASSES:
        raise UserError(f"{path} knows {classes} classes, the settings ask for {config.n_CLASSES}; "
                        f"set n_CLASSES={classes}")


def _check_classifier(path, shapes, config):
    for table, other in (("Z", "gpq"), ("spq/C", "spq")):
        if table in shapes:
            raise UserError(f"{path} is a checkpoint of {other.upper()} and no classifier; set --method={other}, or "
                            "model_load_path to another")
    _check_backbone(path, shapes, config)


def _table(path, shapes, name, owner):
    """The two sides of the table `name`, without which it is no checkpoint of the method `owner`."""
    if len(shapes.get(name, [])) != 2:
        raise UserError(f"{path} is not a checkpoint of {owner}: it has no table {name}; set model_load_path to "
                        "another")
    return shapes[name]


def _check_spq(path, shapes, config):
    words, dimension = _table(path, shapes, "spq/C", "SPQ")
    _check_backbone(path, shapes, config)
    if words != config.N_words:
        raise UserError(f"{path} has {words} codewords a codebook, the settings ask for {config.N_words}; "
                        f"set N_words={words}")
    if dimension != config.N_books * config.L_word:
        mend = (f"N_books={dimension // config.L_word}" if dimension % config.L_word == 0
                else f"N_books and L_word, whose product is {dimension}")
        raise UserError(f"{path} has features of {dimension} numbers, the settings ask for {config.N_books} x "
                        f"{config.L_word}; set {mend}")
    if ("spq/fc/bias" in shapes) != (config.init == "dec2021"):
        made = "dec2021" if "spq/fc/bias" in shapes else "sep2021"
        raise UserError(f"{path} was made with init={made} and the settings say {config.init}; set init={made}")


def _check_wsdhq(path, shapes, config):
    words, dimension = _table(path, shapes, "wsdhq/C", config.method)
    _check_backbone(path, shapes, config)
    if dimension != config.dimension:
        raise UserError(f"{path} has features of {dimension} numbers, the settings ask for {config.dimension}; "
                        f"set dimension={dimension}")
    if words != config.n_book * config.intn_word:
        mend = (f"n_book={words // config.intn_word}" if words % config.intn_word == 0
                else f"n_book and bn_word, of which n_book * 2 ** bn_word is {words}")
        raise UserError(f"{path} has {words} codewords, the settings ask for {config.n_book} x {config.intn_word}; "
                        f"set {mend}")


def _wsdhq_log(losses, config):
    return (f"loss: {losses.total:.4f}, embedding: {losses.embedding:.4f}, "
            f"quantization: {losses.quantization:.4f}")


def _check_fitted(path, shapes, config):
    if not any(name.startswith(f"{config.method}/") for name in shapes):
        raise UserError(f"{path} is not a checkpoint of {config.method}; set model_load_path to another")
    _check_backbone(path, shapes, config)


def _fitted(retrieval, fit, role="examples", coded_by=("n_bits",), added=False):
    """The row of a method without steps. fit(features float32 [n, D] of the images of the role, each of length 1,
    labels bool [n, L], config) -> {name: array}, the variables that its graph has under the method's name."""
    def once(given, config, step):
        return {f"{config.method}/{name}": array for name, array in fit(given.features(), given.labels, config).items()}

    return Method(draws=(role,), sample=None, losses=None, retrieval=retrieval,
                  vectors=lambda features, config: features, check=_check_fitted, log=None, measure="mAP",
                  coded_by=coded_by, distance="squared", added=added, fit=once, sees=shallow.unit_features)


def _parts_log(losses, config):
    """Every loss by its name."""
    return ", ".join(f"{'loss' if name == 'total' else name}: {value:.4f}" for name, value in losses._asdict().items())


def _deep(method, draws=("labelled",), **others):
    """The row of a deep baseline, a module of model.baselines whose variables, F's aside, are under the method's name.
    others: fields of Method."""
    return Method(draws=draws, sample=batches.by_epoch, losses=method.training_losses, retrieval=method.retrieval_graph,
                  vectors=lambda features, config: features, check=_check_fitted, log=_parts_log,
                  measure="mAP", coded_by=("n_bits",), **others)


_WSDHQ = Method(
    draws=("tagged",), sample=batches.by_epoch, losses=wsdhq.training_losses, retrieval=wsdhq.retrieval_graph,
    vectors=lambda features, config: features, check=_check_wsdhq, log=_wsdhq_log, measure="mAP",
    coded_by=("n_book", "bn_word", "dimension", "sweeps", "normalize"),
    optimise=functools.partial(training.training_graph, adam=functools.partial(training.tensorflows_adam, beta1=0.9)),
    added=True, targets="tags", fit=additive.fit)

METHODS = {
    "gpq": Method(
        draws=("labelled", "unlabelled"), sample=batches.afresh, losses=gpq.training_losses,
        retrieval=gpq.retrieval_graph, vectors=_intra_normalised, check=_check_gpq, log=_gpq_log,
        measure="mAP", coded_by=("follow", "n_book", "len_code", "alpha")),
    "classifier": Method(
        draws=("labelled",), sample=batches.by_epoch, losses=classifier.training_losses,
        retrieval=classifier.retrieval_graph, vectors=lambda features, config: features, check=_check_classifier,
        log=_classifier_log, measure="accuracy", coded_by=("n_CLASSES",)),
    "spq": Method(
        draws=("training",), sample=batches.by_epoch, losses=spq.training_losses, retrieval=spq.retrieval_graph,
        vectors=lambda features, config: _unit(features), check=_check_spq,
        log=lambda losses, config: f"loss: {losses.total:.4f}", measure="mAP",
        coded_by=("N_books", "N_words", "L_word", "variant", "init"), optimise=spq.optimise, views=2,
        distance="norms"),
    "wsdhq": _WSDHQ,
    "wdht": _WSDHQ._replace(losses=functools.partial(wsdhq.training_losses, embedding=wsdhq.hinge)),
    "pq": _fitted(shallow.pq, lambda x, labels, config: product.pq(x, config.n_bits, config.seed)),
    "opq": _fitted(shallow.opq, lambda x, labels, config: product.opq(x, config.n_bits, config.seed)),
    "lopq": _fitted(shallow.lopq, lambda x, labels, config: product.lopq(x, config.n_bits, config.seed), added=True),
    "itq": _fitted(shallow.itq, lambda x, labels, config: hashing.itq(x, config.n_bits, config.seed)),
    "sh": _fitted(shallow.sh, lambda x, labels, config: hashing.sh(x, config.n_bits)),
    "sdh": _fitted(
        shallow.sdh, lambda x, labels, config: hashing.sdh(x, labels, config.n_bits, config.seed, config.n_anchors,
                                                           config.sigma), "labelled", coded_by=("n_bits", "sigma")),
    "pqn": _deep(pqn),
    "subic": _deep(subic),
    "dqn": _deep(dqn, fit=product.between_epochs, sees=tanh_codes.features),
    "dtq": _deep(dtq, fit=product.between_epochs, sees=tanh_codes.features),
    "ssdh": _deep(ssdh, ("labelled", "unlabelled"), distance="squared"),
    "bgdh": _deep(bgdh, ("labelled", "unlabelled"), distance="squared"),
    "cnnh": _deep(cnnh, distance="squared", fit=similarity.fit),
    "ninh": _deep(ninh, distance="squared"),
}
