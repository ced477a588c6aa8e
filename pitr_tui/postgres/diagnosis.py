"""Why a recovery failed, or why an open server must not be trusted: the cause, not its echo.

PostgreSQL ends a recovery with a consequence ("ended before the target was reached"); the
cause is an earlier line, often at LOG level, or what restore_command wrote, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.loglife import Finding, Life
from pitr_tui.postgres.logline import Observation, explain, goal
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.remedies import IDS, PASSED, REMEDIES
from pitr_tui.postgres.walname import WalSegment, is_segment

_OUTCOMES = (
    *(Kind.UNREACHED, Kind.WAL_ENDS_BEFORE_BACKUP_END, Kind.NOT_CONSISTENT),
    *(Kind.NO_CHECKPOINT, Kind.NO_REDO_LOCATION),
)
# These say that something failed, and others what.
_ECHOES = (
    *(Kind.STARTUP_FAILED, Kind.UNRECOGNISED_FATAL, Kind.UNRECOGNISED_PANIC),
    *(Kind.BAD_SETTING,),
)
_PERHAPS_WELL = ("CRASH", "NO_RECOVERY_FILE", "ENDED_AT_BACKUP", "NO_EVIDENCE")
_SIGKILL = 9


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One failure. `warning` is set where PostgreSQL's own hint, or a habit, would do damage.

    `restartable`: mend the cause and start the server again; no new restore is needed.
    `title` is its name in small letters.
    """

    id: str
    title: str
    cause: str
    evidence: str
    fix: str
    restartable: bool
    warning: str = ""


class _Cause(NamedTuple):
    """A remedy by its name, what to call the failure, and what shows it."""

    remedy: str
    title: str
    evidence: str


def ends_a_recovery(kind: Kind) -> bool:
    """A failure that cannot happen in a life whose server opened, except to the recovery."""
    return kind in (*_OUTCOMES, Kind.TOO_EARLY, Kind.STARTUP_FAILED, Kind.FETCH_FATAL)


def of_failed(life: Life) -> Diagnosis:
    """The diagnosis of a life that ended in a failure."""
    deadly = life.deadly
    if not deadly:
        held = [one for one in life.findings if one.seen.kind in (Kind.PARAMETER_TOO_LOW,)]
        return _made("PARAM", Kind.PARAMETER_TOO_LOW.value, _parameters(life, held))
    outcome = next((one for one in deadly if one.seen.kind in _OUTCOMES), None)
    if outcome is not None:
        return _made(*_behind(life, outcome.seen.kind))
    first = next((one for one in deadly if one.seen.kind not in _ECHOES), None)
    first = first or next((one for one in deadly if one.seen.kind is Kind.BAD_SETTING), None)
    if first is not None:
        return _told_by(life, first)
    return _without_a_name(life, deadly)


def of_open(life: Life, archive_is_known: bool = False) -> Diagnosis | None:
    """Why an open server is suspect, or None when nothing speaks against it."""
    if life.stop is not None and not life.at_target:
        return _open("WRONG_STOP", f"It was to stop at {_aim(life)}, and it stopped {life.stop}.")
    if life.at_target:
        return None
    if life.aims_at_stop:
        found = _behind(life, Kind.UNREACHED)
        return _open(found.remedy, f"{found.evidence} It never said that it stops, and opened.")
    if life.damage:
        return _open(IDS[life.damage[0].seen.kind], _evidence(life, life.damage[0].seen))
    if life.is_unasked and not life.is_own_repair:
        name = "CRASH" if life.looks_like_a_crash else "NO_RECOVERY_FILE"
        return _open(name, _crash_words(life))
    if life.recovers and life.aim is None and not life.standby and not life.follows_open:
        return _open("NO_EVIDENCE", "There is no line of a target, and none of a stop.")
    if archive_is_known or life.promote_requested or not life.recovers:
        return None
    return _short(life)


def notes(life: Life) -> list[str]:
    """Remarks on a recovery that did what it was told."""
    found = []
    if life.stopped_behind_target and life.aim and life.prior:
        found.append(
            f"The target {life.aim.time} lies before the base backup (its server was last known up "
            f"at {life.prior.time}): the data are those of the end of the backup, not of the "
            "target. Restore an older backup."
        )
    if life.opened and not life.recovers and (life.is_own_repair or not life.is_unasked):
        found.append("There is no recovery from a backup in this log.")
    if life.redo_none and life.recovers:
        found.append("There was nothing to replay: the data are those of the backup.")
    if life.paused and not life.at_target and not life.unfit:
        found.append("Replay was paused by hand. That is not the target.")
    if life.opened and life.aim is not None and not life.aims_at_stop:
        found.append(
            "No target was set, so the server opened where its WAL ended. Whether the archive had "
            "more, or a gap, this log cannot tell."
        )
    return found


