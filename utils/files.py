"""Files that are written whole or not at all."""
import contextlib
import os
from pathlib import Path

from utils.errors import UserError


@contextlib.contextmanager
def whole(path):
    """Yields a binary file that takes the name `path` when the block ends; until then what was there stays.

    Makes the folder of `path` where it is absent. Raises UserError where the disk refuses.
    """
    part = f"{path}.{os.getpid()}.part"
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(part, "wb") as file:
            yield file
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another path or make room") from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(part)
