"""Where the world of a lab is, written down before there is anything of it.

So what is left of a start that was killed, or of a lab whose record is damaged, can be ended.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.lab import record
from pitr_tui.lab.ending import is_marked, remove_world

_FILE = "place.json"


@dataclass(frozen=True, slots=True)
class Place:
    """The directory, and the image of its containers if it has any."""

    directory: Path
    image: str | None


def note(name: str, place: Place) -> None:
    """Write down where a lab is being made, and mark the place as its own. Raises PitrError."""
    told = {"directory": str(place.directory), "image": place.image}
    try:
        record.write_private(record.record_directory(name) / _FILE, json.dumps(told) + "\n")
        record.write_private(place.directory / record.MARK, f"{name}\n")
    except OSError as error:
        raise record.unwritable(place.directory, error) from error


def remove_unfinished(name: str) -> None:
    """Remove what starts before that of `name` have left.

    To be called while `record.reserved` holds, as nobody else sets up a lab then. What cannot be
    removed now, because an engine is away, is tried again by the next start.
    """
    for path in record.labs_directory().glob(f"*/{_FILE}"):
        directory = path.parent
        if directory.name == name or record.is_complete(directory):
            continue
        with suppress(PitrError, OSError):
            _remove(directory.name)
            shutil.rmtree(directory)


def end_damaged(name: str) -> Path | None:
    """End a lab whose record cannot be read, and give the directory that was removed.

    None when nothing of it is known any more. Raises PitrError.
    """
    removed = _remove(name)
    record.forget(name)
    return removed


def _remove(name: str) -> Path | None:
    """Remove the world of that name, if it is still marked as its own. Raises PitrError."""
    place = _place_of(name)
    if place is None or not is_marked(place.directory, name):
        return None
    remove_world(place.directory, place.image)
    return place.directory


def _place_of(name: str) -> Place | None:
    try:
        told = json.loads((record.record_directory(name) / _FILE).read_text(encoding="utf-8"))
        return Place(Path(told["directory"]), told["image"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
