"""`pitr explain`: what a server's log says about its recovery. No server, no privileges."""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from pitr_tui.cli.log_files import HINT, LogFiles
from pitr_tui.cli.output import Output
from pitr_tui.errors import UsageError
from pitr_tui.postgres.diagnosis import Diagnosis
from pitr_tui.postgres.logfold import Event, events
from pitr_tui.postgres.logline import LogLine, Observation
from pitr_tui.postgres.logreader import LogReader, grouped
from pitr_tui.postgres.logstory import LogState, ServerLog
from pitr_tui.postgres.quote import one_line, visible
from pitr_tui.postgres.target import Stop

_WIDTH = 78
_TEXT_LIMIT = 2000
_BAD = (LogState.FAILED, LogState.SUSPECT_OPEN)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)", re.ASCII)  # stays on one line
_FEW = 3  # lines with a time: below that nothing is said of a log that nobody understands
_NOT_UNDERSTOOD = 2
_BEFORE_BACKUP = (
    "the target lies before the backup; the data are those of the backup's end, NOT of the target"
)
_FOREIGN = (
    "No line of this log was understood. It is not a PostgreSQL server log, or not in English: set "
    "lc_messages = 'C' in the copy, start it again, and explain that log."
)


def explain(parsed: argparse.Namespace, output: Output) -> int:
    """Tell where the recovery is, what happened, and why it failed."""
    story = _Story(parsed.file)
    if output.as_json:
        output.json_line(json.dumps(story.fact()))
    else:
        story.say(output)
    log = story.log
    if not story.is_understood:
        return _NOT_UNDERSTOOD
    missed = log.state in _BAD or log.reached_target is False or log.stopped_behind_target
    return 1 if missed else 0


class _Story:
    """A log that was read: its fold, its events, and what is to be said about it."""

    def __init__(self, name: str) -> None:
        self.log = ServerLog()
        self._files = LogFiles(name)
        self._reader = LogReader()
        self._sources: set[str] = set()
        self._dated = self._spoken = self._understood = 0
        self.events = list(events(grouped(self._heard())))
        if len(self._sources) > 1:
            raise UsageError(
                f"{len(self._sources)} servers wrote this log",
                f"its lines name {', '.join(sorted(self._sources)[:_FEW])}, and what one of them "
                "reached would be taken for the other's",
                "give the lines of one: docker compose logs SERVICE | pitr explain -",
            )
        if not (self._understood or self._spoken or self._reader.foreign):
            raise _no_log("the input" if name == "-" else name, self._files.cut)

    def _heard(self) -> Iterator[LogLine]:
        for text in self._files:
            for line in self._reader.feed(text):
                yield self._take(line)
        for line in self._reader.end():
            yield self._take(line)

    def _take(self, line: LogLine) -> LogLine:
        self._dated += line.time is not None or line.pid is not None
        self._spoken += line.severity is not None
        seen = self.log.add(line)
        if seen is not None and line.severity is not None and self._reader.source:
            self._sources.add(self._reader.source)
        self._understood += seen is not None
        return line

    @property
    def is_understood(self) -> bool:
        """Something in the log was, or it is too short to tell."""
        many = self._dated >= _FEW or self._reader.foreign
        return bool(self._understood) or not many

    @property
    def notes(self) -> list[str]:
        found = list(self.log.notes)
        if not self.is_understood:
            found.append(_FOREIGN)
        elif not self._understood:
            found.append("No line in it is about a recovery.")
        if self._files.cut:
            found.append(f"{self._files.cut}.")
        return found

    def fact(self) -> dict[str, Any]:
        """All of it for programs."""
        log = self.log
        return {
            "state": str(log.state),
            "reached_target": log.reached_target,
            "server_stopped": log.has_ended,
            "target": _target(log),
            "stop": _stop(log.stop),
            "timeline": log.timeline,
            "failure": _failure(log.failure),
            "replayed": str(log.replayed) if log.replayed is not None else None,
            "clock": log.clock or None,
            "version": log.life.version or None,
            "segments_restored": log.life.restored,
            "lives": log.lives,
            "notes": self.notes,
            "events": [_event(one) for one in self.events],
        }

    def say(self, output: Output) -> None:
        """All of it for people: the verdict first."""
        log = self.log
        for label, text in self._head():
            _say_wrapped(f"{label:<10}", one_line(text), output)
        if self.events:
            output.say()
            output.say("What happened:")
            day = ""
            for event in self.events:
                day = _say_event(event, day, output)
        for note in self.notes:
            output.say()
            _say_wrapped("note: ", note, output)
        if log.failure is not None:
            output.say()
            _say_failure(log.failure, output, restart=not log.may_be_a_mere_crash)

    def _head(self) -> Iterator[tuple[str, str]]:
        log = self.log
        yield "state", _badge(log)
        if log.life.version:
            yield "server", f"PostgreSQL {log.life.version}"
        if log.lives > 1:
            yield "", f"(of {log.lives} starts of a server in this log, the last one counts)"
        if log.target is not None:
            yield "target", log.target
        elif log.aim is not None:
            yield "target", "none: the end of the WAL"
        if log.stop is not None:
            yield "stopped", str(log.stop)
        if log.replayed_text:
            known = "" if log.has_replayed_all else " known"
            clock = f", last{known} transaction of {log.clock}" if log.clock else ""
            yield "replayed", f"{log.replayed_text}{clock}"
        if log.timeline is not None:
            yield "timeline", str(log.timeline)


