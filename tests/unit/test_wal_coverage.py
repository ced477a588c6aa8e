"""What is said of an archive by the heads of its segments, against a model that counts slowly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import Fork, TimelineHistory
from pitr_tui.postgres.timestamp import moment
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal.coverage import Coverage, TimelineCoverage, coverage
from pitr_tui.wal.first_time import NO_TIME, UNPACKABLE
from pitr_tui.wal.header import SegmentHeader
from pitr_tui.wal.heads import HEAD, Fault, Heads
from pitr_tui.wal.holdings import holdings
from pitr_tui.wal.ranges import WalRange
from pitr_tui.wal.windows import BackupMark, Window
from tests.unit.made import MEGABYTE, SYSTEM, header_bytes, segment

OTHER = 4711


@dataclass
class File:
    """A segment's file as the index sees it."""

    of: WalSegment
    head: bytes = b""
    begun: bool = False
    packed: bool = False
    bytes: int = MEGABYTE
    error: int = 0
    time: int = NO_TIME


def table(files: Iterable[File]) -> Heads:
    rows = []
    for file in files:
        names = tuple(int(file.of.name[at : at + 8], 16) for at in (0, 8, 16))
        head = (file.head or header_bytes(file.of)).ljust(40, b"\0")
        header = np.frombuffer(head[:40], HEAD["header"])[0]
        rows.append(
            (*names, file.begun, file.packed, file.bytes, file.error, header.item(), file.time)
        )
    return np.array(rows, HEAD)


def history(timeline: int, *forks: tuple[int, int]) -> TimelineHistory:
    """A history by its forks: the parent and the position at which it was left."""
    return TimelineHistory(
        TimelineId(timeline), tuple(Fork(TimelineId(p), Lsn(lsn), "why") for p, lsn in forks)
    )


def covered(
    files: Iterable[File],
    histories: Iterable[TimelineHistory] = (),
    backups: Iterable[BackupMark] = (),
) -> Coverage:
    known = {one.timeline: one for one in histories}
    return coverage(holdings(table(files), known), tuple(backups))


def mark(number: int, timeline: int = 1, stop: int | None = None, name: str = "b") -> BackupMark:
    """A backup that begins in a segment; it ends in it too unless another is named."""
    start = segment(number, timeline).start + 0x28
    end = segment(stop or number, timeline).start + 0x120
    return BackupMark(name, TimelineId(timeline), start, start, end)


def numbers(runs: Iterable[WalRange]) -> list[tuple[int, int]]:
    return [(run.first.number, run.last.number) for run in runs]


def runs_of(one: TimelineCoverage) -> list[tuple[int, int]]:
    return numbers(stretch.range for stretch in one.stretches)


def test_an_empty_archive_covers_nothing() -> None:
    found = covered([])
    assert found.cluster.system_identifier is None
    assert (found.timelines, found.windows, found.stranded) == ((), (), ())


def test_a_backup_alone_is_stranded() -> None:
    found = covered([], backups=[mark(3)])
    assert found.windows == ()
    assert "is missing" in found.stranded[0].why
    assert [one.timeline for one in found.timelines] == [1]


def test_gaps_part_what_there_is_and_a_window_ends_at_the_first() -> None:
    files = [File(segment(n), time=n * 1_000_000) for n in (2, 3, 4, 7, 9)]
    found = covered(reversed(files), backups=[mark(2), mark(8, name="later")])
    (one,) = found.timelines
    assert runs_of(one) == [(2, 4), (7, 7), (9, 9)]
    assert numbers(one.gaps) == numbers(one.missing) == [(5, 6), (8, 8)]
    assert one.degraded
    assert one.stretches[0].first_time == moment(2_000_000)
    assert one.stretches[0].last_time == moment(4_000_000)
    (window,) = found.windows
    assert (window.end_lsn, window.end_time) == (segment(5).start, moment(4_000_000))
    assert window.stopped_by == f"{segment(5).name} is missing"
    (lost,) = found.stranded
    assert lost.backup.name == "later"
    assert lost.why.startswith(f"{segment(8).name} is missing")


