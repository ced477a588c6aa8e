"""The server log, line by line: what was said, and what it means for a recovery.

Lines are understood one at a time and by their message alone. Several processes write
the log, so their order is not reliable, and wordings moved between minor releases, so
the major version is no guide either. What the lines amount to together is for the
reader of the observations to decide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, timezone

from pitr_tui.postgres.loggrammar import candidates
from pitr_tui.postgres.logkind import ALARMS, FAILURES, Gravity, ObservationKind, Severity
from pitr_tui.postgres.lsn import Lsn, TimelineId

__all__ = [
    "ALARMS",
    "FAILURES",
    "Gravity",
    "LogLine",
    "Observation",
    "ObservationKind",
    "Severity",
    "explain",
    "goal",
    "observe",
    "parse_line",
]

_PREFIX = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) (?P<zone>\S{1,40}) "
    rf"\[(?P<pid>\d{{1,10}})\] (?P<severity>{'|'.join(Severity)}):  (?P<message>.*)",
    re.ASCII | re.DOTALL,
)
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One physical line, as `log_line_prefix = '%m [%p] '` writes it to stderr.

    `text` is the whole line without its newline, and may hold any character: pass it
    through `visible()` before it reaches a screen. A line without a prefix is either the
    continuation of a message (it starts with a TAB) or restore_command's own output; its
    message is its text, and the rest is None.
    """

    text: str
    time: datetime | None
    pid: int | None
    severity: Severity | None
    message: str

    @property
    def is_continuation(self) -> bool:
        """The server goes on with the message of the line before."""
        return self.severity is None and self.text.startswith("\t")


@dataclass(frozen=True, slots=True)
class Observation:
    """One line's meaning; a field is None when the line does not tell.

    `lsn`: where; for BACKUP_BEGIN the redo position, for BACKUP_END the end of the backup.
    `time`: as printed, for STOPPING the commit time; 9.6 and 10 print 2000-01-01 there for
    an exclusive xid target. `name`: the segment, history file, restore point, setting,
    path or server version. `before`: for STOPPING, whether the transaction or position
    itself is left out. `what`: for STOPPING commit, abort, restore point, lsn or
    consistency; for RECOVERY_MODE latest, immediate, xid, time, name or lsn; for PAUSED
    "target" when the server says so (13+); elsewhere the server's reason.
    `found`, `wanted`: bytes (WRONG_SIZE, RECORD_END, where 0 found is the usual end), a
    setting's values (PARAMETER_TOO_LOW), system identifiers (FOREIGN_SYSTEM), an exit code
    or signal (`found` of FETCH_FATAL and STARTUP_FAILED).
    """

    kind: ObservationKind
    lsn: Lsn | None = None
    xid: int | None = None
    time: str | None = None
    timeline: TimelineId | None = None
    name: str | None = None
    before: bool | None = None
    what: str | None = None
    found: int | None = None
    wanted: int | None = None

    @property
    def is_failure(self) -> bool:
        """The attempt has failed, or its result must not be trusted."""
        return self.kind.is_failure

    @property
    def is_alarm(self) -> bool:
        """Not decided by this line alone: look at its position, version and target."""
        return self.kind.is_alarm


def parse_line(text: str) -> LogLine:
    """Split one line of the server log into its parts; never raises.

    >>> line = parse_line("2026-11-22 14:43:48.896 UTC [32199] LOG:  redo starts at 0/2000028")
    >>> line.time.isoformat(), line.pid, str(line.severity), line.message
    ('2026-11-22T14:43:48.896000+00:00', 32199, 'LOG', 'redo starts at 0/2000028')
    >>> parse_line("cp: cannot stat '/archive/00000002.history'").severity is None
    True
    """
    text = text.removesuffix("\n").removesuffix("\r")
    match = _PREFIX.fullmatch(text)
    if match is None:
        return LogLine(text, None, None, None, text)
    return LogLine(
        text,
        moment_of(match["time"], match["zone"]),
        int(match["pid"]),
        Severity(match["severity"]),
        match["message"],
    )


