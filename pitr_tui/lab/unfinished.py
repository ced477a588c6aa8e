"""What the start of a lab leaves when its process is killed, and how the next start removes it."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.lab import record
from pitr_tui.lab.ending import is_marked, remove_world

_FILE = "unfinished.json"


def note(name: str, directory: Path, image: str | None) -> None:
    """Write down where a lab is being made, and mark the place as its own. Raises PitrError."""
    told = {"directory": str(directory), "image": image}
    try:
        record.write_private(record.record_directory(name) / _FILE, json.dumps(told) + "\n")
        record.write_private(directory / record.MARK, f"{name}\n")
    except OSError as error:
        raise record.unwritable(directory, error) from error


def forget(name: str) -> None:
    """It is finished: from now on its record tells where it is."""
    (record.record_directory(name) / _FILE).unlink(missing_ok=True)


def remove_others(name: str) -> None:
    """Remove what starts before that of `name` have left.

    To be called while `record.reserved` holds, as nobody else sets up a lab then. What cannot be
    removed now, because an engine is away, is tried again by the next start.
    """
    sparing = {name, *(lab.name for lab in record.all_labs())}
    for path in record.labs_directory().glob(f"*/{_FILE}"):
        if path.parent.name in sparing:
            continue
        with suppress(PitrError, OSError, ValueError, KeyError, TypeError):
            told = json.loads(path.read_text(encoding="utf-8"))
            directory = Path(told["directory"])
            if is_marked(directory, path.parent.name):
                remove_world(directory, told["image"])
            shutil.rmtree(path.parent)
