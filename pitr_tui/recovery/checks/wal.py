"""Checks of the way: the timelines, the segments on it, and what delivers them."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.errors import RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import Immediate, Latest
from pitr_tui.postgres.walname import WalSegment, history_timeline
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.checks.chain import Chain
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.repositories.backup_marks import lies_on
from pitr_tui.wal.holdings import Holdings
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.seam import Unread
from pitr_tui.wording import count_text


def timeline(case: Case) -> Iterator[CheckDone]:
    """The branch leads on from the backup; newer ones are not followed."""
    plan, label = case.plan, case.plan.backup.label
    if not lies_on(plan.history, plan.backup, case.consistent_from):
        end = f" to {case.consistent_from}" if case.consistent_from else ""
        raise RefusedError(
            f"timeline {plan.history.timeline} does not contain the backup",
            f"the backup lies on timeline {label.timeline} from {label.checkpoint_lsn}{end}, and "
            "that history left it before",
            f"use --timeline {label.timeline}, or a backup that was taken on the other branch",
        )
    named = map(history_timeline, plan.archive.names().histories)
    newer = sorted(one for one in named if one is not None and one > plan.history.timeline)
    evidence = f"follows timeline {plan.history.timeline}"
    if newer:
        names = ", ".join(str(int(one)) for one in newer)
        yield CheckDone(
            "timeline",
            Status.NOTE,
            f"{evidence}; the archive also has {names}, which will not be followed",
            "they are recoveries that somebody did from here; --timeline N follows one of them",
        )
    else:
        yield CheckDone("timeline", Status.OK, evidence)


def wal(case: Case) -> Iterator[CheckDone]:
    """The archive is the backup's, and its segments lead to the target without a gap."""
    known = case.surveyed.known if case.surveyed else None
    if known is not None:
        _require_cluster(case, known)
    _require_first(case)
    chain = case.chain
    if chain.count == 0 and not chain.begun:
        raise RefusedError(
            f"segment {chain.first.name} is neither in the archive nor in the backup"
            if not chain.ends_badly
            else f"segment {chain.why}",
            "the recovery has to begin with it",
            "look for it where the backup was taken from, or use another backup",
        )
    if not chain.archived:
        yield _nothing_behind(case)
    if chain.archived or _ends_within_backup(case, chain):
        yield _continuity(case, chain)
    _require_fork_copies(case)
    yield from _unread(case)
    yield from _unusable(case, known)
    if known is None:
        yield CheckDone(
            "contents",
            Status.WARNING,
            "whether the segments hold what their names say was not looked at",
            "the archive has to be surveyed for it",
        )


def _require_cluster(case: Case, known: Holdings) -> None:
    """Raises RefusedError for an archive with nothing of the backup's cluster."""
    found, ours = known.cluster.system_identifier, case.plan.backup.system_identifier
    if found not in (None, ours):
        raise RefusedError(
            f"the archive {case.plan.archive.directory} is another cluster's",
            f"its segments have the system identifier {found}, the backup has {ours}",
            "name the archive of the backup's primary",
        )


def _require_first(case: Case) -> None:
    """Raises RefusedError when the first segment, or the newest, is of another cluster."""
    plan, backup = case.plan, case.plan.backup
    held = case.held
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


def _continuity(case: Case, chain: Chain) -> CheckDone:
    evidence = f"{count_text(chain.count, 'segment')} from {chain.first.name} on"
    needed = _needed(case)
    if _ends_within_backup(case, chain):
        return CheckDone(
            "no gap",
            Status.FAILURE,
            f"{evidence}; then {chain.why}, and the backup is consistent from "
            f"{case.consistent_from} on",
            f"look for {chain.missing.name} where the backup was taken from, or use another backup",
        )
    if not chain.beyond and not chain.ends_badly:
        begun = ", the last one not finished" if chain.begun else ""
        return CheckDone("no gap", Status.OK, f"{evidence}, without a gap{begun}")
    broken = f"{evidence}; then {chain.why} (from {chain.end} on)"
    if chain.beyond:
        broken += f", so that {count_text(chain.beyond, 'later one')} cannot be reached"
    if needed is not None and needed <= chain.end:
        ahead = case.plan.read_ahead and case.plan.version.has_recovery_prefetch
        if chain.ends_badly and ahead:
            return CheckDone(
                "no gap",
                Status.WARNING,
                f"{broken}; the target lies before it, and the server reads ahead",
                "the plan has to keep it from that",
            )
        return CheckDone("no gap", Status.NOTE, f"{broken}; the target lies before it")
    # What was looked for in the WAL and not found before it can only lie behind.
    must = isinstance(case.plan.target, Latest) or case.chronicle is not None or needed is not None
    return CheckDone(
        "no gap",
        Status.FAILURE if must else Status.WARNING,
        broken,
        f"look for {chain.missing.name} elsewhere (the primary's pg_wal, a standby, another "
        "archive), stop before it, or use a backup from behind it",
    )


