"""`pitr verify`: is the secondary of a run what was wanted? Evidence, own checks, its tables."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pitr_tui.cli.check import show_check
from pitr_tui.cli.connection import database_of
from pitr_tui.cli.output import Output
from pitr_tui.cli.places import RunPlaces
from pitr_tui.errors import RefusedError
from pitr_tui.recovery.aftercare import aftercare
from pitr_tui.recovery.contents import Contents, TableRow, gather, table_rows
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.fate import require_own
from pitr_tui.recovery.own_checks import own_checks, perform
from pitr_tui.recovery.plan_record import secondary_from
from pitr_tui.recovery.postflight import postflight, without_todo
from pitr_tui.recovery.runs import RunRecord, run_named
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verify import server_state, system_identifier
from pitr_tui.servers.secondary import Secondary

_NAME = 21  # cells, for “prepared transactions”
_WIDEST_NAME = 34


def verify(parsed: argparse.Namespace, output: Output) -> int:
    """Look at the secondary of a run, which runs; exit 1 when a check failed."""
    record = run_named(parsed.run)
    view = record.view()
    recorded = _recorded_plan(record, view)
    secondary = secondary_from(recorded, RunPlaces(parsed))
    require_own(record, view, secondary)
    if not secondary.is_running():
        raise RefusedError(
            f"the secondary of {record.name} does not run",
            f"it is in {secondary.destination}",
            f"start it again: pitr resume {record.name}",
        )
    checks = own_checks(system_identifier(secondary.database), parsed.checks)
    output.say(f"{record.name}: {secondary.destination}")
    todo: tuple[CheckDone, ...] = ()
    if not server_state(secondary.database, secondary.version).in_recovery:
        todo = aftercare(secondary)
    failed = _tell(without_todo(postflight(secondary, view), todo), output)
    _tell_todo(todo, output)
    if checks:
        output.say("your own checks")
    failed += _tell(perform(checks, secondary.database), output, "own")
    if not parsed.no_rows:
        _rows(parsed, secondary, output)
    output.fact({"event": "Verified", "run": record.name, "failed": failed})
    return 1 if failed else 0


def _recorded_plan(record: RunRecord, view: RunView) -> dict[str, object]:
    """The plan of a run that left a secondary. Raises RefusedError for another."""
    if view.thrown_away:
        raise RefusedError(f"the secondary of {record.name} was thrown away")
    if record.is_live():
        raise RefusedError(f"{record.name} is still going on", "", "wait for its end")
    if view.finished is None:
        why = f"it failed: {view.failed.what}" if view.failed else "it was cut off"
        raise RefusedError(
            f"{record.name} has recovered nothing", why, f"pitr resume {record.name}"
        )
    if not view.plan:
        raise RefusedError(
            f"the journal of {record.name} does not tell where its secondary is",
            "it was made by an older pitr",
        )
    return view.plan


def _tell(checks: Iterable[CheckDone], output: Output, kind: str = "ours") -> int:
    """Show checks as they come, and count those that failed."""
    failed = 0
    for check in checks:
        failed += check.status is Status.FAILURE
        show_check(check, output, _NAME)
        _fact(check, output, kind)
    return failed


def _tell_todo(todo: Sequence[CheckDone], output: Output) -> None:
    """What is to do with an open secondary, its statements as they are to be run."""
    if todo:
        output.say("to do, now that it is open")
    for check in todo:
        show_check(replace(check, hint=""), output, _NAME)
        for line in check.hint.splitlines():
            output.say(f"      {line}")
        _fact(check, output, "to do")


def _fact(check: CheckDone, output: Output, kind: str) -> None:
    output.fact(
        {
            "event": "Check",
            "name": check.name,
            "status": check.status,
            "evidence": check.evidence,
            "hint": check.hint,
            "kind": kind,
        }
    )


def _rows(parsed: argparse.Namespace, secondary: Secondary, output: Output) -> None:
    """Every table with its rows here and, where it was named, in the primary."""
    named = parsed.dsn or parsed.docker or parsed.compose
    primary = database_of(parsed) if named else None
    latest: dict[str, Contents] = {}

    def take(contents: Contents) -> None:
        latest[contents.database] = contents

    gather(secondary.database, primary, take, threading.Event())
    rows = [row for contents in latest.values() for row in table_rows(contents)]
    for contents in latest.values():
        for table in contents.tables:
            there = (contents.primary or {}).get((table.schema, table.name))
            output.fact(
                {
                    "event": "Table",
                    "database": contents.database,
                    "schema": table.schema,
                    "name": table.name,
                    "rows": table.rows,
                    "primary_rows": there,
                    "unlogged": table.unlogged,
                    "problem": table.problem,
                }
            )
    if rows:
        output.say("tables")
        _say_table(rows, output, beside=primary is not None)


def _say_table(rows: list[TableRow], output: Output, *, beside: bool) -> None:
    several = len({row.database for row in rows}) > 1
    names = [f"{row.database}: {row.name}" if several else row.name for row in rows]
    width = min(_WIDEST_NAME, max(map(len, names)))
    head = f"{'rows here':>13}" + (f"{'in the primary':>16}" if beside else "")
    output.say(f"  {'':<{width}}{head}")
    for name, row in zip(names, rows, strict=True):
        there = f"{row.there:>16}" if beside else ""
        output.say(f"  {name:<{width}}{row.here:>13}{there}  {row.remark}")
