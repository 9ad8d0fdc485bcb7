"""What every class of settings is: those of config.py, never changed, and those that a script has of its own."""
import enum
import functools
import os
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt


def _path(text):
    """`text` with the home folder in the place of ~, else ValueError where no file can be called so."""
    text = os.path.expanduser(text)
    names = os.fsencode(text).split(b"/")
    if "\0" in text or max(map(len, names)) > 255 or sum(map(len, names)) + len(names) > 4096:
        raise ValueError("no file can have this name")
    return text


PathText = Annotated[str, AfterValidator(_path)]


def at_most(limit, cost):
    """The annotation of a number that may be `limit` at most, since more would take `cost`, in words."""
    def check(number):
        if number > limit:
            shown = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
            raise ValueError(f"it may be {shown} at most, since more would take {cost}")
        return number
    return AfterValidator(check)


# What numbers may be at most.
IN_FLOAT32 = at_most(1e30, "numbers of more than 32 bits")
Positive = Annotated[float, Field(gt=0), IN_FLOAT32]
Weight = Annotated[float, Field(ge=0), IN_FLOAT32]
IN_TIME = at_most(10 ** 6, "months, of a second an epoch")
Epochs = Annotated[PositiveInt, IN_TIME]
Steps = Annotated[PositiveInt, at_most(10 ** 9, "years")]
BatchSize = Annotated[int, Field(ge=2), at_most(10 ** 5, "hundreds of gigabytes a step")]
Ranks = Annotated[PositiveInt, at_most(10 ** 9, "gigabytes for a list of as many images")]
Classes = Annotated[int, Field(ge=2), at_most(10 ** 7, "tens of gigabytes for their prototypes")]
Length = Annotated[PositiveInt, at_most(2 ** 16, "gigabytes for one layer of F")]


def feature(books):
    """A validator of the length of a codeword, where the codebooks, as many as the setting `books` says, make a feature
    of them joined."""
    def check(length, info):
        if info.data.get(books, 1) * length > 2 ** 16:
            raise ValueError(f"with {books}={info.data[books]} a feature has {info.data[books] * length:,} numbers; "
                             "65,536 at most, since more would take gigabytes for one layer of F")
        return length
    return AfterValidator(check)


class Affects(enum.Flag):
    """What a setting decides. Each field of config.py's classes declares it, and what compares settings goes by it."""

    NOTHING = 0  # no number: where files lie, how often they are written
    FILE = enum.auto()  # with another group: what the file holds is compared, and not its name
    DATA = enum.auto()  # which images are read, and what each is for
    TRAINING = enum.auto()  # what weights these data lead to, and how that is judged on the way
    DURATION = enum.auto()  # how long
    MODEL = enum.auto()  # what the weights mean, which a search agrees in with the training
    CODES = enum.auto()  # the code that an image gets by these weights, which a search may choose
    SEARCH = enum.auto()  # what is measured


T = TypeVar("T")
Protocol = Annotated[T, Affects.DATA | Affects.MODEL]
Data = Annotated[T, Affects.DATA]
Training = Annotated[T, Affects.TRAINING]
Duration = Annotated[T, Affects.DURATION]
Model = Annotated[T, Affects.MODEL]
Codes = Annotated[T, Affects.CODES]
Search = Annotated[T, Affects.SEARCH]
Free = Annotated[T, Affects.NOTHING]


class Before(NamedTuple):
    """The annotation of a setting that came later: what runs of before amounted to, JSON-able."""

    value: object


class Settings(BaseModel):
    """The base of config.py's classes."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True,
                              protected_namespaces=(), allow_inf_nan=False)

    published: ClassVar[str]
    """What messages call the method."""

    final: ClassVar[str]
    """Name of the checkpoint that a finished training leaves in model_save_path; see `filled`."""

    needs: ClassVar[dict] = {}
    """{setting: (another, value)}: it has an effect only where the other has that value, or one of a tuple of values;
    None stands for any but 0 and nothing. {another: value, ...}: where all of them hold; a list of such: where one of
    them does, so [] is a setting that has no effect at all."""

    renamed: ClassVar[dict] = {}
    """{name of a setting in the method's own release: its name here}, to tell its users."""

    gone: ClassVar[dict] = {}
    """{name of an option of the method's own release that is no setting here: what to do}, to tell its users."""

    @classmethod
    def affects(cls, name):
        """The Affects of the setting `name`, declared by the field or by that of a base class; NOTHING of a script's
        own."""
        fields = (getattr(base, "model_fields", {}).get(name) for base in cls.__mro__)
        declared = (part for field in fields if field for part in field.metadata if isinstance(part, Affects))
        return next(declared, Affects.NOTHING)

    @classmethod
    @functools.cache
    def affecting(cls, groups, but=Affects.NOTHING):
        """A frozenset of the names of the settings that affect one of `groups` and none of `but`, both Affects."""
        return frozenset(name for name in cls.model_fields
                         if cls.affects(name) & groups and not cls.affects(name) & but)

    def filled(self, path):
        """`path` with these settings' code length in the place of {n_bits} and their method in that of {method}."""
        return path.replace("{n_bits}", str(self.n_bits)).replace("{method}", self.method)

    @property
    def checkpoint(self) -> str:
        """`model_load_path`, filled."""
        return self.filled(self.model_load_path)

    @property
    def final_checkpoint(self) -> Path:
        """What a finished training leaves: `final` in `model_save_path`."""
        return Path(self.model_save_path) / self.filled(self.final)


class Own(BaseModel):
    """The base of the settings that a script has beside those of config.py. `needs`: as of Settings, of both."""

    needs: ClassVar[dict] = {}

    model_config = ConfigDict(use_attribute_docstrings=True)


def again(settings, name, default):
    """The setting `name` of a class with another default."""
    return Field(default, description=settings.model_fields[name].description)


def each_once(items):
    """`items` where each is there once, else ValueError."""
    if len(set(items)) < len(items):
        raise ValueError("something is named twice")
    return items


def power_of_2(number):
    """`number` where it is a power of 2, else ValueError."""
    if number & (number - 1):
        raise ValueError("it is no power of 2")
    return number
