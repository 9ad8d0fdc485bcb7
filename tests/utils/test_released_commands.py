"""Command lines of WSDHQ's release are refused with the line to type in their place."""
import shlex

import pytest
from made_up_pictures import lists

from config import WDHT, WSDHQ
from utils import released_commands
from utils.data import sets
from utils.errors import UserError
from utils.settings import from_command_line


def test_training():
    """The line that is written out is one that this project takes, and says the same."""
    with pytest.raises(UserError, match="release; write CUDA_VISIBLE_DEVICES=0 python train.py --method=wsdhq"):
        from_command_line(None, "flickr 0.0003 800 0.0001 1 WSDQH 0001 0".split())
    line = released_commands.rewritten("nuswide 0.001 1500 0.0002 3 WDHT 0007 1".split())
    _, _, script, *arguments = shlex.split(line)
    made = from_command_line(None, arguments)
    assert script == "train.py" and isinstance(made, WDHT) and (made.learning_rate, made.iterations) == (0.001, 1500)
    assert (made.lam, made.n_bits, made.backbone) == (0.0002, 24, "alexnet")


def test_validation():
    line = released_commands.rewritten(["flickr", "checkpoints/flickr_WSDQH_nbits=16_adaMargin.npy", "0"])
    _, _, script, *arguments = shlex.split(line)
    made = from_command_line(None, arguments)
    assert isinstance(made, WSDHQ) and not isinstance(made, WDHT)
    assert script == "Demo.py" and made.method == "wsdhq" and made.n_bits == 16
    assert made.model_load_path == "checkpoints/flickr_WSDQH_nbits=16_adaMargin.npy"


@pytest.mark.parametrize("arguments", ["flickr 0.0003 800 0.0001 1 WSDQH 0001 0", "flickr flickr_nbits=8_x.npy 0"])
def test_the_line_finds_the_data_where_the_release_has_them(tmp_path, monkeypatch, arguments):
    """Below the folder in which the command is typed."""
    monkeypatch.chdir(lists(tmp_path))
    _, _, _, *given = shlex.split(released_commands.rewritten(arguments.split()))
    data = sets.load(from_command_line(None, given), tags=True)
    assert len(data.images) == 6 and len(data.tagged) == 2


@pytest.mark.parametrize("arguments", [[], ["--method=wsdhq"], ["flickr"], ["flickr", "x", "0"], ["3"]])
def test_others_are_left_alone(arguments):
    assert released_commands.rewritten(arguments) is None
