"""The person's own checks: a query each, and what it has to give in a database that is right.

They are written in `pitr.yaml`, and remembered for the next recovery of the same cluster.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.recovery.check_file import OwnCheck, checks_text, read_checks, rows_words
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.journal import state_directory
from pitr_tui.recovery.look import some
from pitr_tui.recovery.verify import ask
from pitr_tui.servers.sql import Database

FILE_NAME = "pitr.yaml"
_MOST_ROWS = 1000
_SECONDS = 300


def own_checks(system: int | None, file: Path | None = None) -> tuple[OwnCheck, ...]:
    """The checks of a file, else of `pitr.yaml` in the working directory, and the remembered ones.

    `system` is the cluster's identifier. Of two with one name the file's counts. Raises
    UsageError for a file that is not right, PitrError for one that cannot be read.
    """
    default = Path(FILE_NAME)
    written: tuple[OwnCheck, ...] = ()
    if file is not None or default.is_file():
        written = read_checks(file or default)
    names = {check.name for check in written}
    return (*written, *(check for check in remembered(system) if check.name not in names))


def remembered(system: int | None) -> tuple[OwnCheck, ...]:
    """What was kept of earlier recoveries of a cluster."""
    path = _memory(system)
    return read_checks(path) if path is not None and path.is_file() else ()


def remember(check: OwnCheck, system: int) -> None:
    """Keep a check for the next recovery of a cluster; one with its name is replaced."""
    others = [one for one in remembered(system) if one.name != check.name]
    _write(system, [*others, check])


def forget(name: str, system: int) -> bool:
    """Keep a check no more; whether there was one."""
    before = remembered(system)
    left = [one for one in before if one.name != name]
    if len(left) < len(before):
        _write(system, left)
    return len(left) < len(before)


def perform(checks: Sequence[OwnCheck], secondary: Database) -> Iterator[CheckDone]:
    """Ask the secondary each query, reading only, and hold the answers against what is expected."""
    for check in checks:
        try:
            answer = ask(secondary.named(check.database), check.sql, _MOST_ROWS, _SECONDS)
        except PitrError as error:
            why = (error.why or error.what).splitlines()[0]
            hint = _other_databases(check, secondary) or error.hint
            yield CheckDone(check.name, Status.FAILURE, f"it could not be asked: {why}", hint)
            continue
        rows = tuple(answer.rows)
        found = rows_words(rows)
        if check.holds(rows) and not answer.more:
            meets = "" if found == check.expected else f", expected {check.expected}"
            yield CheckDone(check.name, Status.OK, f"{found}{meets}")
        else:
            told = f"{found}, expected {check.expected}"
            yield CheckDone(
                check.name, Status.FAILURE, told, f"asked: {' '.join(check.sql.split())}"
            )


def _other_databases(check: OwnCheck, secondary: Database) -> str:
    """Which databases there are, where that of a check is none of them."""
    try:
        there = secondary.rows("SELECT datname, datistemplate FROM pg_database ORDER BY 1")
    except PitrError:
        return ""
    if check.database in [name for name, _ in there]:
        return ""
    shown = some([name for name, is_template in there if not is_template])
    return f"is the name of the database right? There are: {shown}"


def _memory(system: int | None) -> Path | None:
    return None if system is None else state_directory() / "checks" / f"{system}.yaml"


def _write(system: int, checks: Sequence[OwnCheck]) -> None:
    """Write what is remembered, whole or not at all, for its user alone."""
    path = state_directory() / "checks" / f"{system}.yaml"
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(checks_text(checks))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise PitrError(
            "the check cannot be remembered", f"{error.filename or path}: {error.strerror}"
        ) from error
