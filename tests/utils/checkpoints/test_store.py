"""Checkpoints: whole or not at all, refused with the setting to change, pretrained weights by name."""
import errno
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gpq.config import GPQ
from gpq.model.tf1 import tf
from gpq.utils.checkpoints import store
from gpq.utils.errors import UserError

CONFIG = GPQ(n_book=3, len_code=4, bn_word=2, n_CLASSES=5)
DATA, INDEX = store.PARTS


def variables_for(config, more=("Fixed_VGG/dense/bias",)):
    """Random float32 variables Z, C and [4]-shaped `more`, as a checkpoint of `config` holds them."""
    dimension = config.n_book * config.len_code
    shapes = {"Z": [config.intn_word, dimension], "C": [config.n_CLASSES, dimension]}
    shapes |= dict.fromkeys(more, [4])
    return [tf.get_variable(name, shape) for name, shape in shapes.items()]


def write(path, config=CONFIG, **more):
    """A checkpoint of random numbers at `path`, made in a graph of its own. Returns {name: array}."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = variables_for(config, **more)
        session.run(tf.global_variables_initializer())
        store.save(session, path, store.saver(variables), {"step": 7})
        return session.run({v.op.name: v for v in variables})


def read(path):
    reader = store.reader(path)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def names_in(folder):
    return sorted(file.name for file in folder.iterdir())


def refusal(session, path, config=CONFIG, needed=CONFIG):
    """What `restore` says, on one line, when a network of `needed` asks for the checkpoint."""
    variables = variables_for(needed)
    session.run(tf.global_variables_initializer())
    before = session.run(variables)
    with pytest.raises(UserError) as error:
        store.restore(session, path, variables, config)
    for one, other in zip(before, session.run(variables), strict=True):
        np.testing.assert_array_equal(one, other)
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    return message


def test_round_trip(session, tmp_path):
    path = tmp_path / "20.ckpt"
    written = write(path)
    assert names_in(tmp_path) == [f"20.ckpt{suffix}" for suffix in (DATA, INDEX, ".json")]
    assert json.loads((tmp_path / "20.ckpt.json").read_text()) == {"step": 7}
    variables = variables_for(CONFIG)
    store.restore(session, path, variables, CONFIG)
    assert equal(session.run({v.op.name: v for v in variables}), written)


def test_saving_again_replaces(tmp_path):
    path = tmp_path / "20.ckpt"
    first, second = write(path), write(path)
    assert not equal(first, second) and equal(read(path), second)


def test_a_reader_beside_a_training_that_saves_sees_one_save(tmp_path):
    path, begun = tmp_path / "20.ckpt", threading.Event()

    def filled(session, value):
        store.assign(session, {v: np.full(v.shape, value, np.float32) for v in tf.global_variables()})

    def training():
        with tf.Graph().as_default(), tf.Session() as session:
            saver = store.saver(variables_for(CONFIG))
            for number in range(40):
                filled(session, number)
                store.save(session, path, saver, {"step": number})
                begun.set()

    seen = set()
    with tf.Graph().as_default(), tf.Session() as session, ThreadPoolExecutor(1) as other:
        variables, done = variables_for(CONFIG), other.submit(training)
        begun.wait(30)
        while not done.done():
            store.restore(session, path, variables, CONFIG)
            value, = {value.flat[0] for value in session.run(variables)}
            seen.add(value)
        done.result()
    assert len(seen) > 2 and names_in(tmp_path) == [f"20.ckpt{suffix}" for suffix in (DATA, INDEX, ".json")]


def test_a_save_that_was_killed_when_all_was_written_is_gone_on_with(tmp_path):
    path = tmp_path / "20.ckpt"
    write(path)
    saved = tmp_path / ".saved-x~elsewhere~1~0"
    written = write(saved / "20.ckpt")
    Path(f"{saved}/20.ckpt{DATA}").replace(f"{path}{DATA}")
    assert equal(read(path), written) and not saved.exists()


@pytest.mark.parametrize("error", [
    OSError(errno.ENOSPC, "No space left on device"),
    tf.errors.ResourceExhaustedError(None, None, "write failed; No space left on device\nmore lines")])
def test_a_full_disk_leaves_the_earlier_checkpoint(session, tmp_path, monkeypatch, error):
    path = tmp_path / "20.ckpt"
    written, fingerprint = write(path), store.fingerprint(path)
    saver = store.saver(variables_for(CONFIG))

    def half(session, prefix, **_):
        Path(f"{prefix}{DATA}").write_bytes(b"half of it")
        raise error

    monkeypatch.setattr(saver, "save", half)
    with pytest.raises(UserError, match="20.ckpt could not be written .*No space left on device") as said:
        store.save(session, path, saver, {"step": 8})
    assert "\n" not in str(said.value)
    assert names_in(tmp_path) == [f"20.ckpt{suffix}" for suffix in (DATA, INDEX, ".json")]
    assert equal(read(path), written) and store.fingerprint(path) == fingerprint
    assert json.loads((tmp_path / "20.ckpt.json").read_text()) == {"step": 7}


def test_saving_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="could not be written"):
        write(tmp_path / "file" / "20.ckpt")


def test_a_folder_that_was_taken_away_is_made_again(tmp_path):
    written = write(tmp_path / "absent" / "20.ckpt")
    assert equal(read(tmp_path / "absent" / "20.ckpt"), written) and names_in(tmp_path) == ["absent"]


def test_delete_takes_one_checkpoint_alone(tmp_path):
    for name in ("20.ckpt", "200.ckpt"):
        write(tmp_path / name)
    store.delete(tmp_path / "20.ckpt")
    store.delete(tmp_path / "20.ckpt")
    assert names_in(tmp_path) == [f"200.ckpt{suffix}" for suffix in (DATA, INDEX, ".json")]


def test_fingerprint_knows_the_weights(tmp_path):
    one, other = tmp_path / "1.ckpt", tmp_path / "2.ckpt"
    write(one)
    write(other)
    assert store.fingerprint(one) != store.fingerprint(other)
    for part in store.PARTS:
        Path(f"{other}{part}").write_bytes(Path(f"{one}{part}").read_bytes())
    assert store.fingerprint(one) == store.fingerprint(other)


def test_absent(session, tmp_path):
    assert "there is no checkpoint at" in refusal(session, tmp_path / "20.ckpt")
    with pytest.raises(UserError, match="there is no checkpoint"):
        store.fingerprint(tmp_path / "20.ckpt")


@pytest.mark.parametrize("lost", store.PARTS)
def test_half_deleted(session, tmp_path, lost):
    path = tmp_path / "20.ckpt"
    write(path)
    Path(f"{path}{lost}").unlink()
    assert f"{path}{lost} is missing" in refusal(session, path)


@pytest.mark.parametrize("part", store.PARTS)
@pytest.mark.parametrize("keep", [0, 0.5])
def test_truncated(session, tmp_path, part, keep):
    path = tmp_path / "20.ckpt"
    write(path)
    file = Path(f"{path}{part}")
    whole = file.read_bytes()
    file.write_bytes(whole[:int(keep * len(whole))])
    assert "copy it there again" in refusal(session, path)


def test_one_wrong_byte(session, tmp_path):
    path = tmp_path / "20.ckpt"
    write(path)
    file = Path(f"{path}{DATA}")
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)
    assert "is damaged" in refusal(session, path)


def test_no_checkpoint_at_all(session, tmp_path):
    path = tmp_path / "20.ckpt"
    for part in store.PARTS:
        Path(f"{path}{part}").write_text("<html>404</html>" * 50)
    assert "is damaged or no checkpoint" in refusal(session, path)


@pytest.mark.parametrize("dtype", [tf.float64, tf.int32, tf.string])
def test_of_other_numbers(session, tmp_path, dtype):
    path = tmp_path / "20.ckpt"
    shapes = {name: array.shape for name, array in write(path).items()}
    with tf.Graph().as_default(), tf.Session() as another:
        variables = [tf.get_variable(name, shape, dtype, tf.zeros_initializer()) for name, shape in shapes.items()]
        another.run(tf.global_variables_initializer())
        store.save(another, path, store.saver(variables), {})
    assert "the network needs float32" in refusal(session, path)


@pytest.mark.parametrize("part", store.PARTS)
def test_damage_is_a_sentence_for_all_who_read(tmp_path, part):
    """60 seeded damages of each file, by the reader alone, which is what the other commands use."""
    path, generator = tmp_path / "20.ckpt", np.random.default_rng(0)
    written = write(path)
    file = Path(f"{path}{part}")
    whole = file.read_bytes()
    for _ in range(60):
        spoilt = bytearray(whole)
        for place in generator.integers(len(whole), size=2):
            spoilt[place] = generator.choice([spoilt[place] ^ 1 << generator.integers(8), 0, 255])
        file.write_bytes(spoilt)
        try:
            assert equal(read(path), written)
        except UserError as error:
            assert "\n" not in str(error) and "is damaged or no checkpoint" in str(error)


def test_a_pipe_is_no_part_of_a_checkpoint(session, tmp_path):
    path = tmp_path / "20.ckpt"
    write(path)
    Path(f"{path}{INDEX}").unlink()
    os.mkfifo(f"{path}{INDEX}")
    assert f"{path}{INDEX} is missing" in refusal(session, path)


@pytest.mark.parametrize("names", [["weights"], ["Z"], ["Z", "C"]])
def test_of_another_program(session, tmp_path, names):
    path = tmp_path / "20.ckpt"
    with tf.Graph().as_default(), tf.Session() as another:
        variables = [tf.get_variable(name, [4]) for name in names]
        another.run(tf.global_variables_initializer())
        store.save(another, path, store.saver(variables), {})
    assert "is not a checkpoint of GPQ" in refusal(session, path)


def test_of_another_network(session, tmp_path):
    path = tmp_path / "20.ckpt"
    write(path, more=["F/dense/bias"])
    assert "Fixed_VGG/dense/bias as nothing" in refusal(session, path)


@pytest.mark.parametrize("made_with", [
    {"n_book": 6}, {"bn_word": 4}, {"n_CLASSES": 21}, {"len_code": 5}, {"n_book": 7, "len_code": 1}])
def test_of_other_settings(session, tmp_path, made_with):
    """It names the setting to change and, when that is followed, accepts the checkpoint."""
    path = tmp_path / "20.ckpt"
    theirs = CONFIG.model_copy(update=made_with)
    write(path, theirs)
    message = refusal(session, path)
    if len(made_with) > 1:  # then no one setting mends it
        assert "n_book" in message and "len_code" in message and "." not in message.partition("; set ")[2]
        return
    (name, value), = made_with.items()
    assert message.endswith(f"; set {name}={value}")
    with tf.Graph().as_default(), tf.Session() as another:
        store.restore(another, path, variables_for(theirs), theirs)


def test_of_another_backbone(session, tmp_path):
    path, bias = tmp_path / "20.ckpt", ["CNN_F/dense/bias"]
    write(path, more=bias)
    assert refusal(session, path).endswith("; set backbone=cnn_f")
    with tf.Graph().as_default(), tf.Session() as another:
        theirs = CONFIG.model_copy(update={"backbone": "cnn_f"})
        store.restore(another, path, variables_for(theirs, bias), theirs)
