"""Files that we write for a person, and never over another one."""

from __future__ import annotations

import os
from pathlib import Path

from pitr_tui.errors import PitrError, RefusedError


def write_new(path: Path, data: bytes) -> None:
    """A file that was not there, for nobody else to read. Raises RefusedError, PitrError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except FileExistsError as error:
        raise RefusedError(
            f"{path} exists already", "nothing is overwritten", "name a new file"
        ) from error
    except OSError as error:
        raise PitrError(f"{path} cannot be written", str(error.strerror)) from error