def _ends_within_backup(case: Case, chain: Chain) -> bool:
    return case.consistent_from is not None and case.consistent_from > chain.end


def _needed(case: Case) -> Lsn | None:
    """How far the WAL has to lead, where that is known."""
    if isinstance(case.plan.target, Latest):
        return None
    if isinstance(case.plan.target, Immediate):
        return case.consistent_from
    return case.stop.lsn if case.stop is not None else None


def _unread(case: Case) -> Iterator[CheckDone]:
    """Records on the way that cannot be read: replay ends there, up to 12 without a word."""
    needed = _needed(case)
    for hole in _holes(case):
        if needed is not None and hole.lsn >= needed:
            continue
        yield CheckDone(
            "readable WAL",
            Status.FAILURE,
            f"the WAL cannot be read at {hole.lsn}: {hole.why}",
            "look for another copy of that segment, or stop before it",
        )
        return
    ending = case.chronicle.ending if case.chronicle is not None else None
    if ending is not None and ending.kind is Ending.DAMAGED:
        yield CheckDone(
            "readable WAL",
            Status.FAILURE if isinstance(case.plan.target, Latest) else Status.NOTE,
            f"the WAL ends with a record that is damaged, at {ending.lsn}: {ending.why}",
            "look for another copy of that segment",
        )


def _holes(case: Case) -> Iterator[Unread]:
    """What breaks the way, in the archive's WAL and in what the backup brings along."""
    chronicle, broken = case.chronicle, case.brought.broken if case.brought else None
    for hole in chronicle.holes if chronicle is not None else ():
        passed = hole.until is not None and hole.until <= case.start
        if not passed and not _is_brought(case, hole):
            yield hole
    if broken is not None and (_is_amid(case, broken) or broken.kind is Ending.DAMAGED):
        yield broken


def _is_amid(case: Case, broken: Unread) -> bool:
    """Whether there is more to be replayed than the backup's own WAL that ends there."""
    chain, end = case.chain, case.consistent_from
    return broken.lsn + chain.first.size < chain.end or (end is not None and broken.lsn < end)


def _is_brought(case: Case, hole: Unread) -> bool:
    """Whether the backup brings along the whole segments that the archive does not have.

    A hole begins with a record that goes on in them, and ends with the first behind them.
    """
    if case.brought is None or hole.until is None or hole.kind is not Ending.CUT:
        return False
    size = case.plan.backup.segment_size
    missing = range(-(-hole.lsn // size), hole.until // size)
    return bool(missing) and {one.number for one in case.brought.segments}.issuperset(missing)


def _unusable(case: Case, known: Holdings | None) -> Iterator[CheckDone]:
    """Files that are not what their names say; those on the way have broken the chain already."""
    if known is None:
        return
    found = [one for ranges in known.unusable.values() for one in ranges]
    if found:
        first = found[0]
        count = sum(one.range.count for one in found)
        yield CheckDone(
            "contents",
            Status.NOTE,
            f"{count_text(count, 'file')} of the archive cannot be used, the first of them "
            f"{first.range.first.name} ({first.fault.kind}): {first.why}",
            "none of them is delivered to the server",
        )
    else:
        yield CheckDone("contents", Status.OK, "every segment is what its name says")


def _nothing_behind(case: Case) -> CheckDone:
    """An archive without any WAL for this backup. Raises RefusedError when it should end there."""
    plan = case.plan
    where, start = plan.archive.directory, plan.backup.start_segment.name
    held = case.held
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
    brought = isinstance(plan.target, Immediate)
    return CheckDone(
        "wal",
        Status.NOTE if brought else Status.WARNING,
        f"{has}; there is only what the backup brings along",
        "is it the right place, and is it mounted?",
    )


def _require_fork_copies(case: Case) -> None:
    """Raises RefusedError where the child's own copy of a segment with a fork in it is missing.

    The parent's goes on behind the fork, with what this branch never had.
    """
    plan = case.plan
    for fork in plan.history.forks:
        segment = WalSegment.at(fork.switch_lsn, fork.parent, plan.backup.segment_size)
        passed = fork.switch_lsn <= case.start or segment.start == fork.switch_lsn
        if passed or (case.stop is not None and case.stop.lsn <= segment.start):
            continue
        child = segment.on(plan.history.owner(segment.end))
        if plan.archive.find(child.name) is None:
            raise RefusedError(
                f"{child.name} is not in the archive",
                f"timeline {child.timeline} left {fork.parent} at {fork.switch_lsn}, within "
                "that segment, and needs its own copy",
                "look for it on the server that made the timeline, or stop before that segment",
            )