def test_an_archive_without_a_gap_stops_at_its_end_without_a_reason() -> None:
    (window,) = covered([File(segment(n)) for n in (2, 3, 4)], backups=[mark(2)]).windows
    assert (window.end_lsn, window.stopped_by, window.end_time) == (segment(4).end, "", None)


def test_what_the_backup_brings_along_closes_a_gap() -> None:
    own = BackupMark("b", TimelineId(1), Lsn(0x200028), Lsn(0x200028), Lsn(0x300120))
    files = [File(segment(n)) for n in (4, 5)]
    assert covered(files, backups=[own]).windows == ()
    with_wal = BackupMark(
        "b", TimelineId(1), own.start_lsn, own.checkpoint_lsn, own.stop_lsn, own=frozenset((2, 3))
    )
    (window,) = covered(files, backups=[with_wal]).windows
    assert numbers(window.way) == [(2, 5)]


@pytest.mark.parametrize("last", [(), (8,)], ids=["at the end", "with a gap behind"])
def test_a_segment_that_was_begun_is_the_last_of_its_window(last: tuple[int, ...]) -> None:
    files = [File(segment(n)) for n in (2, 3, *last)] + [File(segment(4), begun=True)]
    found = covered(files, backups=[mark(2)])
    (window,) = found.windows
    assert (window.begun, window.end_lsn) == (True, segment(4).end)
    assert bool(window.stopped_by) == bool(last)
    assert found.timelines[0].begun == (segment(4),)
    if last:
        assert window.stopped_by == f"{segment(4).name} was never finished"
        assert numbers(found.timelines[0].gaps) == [(4, 7)]


def forked() -> list[File]:
    """Timeline 1 has 2 to 6; timeline 2 left it in the middle of 4 and has 4 to 9."""
    return [File(segment(n)) for n in range(2, 7)] + [File(segment(n, 2)) for n in range(4, 10)]


def test_a_fork_makes_a_window_of_each_branch() -> None:
    found = covered(forked(), [history(2, (1, 0x400100))], [mark(2)])
    ways = {int(w.timeline): (numbers(w.way), w.end_lsn) for w in found.windows}
    assert ways == {
        1: ([(2, 6)], segment(6).end),
        2: ([(2, 3), (4, 9)], segment(9, 2).end),
    }
    child = found.timelines[1]
    assert child.fork == Fork(TimelineId(1), Lsn(0x400100), "why")
    assert child.closest_backup is not None
    assert (child.closest_backup.name, child.backups) == ("b", ())
    assert not any(one.degraded for one in found.timelines)


def test_a_parent_that_went_no_further_makes_no_window_of_its_own() -> None:
    files = [one for one in forked() if one.of.timeline == 2 or one.of.number < 4]
    found = covered(files, [history(2, (1, 0x400100))], [mark(2)])
    assert [int(window.timeline) for window in found.windows] == [2]


def test_a_child_needs_its_own_copy_of_the_segment_with_the_fork() -> None:
    """The parent's goes on behind the fork, with what the child never had."""
    files = [one for one in forked() if (one.of.timeline, one.of.number) != (2, 4)]
    found = covered(files, [history(2, (1, 0x400100))], [mark(2)])
    assert [int(window.timeline) for window in found.windows] == [1]
    assert numbers(found.timelines[1].gaps) == [(4, 4)]
    (branch,) = found.unreachable
    assert (branch.timeline, branch.why) == (2, f"{segment(4, 2).name} is missing")


def test_a_parent_is_needed_up_to_the_fork() -> None:
    files = [one for one in forked() if one.of.timeline == 2 or one.of.number == 2]
    found = covered(files, [history(2, (1, 0x400100))], [mark(2)])
    assert numbers(found.timelines[0].gaps) == [(3, 3)]
    assert [int(window.timeline) for window in found.windows] == [1]
    assert found.windows[0].end_lsn == segment(2).end


