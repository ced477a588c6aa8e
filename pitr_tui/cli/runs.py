"""`pitr runs`, `pitr report` and `pitr replay`: what was done here, told again."""

from __future__ import annotations

import argparse
import math
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pitr_tui.cli.output import Output
from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.postgres.quote import one_line
from pitr_tui.recovery.events import RunFailed, RunStarted, Stamped
from pitr_tui.recovery.journal import runs_directory
from pitr_tui.recovery.report import Outcome, facts, markdown, outcome, tale_of
from pitr_tui.recovery.runs import RunRecord, all_runs, run_named
from pitr_tui.storage.new_file import write_new

_WIDTH, _INDENT = 80, 4
_MOST_LINES = 4
_BEGUN = re.compile(r"(\d{8}-\d{6})-")
_FASTEST = 100_000


@dataclass(frozen=True, slots=True)
class _Row:
    """A run as it is listed, or the reason why it cannot be read."""

    record: RunRecord
    started: RunStarted | None = None
    target: str = ""
    result: Outcome | None = None
    problem: PitrError | None = None


def runs(parsed: argparse.Namespace, output: Output) -> int:
    """Every recorded run, the newest first, with the command that goes on from there."""
    found = all_runs()
    names = [record.name for record in found]
    if not found:
        output.say(f"no run is recorded in {runs_directory()}")
        return 0
    output.say(f"  {'run':<24}  {'begun (UTC)':<19}  how it ended")
    for record in found:
        row = _read(record)
        output.fact(_fact(row))
        for line in _lines(row, names):
            output.say(line)
    return 0


def report(parsed: argparse.Namespace, output: Output) -> int:
    """The story of a run as Markdown (or JSON), printed or written to a new file."""
    record = _record(parsed.run)
    if output.as_json and parsed.to is None:
        output.fact({"event": "Report", **facts(tale_of(record.events()))})
        return 0
    if parsed.to is None:
        output.say(markdown(record.events()).removesuffix("\n"))
        return 0
    if output.as_json:
        import json

        text = json.dumps(facts(tale_of(record.events())), indent=2) + "\n"
    else:
        text = markdown(record.events())
    write_new(parsed.to, text.encode())
    output.fact({"event": "Written", "file": str(parsed.to)})
    output.say(f"✓ the report of {record.name} is in {parsed.to}")
    return 0


def replay(parsed: argparse.Namespace, output: Output) -> int:
    """A run once more: in the wizard's screen, or told at once where there is no terminal."""
    if not (math.isfinite(parsed.speed) and 0 <= parsed.speed <= _FASTEST):
        raise UsageError(
            f"{parsed.speed} is no speed", "", f"a number from 0 (told at once) to {_FASTEST:,}"
        )
    record = _record(parsed.run)
    on_screen = sys.stdin.isatty() and sys.stdout.isatty() and not output.as_json
    if not on_screen or parsed.speed == 0:
        for stamped in record.events():
            _retell(stamped, output)
        return 0
    from pitr_tui.tui.replay import ReplayApp

    return ReplayApp(record.name, record.events, parsed.speed).run() or 0


def _record(name: str) -> RunRecord:
    """A run by its name, or by the path of its journal: it may be another machine's."""
    path = Path(name)
    return RunRecord(path.absolute()) if "/" in name and path.exists() else run_named(name)


def _read(record: RunRecord) -> _Row:
    try:
        view = record.view()
        if view.started is None:
            raise RefusedError("its journal has no run in it", "it was cut off before it began")
    except PitrError as error:
        return _Row(record, problem=error)
    return _Row(record, view.started, view.target, outcome(view, record.is_live()))


def _lines(row: _Row, names: Sequence[str]) -> Iterator[str]:
    """A run in a few lines of 80 columns."""
    sign = row.result.ending.sign if row.result else "!"
    how = row.result.words if row.result else "cannot be read"
    begun = f"{when:%Y-%m-%d %H:%M:%S}" if (when := _begun(row.record)) else ""
    yield f"{sign} {one_line(row.record.name):<24}  {begun:<19}  {how}"
    if row.problem is not None:
        yield from _wrapped(f"{row.problem.what}: {row.problem.why}".removesuffix(": "))
        return
    if row.started is None or row.result is None:
        return
    if row.result.detail:
        yield from _wrapped(row.result.detail)
    yield from _wrapped(f"{row.started.backup} -> {row.started.destination}")
    yield from _wrapped(f"target: {row.target}")
    if row.result.commands:
        commands = "|".join(row.result.commands)
        yield from _wrapped(f"go on: pitr {commands} {_short(row.record.name, names)}")


def _wrapped(text: str) -> list[str]:
    shown = textwrap.wrap(one_line(text), _WIDTH - _INDENT, break_on_hyphens=False)
    if len(shown) > _MOST_LINES:
        shown[_MOST_LINES - 1 :] = [shown[_MOST_LINES - 1][: _WIDTH - _INDENT - 1] + "…"]
    return [" " * _INDENT + line for line in shown]


def _short(name: str, names: Sequence[str]) -> str:
    """The end of a name where it means only this one."""
    end = name.rpartition("-")[2]
    return end if end and sum(end in one for one in names) == 1 else name


def _begun(record: RunRecord) -> datetime | None:
    """When a run began, by its name."""
    found = _BEGUN.match(record.name)
    try:
        return datetime.strptime(found[1] + "+0000", "%Y%m%d-%H%M%S%z") if found else None
    except ValueError:
        return None


def _fact(row: _Row) -> dict[str, object]:
    started, result, problem, begun = row.started, row.result, row.problem, _begun(row.record)
    return {
        "event": "Run",
        "name": row.record.name,
        "directory": str(row.record.directory),
        "begun": begun.astimezone(UTC).isoformat() if begun else None,
        "postgresql": started.version if started else None,
        "backup": started.backup if started else None,
        "archive": started.archive if started else None,
        "destination": started.destination if started else None,
        "target": row.target if started else None,
        "ending": result.ending if result else None,
        "words": str(result) if result else None,
        "resumable": result.resumable if result else False,
        "commands": result.commands if result else [],
        "problem": {"what": problem.what, "why": problem.why} if problem else None,
    }


def _retell(stamped: Stamped, output: Output) -> None:
    """An event of a journal: what a live run says elsewhere is said here, too."""
    from pitr_tui.cli.run_words import tell

    match stamped.event:
        case RunStarted() as started:
            output.say(f"{stamped.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, run {started.run}")
            output.say(f"  {started.backup} -> {started.destination}")
            output.say(f"  target: {started.target}, then {started.action}")
        case RunFailed() as failed:
            output.say(f"✗ {failed.what}")
            for name, words in (("why", failed.why), ("try", failed.hint)):
                if words:
                    output.say(f"  {name}: {words}")
        case _:
            pass
    tell(stamped, output)
