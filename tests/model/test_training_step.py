"""One step of training, whatever is trained."""
from types import SimpleNamespace

from gpq.model import training
from gpq.model.tf1 import tf


def before(operation):
    """All operations that have ended when `operation` begins."""
    found, waiting = set(), [operation]
    while waiting:
        one = waiting.pop()
        more = {tensor.op for tensor in one.inputs} | set(one.control_inputs)
        waiting += more - found
        found |= more
    return found


def test_no_variable_moves_before_all_gradients_are_known():
    config = SimpleNamespace(decay="cosine", learning_rate=1e-3)
    with tf.Graph().as_default() as graph:
        x = tf.ones([2, 8, 8, 3])
        for layer in "abc":
            x = tf.nn.conv2d(x, tf.get_variable(layer, [3, 3, 3, 3]), 1, "SAME")
        training.training_graph({"total": tf.reduce_sum(x ** 2)}, tf.no_op(), config, 10)
        gradients = {operation for operation in graph.get_operations() if operation.type == "Conv2DBackpropFilter"}
        moves = [operation for operation in graph.get_operations() if operation.type == "ResourceApplyAdam"]
    assert len(gradients) == len(moves) == 3
    assert all(gradients <= before(move) for move in moves)
