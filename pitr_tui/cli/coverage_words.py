"""How `pitr wal coverage` says what it found, to people and to programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from pitr_tui.cli.output import Output
from pitr_tui.cli.transaction_words import wrapped
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BrokenBackup
from pitr_tui.wal.coverage import Coverage, Stretch, TimelineCoverage
from pitr_tui.wal.ranges import WalRange
from pitr_tui.wal.windows import Stranded, Unreachable, Window
from pitr_tui.wording import count_text, size_text

_MOST_LINES = 24  # about the segments of one timeline
_UNKNOWN_END = "the end of the backup, whose LSN neither it nor the archive tells"
_NOT_READ = (
    "Damage inside a segment does not show here, because only beginnings and ends are read; "
    "`pitr wal suspects` reads all of it."
)


def say_archive(
    archive: WalArchive, found: Coverage, remarks: Sequence[str], output: Output
) -> None:
    """Whose archive it is."""
    cluster = found.cluster
    output.fact(
        {
            "event": "ArchiveCoverage",
            "archive": str(archive.directory),
            "version": cluster.major,
            "system_identifier": cluster.system_identifier,
            "segment_size": cluster.segment_size if cluster.major else None,
            "remarks": list(remarks),
        }
    )
    if cluster.major is None:
        output.say(f"{archive.directory} holds no WAL that can be used.")
    else:
        output.say(f"{archive.directory}")
        output.say(
            f"  PostgreSQL {cluster.major}, system {cluster.system_identifier}, "
            f"segments of {size_text(cluster.segment_size)}"
        )
    for remark in remarks:
        _say(f"  ! {remark}", output)


def say_timeline(one: TimelineCoverage, zone: tzinfo, output: Output) -> None:
    """What there is of it, and what there is not, in the order of the WAL."""
    output.fact(_timeline_fact(one))
    fork = f", left timeline {one.fork.parent} at {one.fork.switch_lsn}" if one.fork else ""
    packed = f", compressed {one.packed_ratio:.1f} to 1" if one.packed_ratio else ""
    output.say()
    output.say(
        f"Timeline {one.timeline}{fork}: {count_text(one.segments, 'segment')}, "
        f"{size_text(one.bytes)}{packed}"
    )
    if one.fork and one.fork.reason:
        _say(f"  because: {one.fork.reason}", output)
    if one.problem:
        _say(f"  ! {one.problem}", output)
    pieces = _pieces(one, zone)
    half = _MOST_LINES // 2
    left_out = len(pieces) - 2 * half
    for piece in pieces if left_out <= 1 else pieces[:half]:
        _say(piece, output)
    if left_out > 1:
        output.say(f"  … {left_out:,} more of these, all of them with --json …")
        for piece in pieces[-half:]:
            _say(piece, output)


def _pieces(one: TimelineCoverage, zone: tzinfo) -> list[str]:
    """A paragraph for each run of segments, gap and stranger, ordered by their numbers."""
    lines = [(stretch.range.first, _stretch(stretch, zone)) for stretch in one.stretches]
    lines += [(gap.first, f"  ✗ {gap} missing ({gap.count:,})") for gap in one.missing]
    for bad in one.unusable:
        more = f" ({bad.range.count:,})" if bad.range.count > 1 else ""
        words = f"  ✗ {bad.range} {bad.fault.kind}{more}\n      {bad.why}"
        lines.append((bad.range.first, words))
    lines += [(begun, f"  … {begun.name} begun, not finished") for begun in one.begun]
    return [line for _, line in sorted(lines, key=lambda piece: piece[0].number)]


def _stretch(stretch: Stretch, zone: tzinfo) -> str:
    line = f"  {stretch.range}"
    if stretch.range.count > 1:
        line += f" ({stretch.range.count:,})"
    if stretch.first_time and stretch.last_time:
        first, last = (shown(time, zone) for time in (stretch.first_time, stretch.last_time))
        line += f"\n      {first}" + (f" to {last}" if last != first else "")
    return line


def say_windows(
    found: Coverage,
    backups: Sequence[Backup | BrokenBackup] | None,
    zone: tzinfo,
    output: Output,
) -> None:
    """From where to where one can recover, backup by backup; `backups` of a named place."""
    output.say()
    known = bool(found.windows or found.stranded or backups)
    where = "" if backups is not None else " (backups that the archive tells of; see --backups)"
    output.say(f"What can be recovered{where}:" if known else _nothing_known(backups))
    for mark in dict.fromkeys(window.backup for window in found.windows):
        since = f", {mark.stop_time}" if mark.stop_time else ""
        output.say(f"  {mark.name}, timeline {mark.timeline}")
        output.say(f"      from {mark.stop_lsn or _UNKNOWN_END}{since}")
        for window in found.windows:
            if window.backup == mark:
                output.fact(_window_fact(window))
                _say_window(window, zone, output)
        for one in found.unreachable:
            if one.backup == mark:
                output.fact(_unreachable_fact(one))
                _say(f"    ✗ not on timeline {one.timeline}: {one.why}", output)
    for lost in found.stranded:
        output.fact(_stranded_fact(lost))
        output.say(f"  ✗ {lost.backup.name}, timeline {lost.backup.timeline}")
        _say(f"      {lost.why}", output)
    for broken in backups or ():
        if isinstance(broken, BrokenBackup):
            what, why = broken.problem.what, broken.problem.why
            path = str(broken.path)
            output.fact({"event": "BrokenBackup", "path": path, "what": what, "why": why})
            _say(f"  ✗ {broken.path.name}: {what}: {why}", output)
    if found.windows:
        _say(_NOT_READ, output)


def _say(text: str, output: Output) -> None:
    """Lines of 80 columns; what goes on is indented a little more."""
    for part in text.split("\n"):
        indent = len(part) - len(part.lstrip())
        for line in wrapped(part, indent + 2 if indent else 0):
            output.say(line)


def _nothing_known(backups: Sequence[object] | None) -> str:
    if backups is None:
        return "The archive tells of no base backup: name where they are kept with --backups."
    return "There is no base backup in that place, so nothing can be recovered."


def shown(time: datetime, zone: tzinfo) -> str:
    """A moment as a person reads it, with its zone.

    >>> shown(datetime(2026, 11, 22, 14, 35, 2, 117000, tzinfo=UTC), UTC)
    '2026-11-22 14:35:02 UTC'
    """
    there = time.astimezone(zone)
    return f"{there:%Y-%m-%d %H:%M:%S} UTC" if zone is UTC else f"{there:%Y-%m-%d %H:%M:%S%z}"


def _timeline_fact(one: TimelineCoverage) -> dict[str, object]:
    first, last = (one.stretches[0], one.stretches[-1]) if one.stretches else (None, None)
    return {
        "event": "TimelineCoverage",
        "timeline": int(one.timeline),
        "parent": int(one.fork.parent) if one.fork else None,
        "switch_lsn": str(one.fork.switch_lsn) if one.fork else None,
        "reason": one.fork.reason if one.fork else None,
        "problem": one.problem or None,
        "status": "DEGRADED" if one.degraded else "OK",
        "first_segment": first.range.first.name if first else None,
        "last_segment": last.range.last.name if last else None,
        "segments": one.segments,
        "bytes": one.bytes,
        "compression_ratio": one.packed_ratio,
        "first_time": _time(next(filter(None, (s.first_time for s in one.stretches)), None)),
        "last_time": _time(next(filter(None, (s.last_time for s in one.stretches[::-1])), None)),
        "ranges": [
            {
                **_range_fact(stretch.range),
                "bytes": stretch.bytes,
                "first_time": _time(stretch.first_time),
                "last_time": _time(stretch.last_time),
            }
            for stretch in one.stretches
        ],
        "lost_segments": [_range_fact(gap) for gap in one.gaps],
        "unusable": [
            {**_range_fact(bad.range), "kind": bad.fault.kind, "why": bad.why}
            for bad in one.unusable
        ],
        "begun": [segment.name for segment in one.begun],
        "backups": [mark.name for mark in one.backups],
        "closest_backup": one.closest_backup.name if one.closest_backup else None,
    }


def _range_fact(run: WalRange) -> dict[str, object]:
    return {"first": run.first.name, "last": run.last.name, "segments": run.count}


def _window_fact(window: Window) -> dict[str, object]:
    mark = window.backup
    return {
        "event": "RecoverableWindow",
        "backup": mark.name,
        "backup_timeline": int(mark.timeline),
        "timeline": int(window.timeline),
        "start_lsn": str(mark.stop_lsn) if mark.stop_lsn else None,
        "start_time": mark.stop_time,
        "end_lsn": str(window.end_lsn),
        "end_time": _time(window.end_time),
        "begun": window.begun,
        "exact": window.exact,
        "stopped_by": window.stopped_by or None,
        "way": [_range_fact(run) for run in window.way],
    }


def _say_window(window: Window, zone: tzinfo, output: Output) -> None:
    begun = "some point before " if window.begun and not window.exact else ""
    later = "" if window.exact else " or later"
    until = f", {shown(window.end_time, zone)}{later}" if window.end_time else ""
    output.say(f"    ✓ on timeline {window.timeline} to {begun}{window.end_lsn}{until}")
    if window.stopped_by:
        _say(f"      then {window.stopped_by}", output)


def _unreachable_fact(one: Unreachable) -> dict[str, object]:
    return {
        "event": "UnreachableTimeline",
        "backup": one.backup.name,
        "timeline": int(one.timeline),
        "why": one.why,
    }


def _stranded_fact(lost: Stranded) -> dict[str, object]:
    mark = lost.backup
    return {
        "event": "StrandedBackup",
        "backup": mark.name,
        "backup_timeline": int(mark.timeline),
        "why": lost.why,
    }


def _time(time: datetime | None) -> str | None:
    """In UTC, whatever zone people are shown."""
    return time.isoformat() if time else None