def test_a_fork_at_the_begin_of_a_segment_needs_the_parents_last_one() -> None:
    files = [File(segment(n)) for n in (2, 3)] + [File(segment(4, 2))]
    found = covered(files, [history(2, (1, 0x400000))], [mark(2)])
    assert [numbers(w.way) for w in found.windows] == [[(2, 3), (4, 4)]]


def test_a_backup_that_ended_behind_the_fork_does_not_lead_to_the_child() -> None:
    found = covered(forked(), [history(2, (1, 0x400100))], [mark(3, stop=5)])
    assert [int(window.timeline) for window in found.windows] == [1]
    assert found.unreachable == ()  # no WAL that comes later would help


def test_an_unknown_ancestry_is_told_and_its_own_backups_still_count() -> None:
    known = holdings(
        table([File(segment(n, 3)) for n in (5, 6)]), {}, {TimelineId(3): "no history"}
    )
    found = coverage(known, [mark(5, 3)])
    assert (found.timelines[0].problem, found.timelines[0].degraded) == ("no history", True)
    assert [numbers(window.way) for window in found.windows] == [[(5, 6)]]


@pytest.mark.parametrize(
    ("file", "fault", "words"),
    [
        (File(segment(3), error=13), Fault.UNREADABLE, "Permission denied"),
        (File(segment(3), error=UNPACKABLE), Fault.UNPACKABLE, "decompressed"),
        (File(segment(3), bytes=0, head=bytes(40)), Fault.EMPTY, "empty"),
        (File(segment(3), head=bytes(40)), Fault.NO_WAL, "zeros"),
        (File(segment(3), head=b"\x07" * 40), Fault.NO_WAL, "not begin like WAL"),
        (File(segment(3), head=header_bytes(segment(3), info=0)), Fault.NO_WAL, "not begin"),
        (File(segment(3), head=header_bytes(segment(3), size=99)), Fault.NO_WAL, "not begin"),
        (File(segment(3), head=header_bytes(segment(3), system=OTHER)), Fault.FOREIGN, "4711"),
        (
            File(segment(3), head=header_bytes(segment(3), magic=0xD110)),
            Fault.OTHER_VERSION,
            "PostgreSQL 15, not 18",
        ),
        (
            File(segment(3), head=header_bytes(segment(3), size=2 * MEGABYTE)),
            Fault.OTHER_SIZE,
            "2097152",
        ),
        (File(segment(3), bytes=12345), Fault.WRONG_LENGTH, "12,345 bytes instead of 1,048,576"),
        (File(segment(3), begun=True, bytes=2 * MEGABYTE), Fault.WRONG_LENGTH, "instead of"),
        (
            File(segment(3), head=header_bytes(segment(3), page=0x100000)),
            Fault.MISPLACED,
            "from 0/100000, its name says 0/300000",
        ),
        (
            File(segment(3), head=header_bytes(segment(3), timeline=2)),
            Fault.OTHER_TIMELINE,
            "on timeline 2, its name says 1",
        ),
    ],
)
def test_a_file_that_is_no_segment_is_told_with_its_reason(
    file: File, fault: Fault, words: str
) -> None:
    found = covered([*(File(segment(n)) for n in (1, 2, 4)), file], backups=[mark(1)])
    (one,) = found.timelines
    (bad,) = one.unusable
    assert (bad.fault, numbers([bad.range])) == (fault, [(3, 3)])
    assert words in bad.why
    assert runs_of(one) == [(1, 2), (4, 4)]
    assert (numbers(one.gaps), one.missing) == ([(3, 3)], ())
    assert found.windows[0].stopped_by == f"{segment(3).name} is {fault.kind}: {bad.why}"


def test_a_name_that_cannot_be_does_not_stand_for_another_segment() -> None:
    heads = table([File(segment(n)) for n in (4096, 4097)])
    heads["high"][0], heads["low"][0] = 0, 4096  # with segments of 1 MB that is never written
    found = coverage(holdings(heads, {}))
    (bad,) = found.timelines[0].unusable
    assert bad.fault is Fault.IMPOSSIBLE_NAME
    assert runs_of(found.timelines[0]) == [(4097, 4097)]