def moment_of(text: str, zone: str) -> datetime | None:
    """A time as %m prints it; an abbreviation such as EST names several zones, so it gives None."""
    try:
        moment = datetime.fromisoformat(text)
        if zone in ("UTC", "GMT"):
            return moment.replace(tzinfo=UTC)
        offset = _OFFSET.fullmatch(zone)
        if offset is None:
            return None
        away = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
        return moment.replace(tzinfo=timezone(-away if offset[1] == "-" else away))
    except ValueError:
        return None


def observe(line: LogLine) -> Observation | None:
    """Tell what a line means, or None when it means nothing for a recovery; never raises.

    >>> said = "recovery stopping before commit of transaction 727, time 2026-11-22 14:43:45+00"
    >>> seen = observe(parse_line(f"2026-11-22 14:43:49.006 UTC [7] LOG:  {said}"))
    >>> str(seen.kind), seen.before, seen.what, seen.xid, seen.time
    ('stopping', True, 'commit', 727, '2026-11-22 14:43:45+00')
    >>> explain(seen)
    'The target is found: replay stops just before the commit of transaction 727.'
    """
    if line.is_continuation:
        return None
    for row in candidates(line.severity, line.message):
        if match := row.regex.fullmatch(line.message):
            return _observation(row.kind, {"what": row.what} | match.groupdict())
    return None


def _observation(kind: ObservationKind, said: dict[str, str | None]) -> Observation:
    """Give the captured words their types; the grammar has bounded every number."""

    def number(word: str | None) -> int | None:
        return None if word is None else int(word)

    lsn, timeline, before = said.get("lsn"), said.get("timeline"), said.get("before")
    return Observation(
        kind,
        lsn=Lsn.parse(lsn) if lsn else None,
        xid=number(said.get("xid")),
        time=said.get("time"),
        timeline=TimelineId.parse(timeline) if timeline else None,
        name=said.get("name"),
        before=before == "before" if before else None,
        what=said.get("what"),
        found=number(said.get("found")),
        wanted=number(said.get("wanted")),
    )


_FIELDS = tuple(field.name for field in fields(Observation))
_OPTIONAL = re.compile(r"\[([^]]*)\]")
_GOALS = {
    "latest": "the end of the WAL, because no target is set",
    "immediate": "the first consistent point",
    "xid": "transaction {xid}",
    "time": "the time {time}",
    "name": 'the restore point "{name}"',
    "lsn": "the position {lsn}",
}
_PLACES = {
    "commit": "just {side} the commit of transaction {xid}",
    "abort": "just {side} the rollback of transaction {xid}",
    "restore point": 'at the restore point "{name}"',
    "lsn": "just {side} the position {lsn}",
    "consistency": "as soon as the data is consistent",
}


def goal(aim: Observation) -> str:
    """The target that a RECOVERY_MODE line tells, in words.

    >>> goal(Observation(ObservationKind.RECOVERY_MODE, xid=9, what="xid"))
    'transaction 9'
    """
    said = {name: getattr(aim, name) for name in _FIELDS}
    return _GOALS.get(aim.what or "", "its target").format_map(said)


def explain(observation: Observation) -> str:
    """Say in one sentence what a line means, for somebody who is tired.

    Names come from the log as they are: pass the sentence through `visible()` too.

    >>> explain(Observation(ObservationKind.READ_ONLY_OPEN))[:55]
    'The server is readable, which is no proof of the target'
    """
    said = {
        name: "(not told)" if (value := getattr(observation, name)) is None else value
        for name in _FIELDS
    }
    said["side"] = "after" if observation.before is False else "before"
    said["goal"] = goal(observation)
    said["place"] = _PLACES.get(observation.what or "", "there").format_map(said)

    def told(part: re.Match[str]) -> str:
        names = re.findall(r"\{(\w+)\}", part[1])
        return "" if any(getattr(observation, name) is None for name in names) else part[1]

    sentence = _OPTIONAL.sub(told, observation.kind.sentence)
    return sentence.format_map(said)
