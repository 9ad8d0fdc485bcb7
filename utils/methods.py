"""METHODS: one row a method, and the only list of them. What the scripts need to know of a method stands in its row."""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from model import classifier, gpq, training
from model.backbones import NETWORKS
from model.networks.embeddings import widths
from utils.data import batches
from utils.errors import UserError


class Method(NamedTuple):
    """A method's face. Where a field has a default, it is GPQ's way.

    draws: roles of Data, a batch of each a step.
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
    distance: "inner" or "squared", what a query and a code are compared by.
    added: whether the codewords that a code names are summed, and not joined, to its vector.
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
    distance: str = "inner"
    added: bool = False


def _intra_normalised(features, config):
    """float32 [N, M * d] with each sub-vector at one length, and the whole at length 1."""
    sub_vectors = features.reshape(len(features), config.n_book, -1)
    lengths = np.linalg.norm(sub_vectors, axis=2, keepdims=True)
    whole = (sub_vectors / np.maximum(lengths, 1e-12)).reshape(features.shape)
    return whole / np.maximum(np.linalg.norm(whole, axis=1, keepdims=True), 1e-12)


def _gpq_log(losses, config):
    """As the release prints it, with the loss on pseudo-labels where there is one; `ent` is the negative entropy."""
    pseudo = f", pseudo: {losses.pseudo_labels:.4f}" if config.lam_u else ""
    return (f"loss: {losses.total:.4f}, hash: {losses.n_pair:.4f}, cls: {losses.classification:.4f}, "
            f"ent: {-losses.entropy:.4f}{pseudo}")


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
    if "Z" in shapes:
        raise UserError(f"{path} is a checkpoint of GPQ and no classifier; set --method=gpq, or model_load_path to "
                        "another")
    _check_backbone(path, shapes, config)


METHODS = {
    "gpq": Method(
        draws=("labelled", "unlabelled"), sample=batches.afresh, losses=gpq.training_losses,
        retrieval=gpq.retrieval_graph, vectors=_intra_normalised, check=_check_gpq, log=_gpq_log,
        measure="held_back_mAP", coded_by=("follow", "n_book", "len_code", "alpha")),
    "classifier": Method(
        draws=("labelled",), sample=batches.by_epoch, losses=classifier.training_losses,
        retrieval=classifier.retrieval_graph, vectors=lambda features, config: features, check=_check_classifier,
        log=_classifier_log, measure="test_accuracy", coded_by=("n_CLASSES",)),
}
