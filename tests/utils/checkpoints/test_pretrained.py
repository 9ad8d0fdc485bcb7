"""Pretrained weights of F, taken by name from the release's .mat file."""
import numpy as np
import pytest
import scipy.io

from gpq.config import GPQ
from gpq.model import gpq
from gpq.model.networks import layers
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import pretrained
from gpq.utils.errors import UserError

CONFIG = GPQ(n_book=3, len_code=4, bn_word=2, n_CLASSES=5)


@pytest.fixture(scope="module")
def network():
    """A Session with the retrieval graph's variables, uninitialised."""
    with tf.Graph().as_default():
        gpq.GPQ(CONFIG).retrieval(tf.placeholder(tf.uint8, [1, 32, 32, 3]))
        with tf.Session() as session:
            yield session


def pretrained_f(variables):
    """{name: random float32 array} of `variables`."""
    generator = np.random.default_rng(0)
    return {v.name: generator.standard_normal(v.shape.as_list(), np.float32) for v in variables}


def test_pretrained_f(network, tmp_path):
    """The release's file holds these 40, by name; what it has of the dense layer is left alone."""
    network.run(tf.global_variables_initializer())
    variables = tf.trainable_variables("Fixed_VGG/")
    dense = [v for v in variables if "/dense/" in v.name]
    before, arrays = network.run(dense), pretrained_f(variables)
    scipy.io.savemat(tmp_path / "F.mat", arrays)  # which makes each vector [1, n]
    assert pretrained.load_pretrained(network, tmp_path / "F.mat") == 40
    for one, other in zip(before, network.run(dense), strict=True):
        np.testing.assert_array_equal(one, other)
    for variable, value in zip(variables, network.run(variables), strict=True):
        if variable not in dense:
            np.testing.assert_array_equal(value, arrays[variable.name], err_msg=variable.name)


def test_a_path_without_its_ending_as_in_the_release(session, small_f, tmp_path):
    scipy.io.savemat(tmp_path / "ImageNet_pretrained.mat", pretrained_f(small_f))
    assert pretrained.load_pretrained(session, str(tmp_path / "ImageNet_pretrained")) == 4


def test_a_file_that_is_not_there_is_no_start_from_random_weights(session, small_f, tmp_path):
    with pytest.raises(UserError, match="there is no pretrained F at .*none.mat; .* to nothing, --ImagNet_pre"):
        pretrained.load_pretrained(session, tmp_path / "none.mat")


@pytest.fixture
def small_f(session):
    """The variables of a one-layer F, and a Session."""
    with tf.variable_scope("Fixed_VGG"):
        x = layers.conv_bn_relu(tf.zeros([1, 4, 4, 3]), 6, "conv2d", "batch0", layers.Forward())
        layers.dense(tf.reshape(x, [16, 6]), 4)
    return [v for v in tf.trainable_variables() if "/dense/" not in v.name]


def test_pretrained_singletons_and_doubles(session, small_f, tmp_path):
    arrays = pretrained_f(small_f)
    scipy.io.savemat(tmp_path / "F.mat", {name: array[None, ..., None].astype(float)
                                          for name, array in arrays.items()})
    assert pretrained.load_pretrained(session, tmp_path / "F.mat") == 4
    for variable in small_f:
        np.testing.assert_array_equal(session.run(variable), arrays[variable.name])


@pytest.mark.parametrize("other", [None, np.zeros([6, 3, 3, 3], np.float32), "text", np.zeros(0, np.float32),
                                   {"a": 1.0}])
def test_pretrained_of_another_network(session, small_f, tmp_path, other):
    arrays = pretrained_f(small_f)
    name = "Fixed_VGG/conv2d/kernel:0"
    arrays[name] = other
    scipy.io.savemat(tmp_path / "F.mat", {key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(UserError, match=rf"F.mat .*it does not hold {name} as .3, 3, 3, 6" if other is not None else
                       r"F.mat does not hold Fixed_VGG/conv2d/kernel as \[3, 3, 3, 6\]"):
        pretrained.load_pretrained(session, tmp_path / "F.mat")


@pytest.mark.parametrize("damage", [
    lambda whole: b"", lambda whole: b"no .mat file", lambda whole: whole[:200],
    lambda whole: whole[:len(whole) // 2], lambda whole: whole[:160] + bytes(40) + whole[200:],
    lambda whole: b"\x89HDF\r\n\x1a\n" + bytes(1000)],
    ids=["empty", "text", "header", "half", "hole", "HDF5"])
def test_pretrained_that_is_damaged(session, small_f, tmp_path, damage):
    path = tmp_path / "F.mat"
    scipy.io.savemat(path, pretrained_f(small_f), do_compression=True)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="F.mat is damaged or no .mat of a pretrained F") as error:
        pretrained.load_pretrained(session, path)
    assert "\n" not in str(error.value)