def test_a_compressed_segment_and_a_short_begun_one_may_have_any_length() -> None:
    files = [
        File(segment(1), packed=True, bytes=1000),
        File(segment(2), packed=True, bytes=MEGABYTE + 500),
        File(segment(3), begun=True, bytes=8192),
    ]
    (one,) = covered(files).timelines
    assert (one.unusable, one.segments) == ((), 2)
    assert one.packed_ratio == pytest.approx(2 * MEGABYTE / (1000 + MEGABYTE + 500))


def test_neighbours_with_the_same_fault_are_told_of_once() -> None:
    strangers = [
        File(segment(n), head=header_bytes(segment(n), system=OTHER + (n > 6))) for n in range(4, 9)
    ]
    (one,) = covered([*(File(segment(n)) for n in range(20, 30)), *strangers]).timelines
    assert [(numbers([b.range]), b.fault) for b in one.unusable] == [
        ([(4, 6)], Fault.FOREIGN),
        ([(7, 8)], Fault.FOREIGN),
    ]


def test_a_gap_is_told_without_the_strangers_in_it() -> None:
    files = [File(segment(n)) for n in (1, 9)]
    files += [File(segment(n), head=bytes(40)) for n in (3, 4, 7)]
    (one,) = covered(files).timelines
    assert numbers(one.gaps) == [(2, 8)]
    assert numbers(one.missing) == [(2, 2), (5, 6), (8, 8)]


def test_the_backups_cluster_decides_who_is_a_stranger() -> None:
    files = [File(segment(n), head=header_bytes(segment(n), system=OTHER)) for n in (1, 2, 3)]
    known = holdings(table([*files, File(segment(4))]), {}, system_identifier=SYSTEM)
    assert runs_of(coverage(known).timelines[0]) == [(4, 4)]
    absent = coverage(holdings(table(files), {}, system_identifier=SYSTEM))
    assert absent.cluster.major is None
    assert numbers(bad.range for bad in absent.timelines[0].unusable) == [(1, 3)]


def test_a_backup_of_another_cluster_is_stranded() -> None:
    start = Lsn(0x200028)
    stranger = BackupMark("b", TimelineId(1), start, start, system_identifier=OTHER)
    found = covered([File(segment(2))], backups=[stranger])
    assert (found.windows, len(found.stranded)) == ((), 1)
    assert "another cluster" in found.stranded[0].why


@given(st.binary(min_size=40, max_size=40), st.integers(0, 3 * MEGABYTE))
def test_any_head_is_judged_as_one_by_itself_would_be(head: bytes, size: int) -> None:
    """`SegmentHeader` reads them one by one when they are fetched: both must agree."""
    from pitr_tui.errors import PitrError

    good = [File(segment(n)) for n in (1, 2, 3)]
    known = holdings(table([*good, File(segment(4), head=head, bytes=size)]), {})
    usable = known.held[TimelineId(1)].run_from(4) == 5
    try:
        why_not = SegmentHeader.parse(head).why_not(segment(4), SYSTEM, "18")
    except PitrError as error:
        why_not = error.what
    assert usable == (why_not is None and size == MEGABYTE)


# A world small enough to be counted through: three timelines, forks anywhere in a few segments.

SIZE = MEGABYTE
MANY = 9


@dataclass(frozen=True)
class World:
    held: Mapping[int, frozenset[int]]
    begun: Mapping[int, frozenset[int]]
    histories: Mapping[int, TimelineHistory]
    backup: BackupMark


@st.composite
def worlds(draw: st.DrawFn) -> World:
    some = st.frozensets(st.integers(0, MANY))
    first = draw(st.integers(0x30, MANY * SIZE))
    second = draw(st.integers(first, MANY * SIZE))
    parent = draw(st.sampled_from((1, 2)))
    third = (
        [(1, first), (2, second)] if parent == 2 else [(1, draw(st.integers(0x30, MANY * SIZE)))]
    )
    held = {t: draw(some) for t in (1, 2, 3)}
    begun = {t: draw(some) - held[t] for t in (1, 2, 3)}
    timeline = draw(st.sampled_from((1, 2, 3)))
    start = draw(st.integers(0x28, MANY * SIZE))
    stop = draw(st.none() | st.integers(start + 1, MANY * SIZE + 1))
    backup = BackupMark(
        "b",
        TimelineId(timeline),
        Lsn(start),
        Lsn(start),
        None if stop is None else Lsn(stop),
        own=draw(some) if draw(st.booleans()) else frozenset(),
    )
    histories = {1: history(1), 2: history(2, (1, first)), 3: history(3, *third)}
    return World(held, begun, histories, backup)


