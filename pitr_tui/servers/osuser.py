"""Whom a server runs as. PostgreSQL refuses root, so root has to step down."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pitr_tui.errors import RefusedError, UsageError

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class OsUser:
    """An account of the operating system."""

    name: str
    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> OsUser:
        """Raises UsageError when there is no such account."""
        try:
            entry = pwd.getpwnam(name)
        except KeyError as error:
            raise UsageError(f"there is no user {name!r} on this machine") from error
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @classmethod
    def current(cls) -> OsUser:
        uid = os.geteuid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:  # a container may run under a number without a name
            name = str(uid)
        return cls(name, uid, os.getegid())

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    def process_options(self) -> dict[str, Any]:
        """Options for `subprocess` that start a process as this user."""
        if self.is_us:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path | int) -> None:
        """Give a file (or an open one) to this user; nothing to do when we are it."""
        if not self.is_us:
            os.chown(path, self.uid, self.gid, **({} if isinstance(path, int) else _NO_FOLLOW))

    def make_directory(self, path: Path, mode: int = 0o700) -> None:
        """Create a directory of this user's. Raises OSError as `mkdir` does."""
        path.mkdir(mode=mode)
        path.chmod(mode)  # mkdir's mode is cut by the umask
        self.own(path)

    def write_file(self, path: Path, text: str, mode: int = 0o600) -> None:
        """Write a file of this user's, whole or not at all, on disk before it has its name."""
        draft = path.with_name(path.name + ".pitr-new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(file.fileno(), mode)
            self.own(file.fileno())
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)

    def closed_directory(self, path: Path) -> Path | None:
        """The first directory on the way to `path` that this user may not enter."""
        for directory in [*reversed(path.absolute().parents)]:
            if self.is_us:
                open_to_us = not directory.exists() or os.access(
                    directory, os.X_OK, effective_ids=True
                )
            else:
                open_to_us = not directory.exists() or self._may_enter(directory.stat())
            if not open_to_us:
                return directory
        return None

    def require_reach(self, path: Path, purpose: str) -> None:
        """Raises RefusedError when this user cannot get to `path`."""
        closed = self.closed_directory(path)
        if closed is not None:
            raise RefusedError(
                f"the user {self.name} cannot reach {purpose}: {path}",
                f"PostgreSQL does not run as root, and {self.name} may not enter {closed}",
                f"choose a place outside of {closed}, or run pitr as another user",
            )

    def _may_enter(self, facts: os.stat_result) -> bool:
        if facts.st_uid == self.uid:
            return bool(facts.st_mode & stat.S_IXUSR)
        if facts.st_gid == self.gid:
            return bool(facts.st_mode & stat.S_IXGRP)
        return bool(facts.st_mode & stat.S_IXOTH)


_NO_FOLLOW: dict[str, Any] = {"follow_symlinks": False}


def server_user(preferred: str | None = None) -> OsUser:
    """Who runs our servers: ourselves, or for root `preferred`, `postgres` or `nobody`.

    Raises UsageError for an unknown name, RefusedError when root finds nobody to step down to.
    """
    current = OsUser.current()
    if preferred is not None:
        chosen = OsUser.named(preferred)
        if chosen.uid == 0:
            raise RefusedError("PostgreSQL refuses to run as root", "", "name another user")
        if not chosen.is_us and current.uid != 0:
            raise RefusedError(
                f"only root can start a server as {preferred}", f"you are {current.name}"
            )
        return chosen
    if current.uid != 0:
        return current
    for name in _CANDIDATES:
        try:
            return OsUser.named(name)
        except UsageError:
            continue
    raise RefusedError(
        "PostgreSQL refuses to run as root, and there is nobody to run it",
        f"this machine has none of the users {', '.join(_CANDIDATES)}",
        "create a user for it, for example: useradd --system postgres",
    )
