"""Records that cross pages, windows and segments, and what is said where they do not fit."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal import segment as segment_module
from pitr_tui.wal.facts import SegmentFacts
from pitr_tui.wal.header import HEADER_BYTES
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.seam import Seam, Unread
from pitr_tui.wal.segment import parts_of, read_segment
from tests.wal.made_wal import MEGABYTE, PAGE, WalWriter, main_data

NOTHING = np.empty(0, dtype=np.uint64)
MESSAGE = 21  # a resource manager whose records may be long


def facts_of(segments: Iterable[tuple[WalSegment, bytes]]) -> list[SegmentFacts]:
    facts = [read_segment(io.BytesIO(data).read, one, NOTHING) for one, data in segments]
    return [SegmentFacts.unpack(one.pack()) for one in facts]


def read_all(facts: Iterable[SegmentFacts]) -> tuple[int, list[Unread]]:
    """How many records there are, and what could not be read."""
    seam, records, unread = Seam(NOTHING), 0, []
    for one in facts:
        if seam.passes_over(one):
            continue
        missing, joined = seam.join(one)
        unread += [missing] if missing else []
        records += one.tally.records + (joined.records if joined else 0)
    end = seam.end()
    return records, unread + ([end] if end else [])


def written(count: int, size: int) -> WalWriter:
    writer = WalWriter()
    for number in range(count):
        writer.record(MESSAGE, 0, 700 + number, main_data(bytes([number % 251]) * size))
    return writer


@pytest.mark.parametrize(
    ("count", "size"), [(9000, 200), (40, 60_000), (3, 1_400_000), (1, 3_500_000), (7, MEGABYTE)]
)
def test_records_cross_pages_and_segments(count: int, size: int) -> None:
    writer = written(count, size)
    records, unread = read_all(facts_of(writer.segments()))
    assert records == count
    (end,) = unread
    assert (end.kind, end.until) == (Ending.UNWRITTEN, None)
    assert end.lsn - writer.position <= 24  # a page may still have its header before it


@given(
    sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=60),
    window=st.sampled_from([PAGE, 3 * PAGE, 64 * PAGE]),
)
@settings(max_examples=60, deadline=None)
def test_the_windows_make_no_difference(sizes: list[int], window: int) -> None:
    writer = WalWriter()
    for number, size in enumerate(sizes):
        writer.record(MESSAGE, 0, 700, main_data(bytes([number % 251]) * size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment_module, "WINDOW_BYTES", window)
        facts = facts_of(writer.segments())
    records, unread = read_all(facts)
    assert records == len(sizes)
    assert [one.kind for one in unread] == [Ending.UNWRITTEN]
    assert sum(int(one.tally.spans["bytes"].sum()) for one in facts) <= sum(sizes) + 29 * len(sizes)


def test_a_missing_segment_is_named_and_the_rest_read() -> None:
    segments = written(40, 60_000).segments()
    everything, _ = read_all(facts_of(segments))
    records, (gap, _) = read_all(facts_of([segments[0], *segments[2:]]))
    assert gap.kind is Ending.CUT
    assert gap.lsn < segments[1][0].start < segments[2][0].start < (gap.until or 0)
    assert records < everything


def test_the_next_segment_of_another_history_does_not_fit() -> None:
    ours, theirs = written(40, 60_000).segments(), written(50, 47_000).segments()
    _, unread = read_all(facts_of([ours[0], *theirs[1:]]))
    assert unread[0].kind is Ending.DAMAGED
    assert unread[0].lsn >= ours[0][0].start


def test_a_record_that_does_not_end_is_told() -> None:
    segments = written(3, 1_400_000).segments()
    _, (unread,) = read_all(facts_of(segments[:1]))
    assert unread.kind is Ending.CUT
    assert "ends in a segment that is not there" in unread.why


def test_a_record_cut_off_by_a_crash_is_given_up() -> None:
    writer = WalWriter()
    writer.insert(700)
    writer.fill_page(left=64)
    writer.part(MESSAGE, 0, 701, main_data(bytes(500)), 64)
    writer.give_up()
    writer.record(0, 0xD0, 0, main_data(bytes(16)))
    writer.commit(700)
    facts = facts_of(writer.segments())
    records, (end,) = read_all(facts)
    assert records == len(writer.lsns)
    assert end.kind is Ending.UNWRITTEN
    assert 701 not in facts[0].tally.spans["xid"]


def test_a_record_cut_off_at_the_end_of_a_segment_is_given_up() -> None:
    writer = WalWriter()
    while writer.position < writer.start + MEGABYTE - PAGE:
        writer.fill_page()
    writer.fill_page(left=64)
    writer.part(MESSAGE, 0, 701, main_data(bytes(500)), 64)
    writer.give_up()
    writer.record(0, 0xD0, 0, main_data(bytes(16)))
    writer.commit(700)
    segments = writer.segments()
    assert len(segments) == 2
    records, (end,) = read_all(facts_of(segments))
    assert records == len(writer.lsns)
    assert end.kind is Ending.UNWRITTEN


def test_a_switch_ends_a_segment_whatever_is_behind_it() -> None:
    writer = WalWriter()
    writer.insert(700)
    writer.record(0, 0x40, 0)
    (segment, data), *_ = writer.segments()
    at = writer.position - writer.start
    facts = facts_of([(segment, data[:at] + b"\x5a" * (len(data) - at))])
    assert facts[0].stop is None
    assert facts[0].tally.records == 2


def test_a_file_that_ends_too_early_is_told() -> None:
    facts = facts_of(written(40, 60_000).segments(last=200_001))
    stop = facts[-1].stop
    assert stop is not None
    assert stop.kind is Ending.CUT
    assert "has 200,001 bytes instead of 1,048,576" in stop.why


def test_older_wal_in_a_file_used_again_is_the_end() -> None:
    writer = written(100, 900)
    (segment, data), *_ = writer.segments()
    older = written(9000, 100).segments()[0][1]
    page = -(-(writer.position - writer.start) // PAGE) * PAGE
    old = bytearray(older[page:])
    for at in range(0, len(old), PAGE):
        old[at + 8 : at + 16] = (segment.start - MEGABYTE + page + at).to_bytes(8, "little")
    (facts,) = facts_of([(segment, data[:page] + bytes(old))])
    assert facts.stop is not None
    assert facts.stop.kind in (Ending.UNWRITTEN, Ending.RECYCLED)
    assert facts.tally.records == 100


def test_a_flipped_bit_is_found_where_it_is() -> None:
    writer = written(2000, 300)
    (segment, data), *_ = writer.segments()
    for number in (0, 17, 1999):
        broken = bytearray(data)
        broken[writer.lsns[number] - writer.start + 60] ^= 0x10
        (facts,) = facts_of([(segment, bytes(broken))])
        assert facts.stop is not None
        assert (facts.stop.kind, facts.stop.lsn) == (Ending.DAMAGED, writer.lsns[number])
        assert facts.tally.records == number


def facts_of_parts(segments: Iterable[tuple[WalSegment, bytes]]) -> list[SegmentFacts]:
    """The same WAL, each segment read in parts by a reader that is told where it begins."""
    found = []
    for one, data in segments:
        for part in parts_of(one):
            file = io.BytesIO(data)
            head = file.read(HEADER_BYTES)
            file.seek(part.start - one.start)
            found.append(read_segment(file.read, part.own, NOTHING, head))
    return [SegmentFacts.unpack(one.pack()) for one in found]


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_module, "_PART_BYTES", MEGABYTE)
    monkeypatch.setattr(segment_module, "WINDOW_BYTES", MEGABYTE // 4)


def large(sizes: Iterable[int]) -> WalWriter:
    writer = WalWriter(start=Lsn(4 * MEGABYTE), segment_size=4 * MEGABYTE)
    for number, size in enumerate(sizes):
        writer.record(MESSAGE, 0, 700 + number % 50, main_data(bytes([number % 251]) * size))
    return writer


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize(
    "sizes", [[900] * 9000, [70_000] * 130, [1_300_000] * 7, [5_500_000] * 2, [100]]
)
def test_parts_say_what_the_whole_segment_says(sizes: list[int]) -> None:
    segments = large(sizes).segments()
    whole, parts = read_all(facts_of(segments)), read_all(facts_of_parts(segments))
    assert parts == whole
    assert whole[0] == len(sizes)


@pytest.mark.usefixtures("_small_parts")
def test_parts_behind_a_switch_hold_nothing() -> None:
    writer = large([900] * 1500)
    writer.record(0, 0x40, 0)
    (segment, data), *_ = writer.segments()
    nonsense = b"\x5a" * (len(data) - (writer.position - writer.start))
    behind = data[: len(data) - len(nonsense)] + nonsense
    assert read_all(facts_of_parts([(segment, behind)])) == (1501, [])


@pytest.mark.usefixtures("_small_parts")
def test_damage_in_a_part_leaves_the_next_one_readable() -> None:
    writer = large([900] * 4000)
    (segment, data), *_ = writer.segments()
    broken = bytearray(data)
    broken[writer.lsns[100] - writer.start + 60] ^= 0x10
    records, (gap, end) = read_all(facts_of_parts([(segment, bytes(broken))]))
    assert (gap.kind, gap.lsn) == (Ending.DAMAGED, writer.lsns[100])
    assert gap.until is not None
    assert segment.start + MEGABYTE <= gap.until < segment.start + MEGABYTE + 2 * PAGE
    assert 2500 < records < 4000
    assert end.until is None


@pytest.mark.usefixtures("_small_parts")
def test_a_cut_file_is_told_by_the_part_in_which_it_ends() -> None:
    segments = large([900] * 4000).segments(last=2_500_001)
    _, (end,) = read_all(facts_of_parts(segments))
    assert end.kind is Ending.CUT
    assert "has 2,500,001 bytes instead of 4,194,304" in end.why


def test_facts_of_another_format_are_refused() -> None:
    from pitr_tui.errors import PitrError

    packed = facts_of(written(3, 50).segments())[0].pack()
    with pytest.raises(PitrError, match="cannot be used"):
        SegmentFacts.unpack(packed[:-7])
    with pytest.raises(PitrError, match="cannot be used"):
        SegmentFacts.unpack(b"nonsense")


def test_facts_survive_their_packing() -> None:
    for facts in facts_of(written(40, 60_000).segments()):
        again = SegmentFacts.unpack(facts.pack())
        assert replace(again, tally=facts.tally) == facts