def _behind(life: Life, kind: Kind) -> _Cause:
    """The cause of WAL that ended too early."""
    outcome = kind.value
    if life.damage:
        cause = life.damage[0].seen
        return _Cause(IDS[cause.kind], cause.kind.value, _evidence(life, cause))
    if life.unreadable:
        return _Cause("FETCH_FAILED", "fetch failed", f"restore_command said: {life.unreadable}")
    if life.behind_gap:
        return _Cause("GAP", "gap", f"{life.missing} is missing, {life.behind_gap} was delivered.")
    if life.unused:
        return _Cause("UNUSABLE", Kind.BAD_PAGE.value, _unused(life))
    broken = [one.seen for one in life.findings if one.seen.kind is Kind.RECORD_END]
    if kind is Kind.UNREACHED and any(one.found not in (0, None) for one in broken):
        return _Cause("RECLEN", Kind.RECORD_END.value, explain(broken[-1]))
    asked = life.recovers or life.absent or life.spoken
    if kind is Kind.NO_CHECKPOINT and not asked:
        return _Cause("NOT_ASKED", outcome, "There is no line of a delivered or an absent file.")
    finding = next((one for one in life.findings if one.seen.kind is kind), None)
    evidence = _evidence(life, finding.seen) if finding is not None else _where(life)
    return _Cause(_unreached(life) if kind is Kind.UNREACHED else IDS[kind], outcome, evidence)


def _unreached(life: Life) -> str:
    """Which remedy: what is not met by waiting for more WAL must not send a person after it."""
    if life.missing and life.ended_at_backup:
        return "UNREACHED_AT_BACKUP"
    aim = life.aim.what if life.aim is not None else ""
    return {"name": "UNREACHED_NAME", "xid": "UNREACHED_XID"}.get(aim or "", "UNREACHED")


def _told_by(life: Life, one: Finding) -> Diagnosis:
    kind = one.seen.kind
    if kind in (Kind.PARAMETER_TOO_LOW, Kind.PAUSED_UNFIT):
        return _made("PARAM", kind.value, _parameters(life, life.findings))
    if kind is Kind.BAD_SETTING:
        said = [each.message for each in life.findings if each.seen.kind is Kind.BAD_SETTING]
        return _made("GUC", kind.value, ". ".join(dict.fromkeys(said)) + ".")
    return _made(IDS.get(kind, "UNKNOWN"), kind.value, _evidence(life, one.seen, one.message))


def _without_a_name(life: Life, deadly: list[Finding]) -> Diagnosis:
    """Only the death was told, or a line that nobody knows."""
    lines = [one for one in deadly if one.seen.kind is not Kind.STARTUP_FAILED]
    if lines:
        text = f"The server said: {lines[0].message}"
        return _made("UNKNOWN", lines[0].seen.kind.value, text)
    full = [one for one in life.findings if one.seen.kind is Kind.DISK_FULL]
    if full:
        return _made("DISK_FULL", Kind.DISK_FULL.value, full[0].message)
    death = next((one.seen for one in deadly if one.seen.found is not None), deadly[0].seen)
    if death.what == "signal":
        name = "KILLED" if death.found == _SIGKILL else "UNKNOWN"
        return _made(name, "killed", f"{deadly[0].message}. {_where(life)}")
    if death.found == 1:
        return _made("FETCH_KILLED", "fetch killed", f"{deadly[0].message}. {_where(life)}")
    return _made("UNKNOWN", Kind.STARTUP_FAILED.value, f"{deadly[0].message}. {_where(life)}")


def _short(life: Life) -> Diagnosis | None:
    """Without a target: does the log itself show that more WAL should have come?"""
    if life.unreadable:
        return _open("FETCH_FAILED", f"restore_command said: {life.unreadable}")
    if life.behind_gap:
        return _open("GAP", f"{life.missing} is missing, but {life.behind_gap} was delivered.")
    if life.unused:
        return _open("UNUSABLE", _unused(life))
    fresh = life.prior is not None and life.prior.kind is Kind.INTERRUPTED
    if not fresh or life.streaming or not life.ended_at_backup:
        return None
    end = life.backup_end or life.consistent
    return _open("ENDED_AT_BACKUP", f"The backup ends at {end}. {_where(life)}")