def _no_log(name: str, cut: str) -> UsageError:
    if cut:
        return UsageError(f"no line of a server log could be read from {name}", cut, HINT)
    why = "not one line in it is of a PostgreSQL server"
    return UsageError(f"{name} is no PostgreSQL server log", why, HINT)


def _badge(log: ServerLog) -> str:
    """The state in one line, and whether the target was reached."""
    if log.state is LogState.INIT:
        return "● nothing is known of a recovery yet"
    reached = {
        True: "the target was reached",
        False: "the target was NOT reached",
        None: "not at the target yet" if log.target is not None else "",
    }[log.reached_target]
    sign = "✗" if log.state in _BAD or log.reached_target is False else "●"
    sign = "✓" if log.reached_target and sign == "●" else sign
    if log.may_be_a_mere_crash:
        sign, reached = "!", "it repaired itself as after a crash; was a restore meant?"
    elif log.state is LogState.SUSPECT_OPEN:
        reached = f"do not trust these data{'; ' if reached else ''}{reached}"
    elif log.stopped_behind_target and sign == "✓":
        sign, reached = "!", _BEFORE_BACKUP
    down = log.has_ended and log.state not in (LogState.SHUT_DOWN, LogState.FAILED)
    name = LogState.OPEN if log.may_be_a_mere_crash else log.state
    state = f"{str(name).upper()}{', then shut down' if down else ''}"
    return f"{sign} {state}{': ' if reached else ''}{reached}"


def _say_event(event: Event, day: str, output: Output) -> str:
    """One event with its time of day; the date when it changes. Gives the date."""
    date, _, clock = event.stamp.partition(" ")
    if date and date != day:
        output.say(f"  {date}")
        day = date
    mark = "✗" if event.grave else " "
    _say_wrapped(f"  {clock:<8} {mark} ", one_line(event.explanation), output)
    if event.grave:
        _say_wrapped(" " * 13, f"“{one_line(event.text)[:_TEXT_LIMIT]}”", output)
    return day


def _say_failure(failure: Diagnosis, output: Output, restart: bool) -> None:
    _say_wrapped("Why:      ", failure.cause, output)
    if failure.evidence:
        _say_wrapped("Evidence: ", one_line(failure.evidence), output)
    _say_wrapped("Fix:      ", failure.fix, output)
    if restart:
        again = "no new restore is needed" if failure.restartable else "a restart is not enough"
        output.say(f"Restart:  {again}")
    if failure.warning:
        _say_wrapped("WARNING:  ", failure.warning, output)
    output.say(f"          ({failure.id})")


def _say_wrapped(begin: str, text: str, output: Output) -> None:
    shown = _MOMENT.sub("\\1\u00a0\\2", visible(text))
    for line in textwrap.wrap(
        shown, _WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin)
    ) or [begin]:
        output.say(line.replace("\u00a0", " "))


def _target(log: ServerLog) -> dict[str, Any] | None:
    aim = log.aim
    if aim is None or aim.what == "latest":
        return None
    told = {"xid": aim.xid, "time": aim.time, "lsn": aim.lsn, "name": aim.name}
    value = told.get(aim.what or "")
    found: dict[str, Any] = {"kind": aim.what, "text": log.target}
    if value is not None:
        plain = value if isinstance(value, int) and aim.what == "xid" else str(value)
        found |= {"value": plain, str(aim.what): plain}
    return found


def _stop(stop: Stop | None) -> dict[str, Any] | None:
    if stop is None:
        return None
    return {
        "what": stop.what,
        "before": stop.before,
        "xid": stop.xid,
        "time": stop.time,
        "lsn": str(stop.lsn) if stop.lsn is not None else None,
        "name": stop.name,
        "text": str(stop),
    }


def _failure(failure: Diagnosis | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "id": failure.id,
        "cause": failure.cause,
        "evidence": failure.evidence,
        "fix": failure.fix,
        "restartable": failure.restartable,
        "warning": failure.warning or None,
    }


def _event(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {
        "time": event.time.isoformat() if event.time is not None else None,
        "kind": event.kind,
        "text": event.text[:_TEXT_LIMIT],
        "explanation": event.explanation,
        "grave": event.grave,
        "count": event.count,
    }
    if event.first:
        found |= {"first": event.first, "last": event.last}
    if event.detail:
        found["detail"] = event.detail[:_TEXT_LIMIT]
    return found | _told(event.seen)


def _told(seen: Observation | None) -> dict[str, Any]:
    """The values that a line tells: an LSN, a transaction, a setting."""
    if seen is None:
        return {}
    told = {
        "lsn": str(seen.lsn) if seen.lsn is not None else None,
        "xid": seen.xid,
        "timeline": seen.timeline,
        "name": seen.name,
    }
    return {name: value for name, value in told.items() if value is not None}
