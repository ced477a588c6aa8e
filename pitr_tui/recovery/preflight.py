"""Named checks before anything is copied: can this recovery get where it should?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.moment import for_settings, parse_moment
from pitr_tui.postgres.target import AtLsn, AtTime, Immediate, Latest
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.wording import count_text, size_text

_CLOCK_SLACK = timedelta(minutes=5)
_WAL_ROOM = 8


def preflight(plan: RecoveryPlan, now: datetime) -> tuple[CheckDone, ...]:
    """Every check of a plan, in the order in which a person would ask. `now` is our clock."""
    checks = (
        _destination,
        _space,
        _programs,
        _settings,
        _harm,
        _timeline,
        _wal,
        _end_of_backup,
        _target,
    )
    results: list[CheckDone] = []
    for check in checks:
        try:
            results.extend(check(plan, now))
        except PitrError as error:
            why = f"{error.what}: {error.why}" if error.why else error.what
            results.append(CheckDone(_name(check), Status.FAILURE, why, error.hint))
        except OSError as error:
            why = f"{error.filename} cannot be read: {error.strerror}"
            results.append(CheckDone(_name(check), Status.FAILURE, why))
    return tuple(results)


def _name(check: Callable[..., object]) -> str:
    return check.__name__.strip("_").replace("_", " ")


def require_passed(checks: tuple[CheckDone, ...]) -> None:
    """Raises RefusedError, telling every failed check."""
    failed = [check for check in checks if check.status is Status.FAILURE]
    if failed:
        raise RefusedError(
            "this recovery was not started: a check failed",
            "; ".join(f"{check.name}: {check.evidence}" for check in failed),
            "; ".join(check.hint for check in failed if check.hint),
        )


def _destination(plan: RecoveryPlan, now: datetime) -> Iterator[CheckDone]:
    secondary = plan.secondary
    secondary.require_apart(plan.backup.path, plan.archive.directory)
    state = secondary.state_of_place()
    evidence = f"{secondary.destination} ({state}), user {secondary.user.name}"
    yield CheckDone("destination", Status.OK, evidence)


def _space(plan: RecoveryPlan, now: datetime) -> Iterator[CheckDone]:
    free = plan.secondary.free_bytes()
    wal = _WAL_ROOM * plan.backup.segment_size
    if plan.backup.restored_bytes is None:
        yield CheckDone(
            "space",
            Status.WARNING,
            f"{size_text(free)} free; the backup has {size_text(plan.backup.total_bytes)} "
            "compressed, what it will need is not known",
        )
        return
    needed = plan.backup.restored_bytes + wal
    status = Status.OK if free > needed else Status.FAILURE
    yield CheckDone("space", status, f"{size_text(free)} free, needs {size_text(needed)}")


def _programs(plan: RecoveryPlan, now: datetime) -> Iterator[CheckDone]:
    if not plan.version.same_major(plan.backup.version):
        raise RefusedError(
            f"the backup is of PostgreSQL {plan.backup.version.major}, the programs are "
            f"{plan.version}",
            "",
            f"use the programs of PostgreSQL {plan.backup.version.major}",
        )
    yield CheckDone("programs", Status.OK, plan.secondary.programs())
    missing = plan.secondary.missing_locales(plan.backup.locales)
    if missing:
        yield CheckDone(
            "locale",
            Status.FAILURE,
            f"there is no locale {' and '.join(missing)} here, and the primary's server needs it",
            "install it (`locale -a` shows what there is), or recover into a container",
        )
    for name, sentence in plan.secondary.warnings():
        yield CheckDone(name, Status.WARNING, sentence)


def _settings(plan: RecoveryPlan, now: datetime) -> Iterator[CheckDone]:
    if raised := plan.backup.raised:
        told = ", ".join(f"{name} {value}" for name, value in raised.items())
        yield CheckDone("settings", Status.OK, f"{told}: as the primary ran, not as its files say")


def _harm(plan: RecoveryPlan, now: datetime) -> Iterator[CheckDone]:
    exposure = plan.secondary.exposure()
    yield CheckDone("harms nobody", Status.OK, f"archiving off, {exposure}")


def _timeline(plan: RecoveryPlan, now: datetime) -> Iterator[CheckDone]:
    label = plan.backup.label
    if not plan.history.contains(label.timeline, label.checkpoint_lsn):
        raise RefusedError(
            f"timeline {plan.history.timeline} does not contain the backup",
            f"the backup lies on timeline {label.timeline} at {label.checkpoint_lsn}, and that "
            "history left it before",
            f"use --timeline {label.timeline}, or a backup that was taken on the other branch",
        )
    newer = [t for t in plan.archive.listing().histories if t > plan.history.timeline]
    evidence = f"follows timeline {plan.history.timeline}"
    if newer:
        names = ", ".join(str(int(one)) for one in newer)
        yield CheckDone(
            "timeline",
            Status.WARNING,
            f"{evidence}; the archive also has {names}, which will not be followed",
        )
    else:
        yield CheckDone("timeline", Status.OK, evidence)


def _wal(plan: RecoveryPlan, now: datetime) -> Iterator[CheckDone]:
    start = plan.backup.start_segment
    held = plan.source.held()
    _require_own_wal(plan, held)
    have = held.keys() | {segment.number for segment in plan.backup.own_wal()}
    in_tar = any(path.name.startswith("pg_wal.tar") for path in plan.backup.tars())
    if start.number not in have and not in_tar:
        raise RefusedError(
            f"segment {start.name} is neither in the archive nor in the backup",
            "the recovery has to begin with it",
            "look for it where the backup was taken from, or use another backup",
        )
    end = start.number
    while end in have or (end == start.number and start.number not in have):
        end += 1
    if not any(number >= start.number for number in held):
        yield _nothing_behind(plan, held)
        return
    evidence = f"{count_text(end - start.number, 'segment')} from {start.name} on"
    beyond = sum(1 for number in held if number > end)
    if beyond:
        missing = WalSegment(plan.history.timeline, end, start.size)
        yield CheckDone(
            "no gap",
            Status.WARNING,
            f"{evidence}; then {missing.name} is missing ({missing.start}), so that "
            f"{count_text(beyond, 'later one')} cannot be reached",
            "a target behind the gap needs a newer backup",
        )
    else:
        yield CheckDone("no gap", Status.OK, f"{evidence}, without a gap")


def _require_own_wal(plan: RecoveryPlan, held: Mapping[int, WalSegment]) -> None:
    """Raises RefusedError for another cluster's archive, and when the first segment is no good."""
    backup = plan.backup
    first = held.get(backup.start_segment.number)
    if first is not None:
        header = plan.archive.header(first)
        problem = header.why_not(first, backup.system_identifier, backup.version.major)
        if problem:
            raise RefusedError(f"segment {first.name} does not belong to the backup", problem)
    elif held:
        newest = held[max(held)]
        owner = plan.archive.header(newest).system_identifier
        if owner != backup.system_identifier:
            raise RefusedError(
                f"the archive {plan.archive.directory} is another cluster's",
                f"{newest.name} has the system identifier {owner}, the backup "
                f"{backup.system_identifier}",
                "name the archive of the backup's primary",
            )


