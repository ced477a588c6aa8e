"""Check of what replay destroys for good before the transaction ends that wants it so."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status


def dropped_databases(case: Case) -> Iterator[CheckDone]:
    """The files of a dropped database go with a record of its own, and not with the commit.

    Source: dbase_redo() in src/backend/commands/dbcommands.c.
    """
    chronicle, stop = case.chronicle, case.stop
    if chronicle is None or stop is None:
        return
    for one in chronicle.ruins:
        undone = one.entry is None or one.entry >= stop.cut
        if case.start <= one.lsn < stop.lsn and undone:
            yield CheckDone(
                "dropped database",
                Status.FAILURE,
                f"at {one.lsn}, before the target, replay removes the files of a database, and "
                "its DROP DATABASE commits behind the target: it would be there without files",
                f"stop before that record: --target-lsn {one.lsn} --exclusive, or at the commit "
                "before it",
            )
            return
