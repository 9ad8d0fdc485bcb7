"""A folder is held for one training, and must hold its checkpoints."""
import os
import shutil
from types import SimpleNamespace

import pytest

from gpq.model.tf1 import tf
from gpq.utils.errors import UserError
from gpq.utils.training.folder import check_disk, only_training_in


def test_one_training_in_a_folder(tmp_path):
    folder = tmp_path / "new" / "models"
    with only_training_in(folder):
        with pytest.raises(UserError, match="another training is writing to .*set another model_save_path"):
            with only_training_in(folder):
                pass
        with only_training_in(tmp_path / "other"):
            pass
    with only_training_in(folder):
        pass


def test_a_failed_training_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), only_training_in(tmp_path):
        1 / 0  # noqa: B018
    with only_training_in(tmp_path):
        pass


@pytest.mark.parametrize("inside", ["", "models"])
def test_a_file_in_place_of_the_folder(tmp_path, inside):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="cannot be written .*set another model_save_path"):
        with only_training_in(tmp_path / "file" / inside):
            pass
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written .*set another model_save_path"):
        with only_training_in(tmp_path):
            pass


@pytest.mark.parametrize("free, enough", [(6 * 4 * 3000, True), (6 * 4 * 3000 - 1, False)])
def test_the_disk_must_hold_the_checkpoints(tmp_path, monkeypatch, free, enough):
    """Five kept ones and the one being written, of 3,000 float32."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    variables = [SimpleNamespace(shape=tf.TensorShape(shape)) for shape in ([10, 100], [2000])]
    if enough:
        check_disk(tmp_path, variables, 5)
    else:
        with pytest.raises(UserError, match="make room or set another model_save_path"):
            check_disk(tmp_path, variables, 5)