def _nothing_behind(plan: RecoveryPlan, held: Mapping[int, WalSegment]) -> CheckDone:
    """An archive without any WAL for this backup. Raises RefusedError when it should end there."""
    where = plan.archive.directory
    start = plan.backup.start_segment.name
    has = f"the archive {where} has no segment of this timeline"
    if held:
        has = f"the archive {where} ends with {held[max(held)].name}, and the backup needs {start}"
    if isinstance(plan.target, Latest):
        raise RefusedError(
            "there is nothing to recover behind the backup",
            has,
            "is it the right place, and is it mounted? --immediate recovers to the end of the "
            "backup alone",
        )
    return CheckDone(
        "wal",
        Status.WARNING,
        f"{has}; there is only what the backup brings along",
        "is it the right place, and is it mounted?",
    )


def _end_of_backup(plan: RecoveryPlan, now: datetime) -> Iterator[CheckDone]:
    stop = plan.backup.stop_lsn
    if stop is None:
        yield CheckDone(
            "end of backup", Status.WARNING, "neither manifest nor archive tell where it ended"
        )
        return
    if isinstance(plan.target, AtLsn) and plan.target.lsn < stop:
        raise RefusedError(
            f"the target {plan.target.lsn} lies before the end of the backup ({stop})",
            "a backup is consistent only from its end on",
            "use an older backup, or a later target",
        )
    yield CheckDone("end of backup", Status.OK, f"consistent from {stop} on")


def _target(plan: RecoveryPlan, now: datetime) -> Iterator[CheckDone]:
    target = plan.target
    if isinstance(target, AtTime):
        yield from _target_time(plan, target, now)
    elif isinstance(target, AtLsn):
        last = plan.source.last_reachable()
        if last is not None and target.lsn > last.end:
            raise RefusedError(
                f"the target {target.lsn} lies behind the end of the archive",
                f"the last segment that can be reached is {last.name}, which ends at {last.end}",
                "wait until the WAL is archived, or choose an earlier target",
            )
        yield CheckDone("target", Status.OK, f"{target} is in the archive's range")
    elif isinstance(target, Immediate | Latest):
        yield CheckDone("target", Status.OK, str(target))
    else:
        yield CheckDone(
            "target", Status.WARNING, f"{target}: whether the archive has it, replay will show"
        )


def _target_time(plan: RecoveryPlan, target: AtTime, now: datetime) -> Iterator[CheckDone]:
    shown = f"{target.time.astimezone(UTC):%A %d %B %Y}, {for_settings(target.time)}"
    if target.time > now + _CLOCK_SLACK:
        raise RefusedError(
            f"the target lies in the future: {shown}",
            f"it is now {for_settings(now)}",
            "are day and month, or the time zone, as you mean them?",
        )
    ended = _backup_end_time(plan)
    if ended is not None and target.time < ended:
        raise RefusedError(
            f"the target {for_settings(target.time)} lies before the end of the backup",
            f"the backup ended at {for_settings(ended)}",
            "use an older backup, or a later target",
        )
    last = plan.source.last_reachable()
    path = plan.archive.find(last.name) if last else None
    if path is not None:
        archived = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if archived < target.time:
            yield CheckDone(
                "target",
                Status.WARNING,
                f"{shown}; the last segment was archived before it, at {for_settings(archived)}",
                "a later transaction has to be in the archive: switch the WAL on the primary",
            )
            return
    yield CheckDone("target", Status.WARNING, f"{shown}; needs a transaction after it to stop at")


def _backup_end_time(plan: RecoveryPlan) -> datetime | None:
    """The end of the backup by the primary's clock, or its start; None in an unknown zone."""
    text = plan.backup.stop_time or plan.backup.label.start_time
    try:
        return parse_moment(text)
    except PitrError:
        return None
