"""What every method returns for retrieval."""
from typing import NamedTuple

from model.tf1 import tf


class Retrieval(NamedTuple):
    """features: float32 [B, D], of queries; codes: uint8 [B, M]; codebooks: float32 [M, K, d], to whose codewords
    distances are taken."""

    features: tf.Tensor
    codes: tf.Tensor
    codebooks: tf.Tensor