def model_way(world: World, target: int) -> tuple[list[tuple[int, int]], int, bool]:
    """The (timeline, number) of each segment on the way, the number it ends at, whether begun."""
    way: list[tuple[int, int]] = []
    number = int(world.backup.start_lsn) // SIZE
    while True:
        owner = int(world.histories[target].owner(Lsn((number + 1) * SIZE - 1)))
        own = owner == world.backup.timeline and number in world.backup.own
        if number in world.held[owner] or own:
            way.append((owner, number))
            number += 1
            continue
        begun = number in world.begun[owner]
        return way + [(owner, number)] * begun, number + begun, begun


def model_windows(world: World) -> dict[int, tuple[list[tuple[int, int]], int, bool]]:
    backup, home = world.backup, int(world.backup.timeline)
    way, end, begun = model_way(world, home)
    if end * SIZE < int(backup.stop_lsn or backup.start_lsn + 1):
        return {}
    found = {home: (way, end, begun)}
    for target in (1, 2, 3):
        lsns = (backup.checkpoint_lsn, Lsn(int(backup.stop_lsn or backup.checkpoint_lsn + 1) - 1))
        if target == home or not all(world.histories[target].owner(lsn) == home for lsn in lsns):
            continue
        way, end, begun = model_way(world, target)
        if way and way[-1][0] == target:
            found[target] = (way, end, begun)
    return {
        target: one
        for target, one in found.items()
        if not any(
            other != target and not one[2] and one[0] and set(one[0]) <= set(found[other][0])
            for other in found
        )
    }


def each(window: Window) -> list[tuple[int, int]]:
    return [
        (int(run.first.timeline), number)
        for run in window.way
        for number in range(run.first.number, run.last.number + 1)
    ]


@given(worlds())
def test_windows_are_those_of_the_model(world: World) -> None:
    files = [File(segment(n, t)) for t, numbers in world.held.items() for n in numbers]
    files += [
        File(segment(n, t), begun=True) for t, numbers in world.begun.items() for n in numbers
    ]
    heads = table([*files, File(segment(1000, 9))])  # so that the cluster is known
    histories = {one.timeline: one for one in world.histories.values() if one.forks}
    found = coverage(holdings(heads, histories), [world.backup])
    windows = {int(w.timeline): (each(w), int(w.end_lsn) // SIZE, w.begun) for w in found.windows}
    assert windows == model_windows(world)
    assert bool(found.stranded) == (not windows)


@given(worlds())
def test_gaps_are_those_of_the_model(world: World) -> None:
    files = [File(segment(n, t)) for t, numbers in world.held.items() for n in numbers]
    histories = {one.timeline: one for one in world.histories.values() if one.forks}
    heads = table([*files, File(segment(1000, 9))])
    for one in coverage(holdings(heads, histories)).timelines:
        held = world.held.get(int(one.timeline), frozenset())
        needed: set[int] = set()
        if held and one.timeline != 9:
            forks = world.histories[int(one.timeline)].forks
            begin = min(held) if not forks else min(min(held), int(forks[-1].switch_lsn) // SIZE)
            left = [
                int(fork.switch_lsn) // SIZE
                for history in world.histories.values()
                for fork in history.forks
                if fork.parent == one.timeline
            ]
            needed = set(range(begin, max(max(held) + 1, *left, 0)))
        gaps = {n for first, last in numbers(one.gaps) for n in range(first, last + 1)}
        assert gaps == needed - held
        if one.timeline != 9:
            runs = {n for first, last in runs_of(one) for n in range(first, last + 1)}
            assert runs == held