def _evidence(life: Life, seen: Observation, message: str = "") -> str:
    """What in the log shows it: the segment, the position, the values."""
    if seen.kind is Kind.UNREACHED:
        return _where(life)
    if seen.kind in (Kind.NO_CHECKPOINT, Kind.NO_REDO_LOCATION, *_OUTCOMES):
        return f"{_lines_of(life, seen)} {_where(life)}".strip()
    if seen.kind in (Kind.CHECKSUM, Kind.BAD_PAGE, Kind.FOREIGN_SYSTEM):
        return f"{_lines_of(life, seen)} {_holder(life, seen)}".strip()
    return _lines_of(life, seen) or f"The server said: {message}"


def _lines_of(life: Life, seen: Observation) -> str:
    said = [one.message for one in life.findings if one.seen == seen]
    return f"The server said: {said[0].removesuffix('.')}." if said else ""


def _holder(life: Life, seen: Observation) -> str:
    """The segment in which the damage lies."""
    last = next(reversed([name for name in life.delivered if is_segment(name)]), "")
    size = life.segment_size
    if seen.lsn is not None and last and size:
        timeline = TimelineId(int(last[:8], 16))
        return f"That is in segment {WalSegment.at(seen.lsn, timeline, size).name}."
    return f"The last segment delivered is {last}." if last else ""


def _where(life: Life) -> str:
    """How far replay came, and which segment it did not get."""
    parts = []
    if life.aims_at_stop:
        parts.append(f"The target is {_aim(life)}.")
    when = f", whose last transaction ended at {life.clock}" if life.clock else ""
    if life.redo_done is not None:
        parts.append(f"Replay ended at {life.redo_done}{when}.")
    elif life.reached_at_least is not None:
        parts.append(f"Replay had come at least to {life.reached_at_least}{when}.")
    if life.missing:
        parts.append(f"Segment {life.missing} was asked for and is not in the archive.")
    elif life.delivered:
        segments = [name for name in life.delivered if is_segment(name)]
        if segments:
            parts.append(f"The last segment delivered is {segments[-1]}.")
    return " ".join(parts)


def _unused(life: Life) -> str:
    return f"{life.unused} was delivered, and replay ended before it, at {life.redo_done}."


def _parameters(life: Life, findings: list[Finding]) -> str:
    named = {
        one.seen.name: f"{one.seen.name} is {one.seen.found} and must be at least {one.seen.wanted}"
        for one in findings
        if one.seen.kind is Kind.PARAMETER_TOO_LOW and one.seen.name
    }
    where = f" at {life.progress}" if life.progress else ""
    return f"{'; '.join(named.values()) or 'The log does not name the setting'}{where}."


def _crash_words(life: Life) -> str:
    if not life.repaired:
        return f"No archive was asked, and no target was told. {_where(life)}"
    backup = life.backup_begin is not None or life.backup_end is not None
    label = " It began from a backup_label, so this is a base backup." if backup else ""
    return f"The server said: database system was not properly shut down.{label}"


def _aim(life: Life) -> str:
    return goal(life.aim) if life.aim is not None else "the end of the WAL"


def _made(name: str, title: str, evidence: str) -> Diagnosis:
    remedy = REMEDIES[name]
    return Diagnosis(
        remedy.id or name,
        title,
        remedy.cause,
        evidence.strip(),
        remedy.fix,
        remedy.restartable,
        remedy.warning,
    )


def _open(name: str, evidence: str) -> Diagnosis:
    """The server has opened: it has left the history that it should have followed."""
    remedy = REMEDIES[name]
    again = (
        "Do not use these data. The server has begun a history of its own, so a fresh copy of the "
        "backup is needed."
    )
    fix = remedy.fix.removesuffix(PASSED).strip()
    fix = fix.replace("start the server again", "restore again")
    fix = fix if name in _PERHAPS_WELL else f"{again} {fix}"
    return Diagnosis(
        remedy.id or name,
        "suspect open",
        remedy.cause,
        evidence.strip(),
        fix,
        False,
        remedy.warning,
    )
