"""The one reader of JSON and of text: UTF-8, of bounded length, and of JSON what a model says."""
import functools
import json
import warnings

import numpy as np
import pydantic

from gpq.utils import files

_adapter = functools.cache(pydantic.TypeAdapter)
LARGEST = 2 ** 24  # bytes of JSON
LONGEST = 2 ** 30  # bytes of text


def read_json(path, model, what, mend=None):
    """What the JSON file `path` says.

    Args:
        path: str or Path.
        model: a pydantic model or another type, such as dict[str, int], that it must be.
        what: what the file is, in a few words that follow "no", such as "result".
        mend: as of `files.opened`.
    Returns: dicts, lists, str, int, float, bool and None.
    Raises: UserError where there is no such file, it is damaged, or no such model.
    """
    with files.opened(path, what, mend) as file:
        return parse(_text(file, LARGEST), model)


def parse(text, model):
    """What JSON, str, says, as of `read_json`. Raises ValueError, RecursionError and the like."""
    found = json.loads(text)
    try:
        _adapter(model).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise ValueError(fault(error)) from error
    return found


def fault(error):
    """What a pydantic.ValidationError says first, such as "step is -5: input should be greater than 0"."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'it'} is {first['input']!r:.40}: {first['msg'].lower()}"


def lines(path, what, mend=None):
    """The lines of the text file `path`, list of str, without white space around each. Raises UserError."""
    with files.opened(path, what, mend) as file:
        return [line.strip() for line in _text(file, LONGEST).splitlines()]


def numbers(path, what, mend=None):
    """The table of numbers in the text file `path`, a row a line: float32 [N, D], N and D at least 1. Raises UserError,
    also where one is not finite."""
    with files.opened(path, what, mend) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an empty file
        table = np.loadtxt(file, np.float32, ndmin=2)
        if not table.size:
            raise ValueError("it holds no numbers")
        if not np.isfinite(table).all():
            raise ValueError("it holds a number that is not finite")
        return table


def _text(file, most):
    content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is longer than {most} bytes")
    return content.decode("utf-8-sig")
