"""The files of an archive in the making: under names that no archive has, until all are there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from pitr_tui.errors import CancelledError
from pitr_tui.postgres.walname import is_partial, is_segment
from pitr_tui.recovery.collect_beside import Beside
from pitr_tui.storage.path import WritePath

_DRAFT = ".part"
_LINKING = "links"  # the name of a draft that is there while links are made


def draft_name(name: str) -> str:
    """What a file is called until the collection is whole."""
    return f".{name}{_DRAFT}"


def is_draft(name: str) -> bool:
    """Whether a file is what an interrupted collection has left."""
    return name.startswith(".") and name.endswith(_DRAFT)


class Drafts:
    """What was written into a new place. `names` has the drafts, each with its name to be."""

    def __init__(
        self, target: WritePath, progress: Callable[[int], None], cancel: threading.Event
    ) -> None:
        self.names: dict[str, str] = {}
        self.links: list[str] = []
        self.bytes = 0
        self._target = target
        self._progress = progress
        self._cancel = cancel

    def path(self, name: str) -> WritePath:
        """Where the draft of a file is."""
        return self._target / draft_name(name)

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a draft, and give its size in bytes. Raises OSError, CancelledError."""
        self.names[name] = name
        path = self.path(name)
        if isinstance(path, Path):
            path.touch(0o600)  # it holds data that not everybody may read
        size = 0
        with path.open("wb") as file:
            for chunk in chunks:
                if self._cancel.is_set():
                    raise CancelledError("collecting was cancelled", "nothing was kept")
                size += file.write(chunk)
        self.bytes += size
        self._progress(self.bytes)
        return size

    def give_back(self, name: str) -> None:
        """Remove a draft: its file is not taken after all."""
        self.bytes -= self.path(name).stat().st_size
        self.path(name).unlink()
        del self.names[name]

    def publish(self, beside: Beside | None) -> None:
        """Give all files their names, the oldest first, behind links to those of `beside`."""
        self._sync()
        if beside is not None and isinstance(self._target, Path):
            self._link(self._target, beside)
        for name, final in sorted(self.names.items()):
            self.path(name).rename(self._target / final)
        if beside is not None:
            self.path(_LINKING).unlink()
        self._sync()

    def remove(self) -> None:
        """Leave nothing."""
        for name, final in self.names.items():
            self.path(name).unlink(missing_ok=True)
            (self._target / final).unlink(missing_ok=True)
        for name in self.links:
            (self._target / name).unlink(missing_ok=True)
        self.path(_LINKING).unlink(missing_ok=True)

    def segments(self) -> tuple[str, ...]:
        """The segments that were written, under the names that they have then."""
        finals = self.names.values()
        return tuple(sorted(one for one in finals if is_segment(one) or is_partial(one)))

    def _link(self, target: Path, beside: Beside) -> None:
        (target / draft_name(_LINKING)).touch(0o600)
        own = set(self.names.values())
        for name, path in beside.links():
            if name not in own:
                (target / name).symlink_to(path)
                self.links.append(name)

    def _sync(self) -> None:
        if isinstance(self._target, Path):
            os.sync()
