"""The JSON beside a checkpoint: what it must say, and reading it."""
import pydantic

from config import METHODS
from utils import settings
from utils.data.data import Source
from utils.reading import documents


class Beside(pydantic.BaseModel):
    """What training wrote beside a checkpoint of any age."""

    step: pydantic.NonNegativeInt
    images: pydantic.NonNegativeInt = 0
    seconds: pydantic.NonNegativeFloat
    initial: str
    initial_sha256: str | None = None
    losses: dict[str, float] | None
    judged: float | None = None
    data: Source | str
    tags_sha256: str | None = None
    device: str = ""
    commit: str | None = None
    settings: dict[str, object]

    @pydantic.field_validator("settings")
    @classmethod
    def _are_settings(cls, said):
        """They are held against the class of config.py that they are of; what it no longer has is left alone."""
        method = said.get("method", "gpq")
        if method not in METHODS:
            raise ValueError(f"there is no method {method!r}")
        kind = METHODS[method]
        try:
            kind(**{name: value for name, value in settings.completed(said, kind).items() if name in kind.model_fields})
        except pydantic.ValidationError as error:
            raise ValueError(documents.fault(error)) from error
        return said


def read(path):
    """The JSON `path` of a checkpoint, a dict as of Beside. Raises UserError where it is absent or damaged."""
    return documents.read_json(path, Beside, "description of a checkpoint",
                               "move it and its checkpoint away, or set model_save_path")
