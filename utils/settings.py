import difflib
import sys

from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

import config
from utils.errors import UserError


def from_command_line(kind=config.Config, arguments=None):
    """A `kind` (Config or a script's extension of it) from its defaults and `--name=value` arguments.

    Raises UserError with one sentence for an unknown name or a wrong value.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for argument in arguments:
        name = argument.partition("=")[0].removeprefix("--")
        if argument.startswith("--") and name != "help" and name not in kind.model_fields:
            raise UserError(_unknown(name, kind))
    try:
        return CliApp.run(kind, cli_args=arguments, cli_exit_on_error=False)
    except ValidationError as error:
        first = error.errors()[0]
        name = first["loc"][0]
        meaning = " ".join((kind.model_fields[name].description or "").split())
        if first["type"] == "missing":
            raise UserError(f"--{name} is missing. {meaning}") from error
        raise UserError(f"{name} is {first['input']!r}: {first['msg'].lower()}. {meaning}") from error
    except SettingsError as error:
        raise UserError(f"{str(error).removeprefix('error parsing CLI: ')}; write settings as --name=value, "
                        "and --help lists them") from error


def _unknown(name, kind):
    if name in kind.model_computed_fields:
        return (f"{name} follows from other settings and cannot be set: "
                "n_bits = n_book * bn_word and intn_word = 2 ** bn_word; set n_book or bn_word")
    near = difflib.get_close_matches(name, kind.model_fields, n=1)
    return f"there is no setting {name}" + (f"; did you mean {near[0]}?" if near else "; --help lists them all")
