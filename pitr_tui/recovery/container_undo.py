"""Undo a change at a container's primary that failed: its files, its server, what is said of it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.quote import shell_word
from pitr_tui.servers.container_server import ContainerServer


@dataclass(slots=True)
class Undo:
    """What a change may have done so far. `files` are as they were, `copies` lie beside them."""

    server: ContainerServer
    files: Mapping[PurePosixPath, bytes]
    copies: list[PurePosixPath] = field(default_factory=list)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    restarted: bool = False

    def watched(self, restart: Callable[[], None]) -> Callable[[], None]:
        """The same restart, after which the server may be down or run with the new files."""

        def watched_restart() -> None:
            self.restarted = True
            restart()

        return watched_restart

    def after(self, error: BaseException) -> None:
        """Put everything back as far as it goes, and let the error tell what is the case now.

        The first error stays the one that is raised. Raises CancelledError in place of an
        interrupt that was noticed at the primary.
        """
        trouble: list[str] = []
        try:
            trouble += self._put_files_back()
        finally:
            down = self._bring_back() if self.restarted else self._reload()
        if not trouble:
            trouble += self._remove_copies()
        elif self.copies:
            trouble.append(f"copies of the files as they were: {_names(self.copies)}")
        trouble += down
        hint = ""
        if self.restarted and not self._answers():
            trouble.append(f"the primary in the container {self.server.name} does NOT run")
            hint = f"docker start {shell_word(self.server.name)}"
        told = "\n".join([*(trouble or [self._good()]), *self._stays()])
        if isinstance(error, PitrError):
            error.why = f"{error.why}\n{told}" if error.why else told
            error.hint = hint or error.hint
        elif isinstance(error, KeyboardInterrupt) and (trouble or self.restarted):
            what = "not everything is as it was" if trouble else "the change was taken back"
            raise CancelledError(what, f"{told}\n{hint}".strip()) from error

    def _put_files_back(self) -> list[str]:
        trouble = []
        for path, data in self.files.items():
            try:
                if self.server.read(path) != data:
                    self.server.write(path, data)
            except (PitrError, OSError) as error:
                trouble.append(f"{path} is not as it was: {error}")
        return trouble

    def _bring_back(self) -> list[str]:
        """A server that was started after the files were put back, in whatever state it is now."""
        trouble = []
        try:
            if self.server.settle():
                self.server.restart()
        except PitrError as error:
            trouble.append(f"it could not be restarted with the old files: {error.what}")
        finally:
            try:
                self.server.start()
            except PitrError as error:
                trouble.append(error.why)
        return trouble

    def _reload(self) -> list[str]:
        try:
            self.server.database.row("SELECT pg_reload_conf()")
        except PitrError as error:
            return [f"the server has not read its files again: {error.why}"]
        return []

    def _remove_copies(self) -> list[str]:
        if not self.copies:
            return []
        try:
            if self.server.run(["rm", "-f", *map(str, self.copies)]).code == 0:
                return []
        except PitrError:
            pass
        return [f"copies of the files stay: {_names(self.copies)}"]

    def _answers(self) -> bool:
        try:
            self.server.started_at()
        except PitrError:
            return False
        return True

    def _good(self) -> str:
        if self.restarted:
            return "the files are as they were, and the primary runs with them again"
        return "the files are as they were, and the primary was not restarted"

    def _stays(self) -> list[str]:
        return (
            [f"what stays is: {'; '.join(map(shlex.join, self.commands))}"] if self.commands else []
        )


def _names(paths: Sequence[PurePosixPath]) -> str:
    return ", ".join(map(str, paths))
