"""The command line over config.py, and what settings were before there were such."""
import difflib
import functools
import sys
from pathlib import Path

from pydantic import ValidationError, create_model
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict, SettingsError

from gpq import config
from gpq.utils import files
from gpq.utils.base_settings import Before, PathText
from gpq.utils.errors import UserError


class CommandLine(BaseSettings):
    """The base that a class of settings takes on to be read from the command line."""

    model_config = SettingsConfigDict(cli_prog_name=Path(sys.argv[0]).name, case_sensitive=True,
                                      cli_hide_none_type=True)

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, **_):
        """Only the file and the command line count; environment variables do not."""
        return (init_settings,)


def from_command_line(own=None, arguments=None, settings=None):
    """Settings from config.py's defaults and `--name=value` arguments.

    own: the script's own settings, a pydantic model, or None. settings: a class of config.py, or None for the class of
    the method that --method names, config.py's `method` where it is left out. arguments: those of the script, or else
    sys.argv's. Returns an object of a class that has both.
    No data are read. Raises UserError with one sentence for an unknown name, a wrong value, and a setting of another
    method.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    kind = combined(settings or config.METHODS[_method(arguments)], own)
    for argument in arguments:
        name = argument.partition("=")[0].removeprefix("--")
        if argument.startswith("--") and name != "help" and name not in kind.model_fields:
            raise UserError(_unknown(name, kind))
    try:
        made = CliApp.run(kind, cli_args=arguments, cli_exit_on_error=False)
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
    for name in made.model_fields_set:  # an input, whether or not this command reads it, is not written over
        path = getattr(made, name)
        if path and PathText.__metadata__[0] in kind.model_fields[name].metadata and made.affects(name):
            for file in (Path(path), *Path(path).glob("*.npy")):
                files.was_read(file)
    return made


@functools.cache
def combined(settings, own=None):
    """A `CommandLine` with the fields of `settings`, a class of config.py, and of `own`, a script's, which share none.
    """
    parts = (settings, own) if own else (settings,)
    if own and (both := settings.model_fields.keys() & own.model_fields.keys()):
        raise TypeError(f"{own.__name__} sets {sorted(both)} of {settings.__name__} anew")
    made = create_model(parts[-1].__name__, __base__=(CommandLine, *parts), __doc__=parts[-1].__doc__)
    made.needs = {**settings.needs, **getattr(own, "needs", {})}
    return made


def of_method(kind, method):
    """The class that reads the same command line as `kind`, of `combined`, for another method."""
    _, settings, *own = kind.__bases__
    return kind if settings is config.METHODS[method] else combined(config.METHODS[method], *own)


def idle(made, name):
    """Whether the setting `name` has no effect beside the other settings of `made`."""
    return all(_unmet(made, name))


def _unmet(made, name):
    """What keeps the setting `name` of `made` from having an effect: [[(setting, value that it needs)]], for each way
    in which it could have one what is not so; [[]] where it has one."""
    needs = made.needs.get(name, {})
    return [[(other, value) for other, value in (need.items() if isinstance(need, dict) else [need])
             if not _met(made, other, value)] for need in (needs if isinstance(needs, list) else [needs])]


def _met(made, other, value):
    now = getattr(made, other)
    return bool(now) if value is None else now in value if isinstance(value, tuple) else now == value


def refuse_idle(made, among=None):
    """Refuse a setting that was given and has no effect.

    Args:
        made: settings as `from_command_line` gives them.
        among: the settings that have an effect where this is asked, or None for all.
    Raises: UserError that says beside what it has none, and what to set.
    """
    given = {name: getattr(made, name) for name in sorted(made.model_fields_set)}
    for name, value in given.items():
        implied = made.implied({other: each for other, each in given.items() if other != name})
        if value in (type(made).model_fields[name].default, implied.get(name)):
            continue
        if among is not None and name not in among or made.needs.get(name) == []:
            raise UserError(f"{name} has no effect here; leave it out")
        if idle(made, name):
            unmet = _unmet(made, name)
            now = " and ".join(f"{other} is {getattr(made, other) or repr(getattr(made, other))}"
                               for other, _ in dict.fromkeys(sum(unmet, [])))
            wanted = " or ".join(" and ".join(f"set {other}{_to(made, other, needed)}" for other, needed in way)
                                 for way in unmet)
            raise UserError(f"{name} has no effect while {now}; {wanted}, or leave {name} out")


def _to(made, other, value):
    """What to set the setting `other` of `made` to, in words that follow its name."""
    if value is None:
        return "" if isinstance(getattr(made, other), str) else " to above 0"
    return f" to {' or '.join(value) if isinstance(value, tuple) else str(value) or 'nothing'}"


def completed(settings, kind):
    """JSON-able `settings` that something was made with, and for those that came later what they then amounted to."""
    later = {name: said.value for name in kind.model_fields if (said := said_before(kind, name))}
    return {**later, **settings}


def said_before(kind, name):
    """The `Before` of the setting `name` of a class, or None."""
    fields = (each.model_fields[name] for each in kind.__mro__ if name in getattr(each, "model_fields", {}))
    return next((said for field in fields for said in field.metadata if isinstance(said, Before)), None)


def before(kind, name):
    """JSON-able: what the setting `name` of a class amounted to before there was one, or else its default."""
    said = said_before(kind, name)
    value = said.value if said else kind.model_fields[name].get_default()
    return list(value) if isinstance(value, tuple) else value


def _method(arguments):
    """The method that the arguments name, config.py's where they name none."""
    named = config.method
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--method":
            named = value if equals else "".join(arguments[place + 1:place + 2])
    if named not in config.METHODS:
        raise UserError(f"there is no method {named!r}; the methods are {', '.join(config.METHODS)}")
    return named


def _unknown(name, kind):
    if name in kind.model_computed_fields:
        meaning = " ".join(kind.model_computed_fields[name].description.split())
        return f"{name} follows from other settings and cannot be set. {meaning}"
    if name in kind.renamed:
        return f"{name} is called {kind.renamed[name]} here; write --{kind.renamed[name]}=value"
    if name in kind.gone:
        return f"{name} is no setting here; {kind.gone[name]}"
    owners = [method for method, settings in config.METHODS.items() if name in settings.model_fields]
    if owners:
        return (f"{name} is a setting of {' and '.join(owners)} and has no effect on {kind.published}; leave it out"
                + (f", or set --method={owners[0]}" if kind.published in config.METHODS else ""))
    near = difflib.get_close_matches(name, kind.model_fields, n=1)
    return f"there is no setting {name}" + (f"; did you mean {near[0]}?" if near else "; --help lists them all")
