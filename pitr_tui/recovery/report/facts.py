"""The report for programs: the same facts as one JSON object."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

from pitr_tui.recovery.events import Stamped, to_json
from pitr_tui.recovery.report.measures import lost, took
from pitr_tui.recovery.report.tale import Attempt, Tale
from pitr_tui.recovery.report.words import locked


def facts(tale: Tale) -> dict[str, Any]:
    """Everything that the Markdown says, but for the log, of which it has the lines around."""
    started, result = tale.started, tale.outcome
    return {
        "run": started.run,
        "ending": result.ending,
        "words": str(result),
        "resumable": result.resumable,
        "begun": _time(tale.begun),
        "ended": _time(tale.ended),
        "postgresql": started.version,
        "schema": started.schema,
        "backup": started.backup,
        "archive": started.archive,
        "destination": started.destination,
        "target": tale.last.asked.target,
        "action": tale.last.asked.action,
        "rto": _rto(tale),
        "clock_set_back": tale.set_back,
        "rpo": _rpo(tale),
        "attempts": [_attempt(one) for one in tale.attempts],
        "wal": [
            {
                "timeline": int(timeline, 16),
                "first": found.first,
                "last": found.last,
                "segments": len(found.names),
                "deliveries": found.times,
                "bytes": found.bytes,
            }
            for timeline, found in sorted(tale.timelines.items())
        ],
        "other_files": list(tale.other_files),
        "absent": list(tale.absent),
        "locked": locked(tale),
        "promoted": tale.promoted
        and {"at": _time(tale.promoted[0]), "timeline": tale.promoted[1].timeline},
        "thrown_away": _time(tale.thrown_away),
        "damage": tale.damage and {"what": tale.damage.what, "why": tale.damage.why},
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    stop = attempt.view.stop
    return {
        "number": attempt.number,
        "begun": _time(attempt.begun),
        "ended": _time(attempt.ended),
        "target": attempt.asked.target,
        "action": attempt.asked.action,
        "steps": [
            {
                "step": one.step,
                "begun": _time(one.begun),
                "ended": _time(one.ended),
                "seconds": one.seconds,
            }
            for one in attempt.steps
        ],
        "state": attempt.view.state,
        "stop": None if stop is None else {**dataclasses.asdict(stop), "text": str(stop)},
        "stop_told": _time(attempt.stopped),
        "segments_restored": attempt.view.segments_restored,
        "judged": attempt.judged and dataclasses.asdict(attempt.judged),
        "checked_before": [to_json(Stamped(at, check)) for at, check in attempt.checked_before],
        "checks": [to_json(Stamped(at, check)) for at, check in attempt.checks],
        "not_delivered": [{"name": one.name, "why": one.why} for one in attempt.feed_failures],
        "failed": attempt.failed and to_json(Stamped(*attempt.failed)),
        "finished": attempt.finished and to_json(Stamped(*attempt.finished)),
        "log_lines": len(attempt.log),
        "decisive_lines": [attempt.log[number] for number in attempt.decisive],
        "files_and_commands": attempt.asked.files_and_commands,
    }


def _rto(tale: Tale) -> dict[str, Any] | None:
    measured = took(tale)
    if measured is None or tale.set_back:
        return None
    return {
        "seconds": measured.seconds,
        "from": _time(measured.begun),
        "stop_told": _time(measured.told),
        "to": _time(measured.proved),
        "seconds_at_work": measured.at_work,
        "attempts": measured.attempts,
        "accident": _time(measured.accident),
        "seconds_since_accident": measured.since_accident,
    }


def _rpo(tale: Tale) -> dict[str, Any] | None:
    found = lost(tale)
    if found is None:
        return None
    cut = found.cut
    return {
        "seconds": found.seconds,
        "last_kept_xid": cut.last_kept_xid,
        "last_kept_time": _time(cut.last_kept_time),
        "first_lost_xid": cut.first_lost_xid,
        "first_lost_time": _time(cut.first_lost_time),
        "first_lost_deed": cut.first_lost_deed,
        "kept_transactions": cut.kept_transactions,
        "lost_transactions": cut.lost_transactions,
        "lost_rows": list(cut.lost_rows),
        "archive_end": _time(cut.archive_end),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()
