"""Damaged WAL: never a crash or a hang, never a record that is not there, and told where."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import zstandard

from pitr_tui.errors import PitrError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal.catalog import Catalog
from pitr_tui.wal.facts import SegmentFacts
from pitr_tui.wal.pages import Ending
from tests.unit.made import DATA
from tests.wal import ours
from tests.wal.cluster import MEGABYTE
from tests.wal.damage import (
    ON_A_PAGE,
    PAGE,
    Sample,
    forge,
    lie_about_a_length,
    made_up,
)
from tests.wal.histories import SHAPES, history_of
from tests.wal.made_wal import WalWriter
from tests.wal.waldump import waldump

PAGES = 10  # of a sample
AT_ONCE = 4  # damaged pages in a case
CASES = 9_000  # of each of the three majors: with AT_ONCE together more than 100,000 pages
FORGED = 1_500
COMPARED = 200
MANY = 16
MADE = 400
BETWEEN = 300
MEMORY = 150 * MEGABYTE

SHAPE_OF = {shape.major: shape for shape in SHAPES if shape.major in ("15", "18")}
MAJORS = [
    "9.6",
    *(pytest.param(major, marks=pytest.mark.integration) for major in SHAPE_OF),
]


def samples_of(major: str) -> list[Sample]:
    """The first pages of real segments."""
    found = [Sample(segment, data[: PAGES * PAGE]) for segment, data in segments_of(major)]
    return [one for one in found if one.facts.stop is not None and len(one.starts) > PAGES]


def segments_of(major: str) -> Iterator[tuple[WalSegment, bytes]]:
    if major == "9.6":
        for path in sorted((DATA / "pg96" / "archive").glob("*.zst")):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
            yield WalSegment.parse(path.stem), data
        return
    history = history_of(SHAPE_OF[major])
    for path in history.paths:
        yield history.segment(path), path.read_bytes()


@pytest.fixture(scope="module", params=MAJORS)
def samples(request: pytest.FixtureRequest) -> list[Sample]:
    found = samples_of(request.param)
    assert found
    return found


def check_told(sample: Sample, facts: SegmentFacts) -> None:
    """What is said of the end of the reading agrees with what was counted."""
    spans, tally = facts.tally.spans, facts.tally
    assert facts.stop is not None
    stop, why = facts.stop.lsn, facts.stop.why
    assert sample.segment.start <= stop <= sample.segment.end
    assert why
    assert not facts.tail
    assert facts.tail_lsn is None
    assert sample.segment.start <= facts.end <= stop
    assert facts.previous is None or facts.previous < facts.end
    assert all(end <= stop for end in spans["end"].tolist())
    assert all(end <= stop for end in tally.notes["end"].tolist())
    assert int(spans["records"].sum()) <= tally.records


def damage(sample: Sample, random: Random) -> bytes:
    data = bytearray(sample.data)
    for page in random.sample(range(sample.pages), AT_ONCE):
        random.choice(ON_A_PAGE)(data, page, random)
    if random.random() < 0.3:
        lie_about_a_length(data, sample, random)
    if random.random() < 0.1:
        del data[random.randrange(len(data)) :]
    return bytes(data)


def test_damaged_pages(samples: list[Sample]) -> None:
    """What is counted are the records before the damage: all of them, and no other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for case in range(CASES):
        random = Random(case)
        sample = random.choice(samples)
        data = damage(sample, random)
        try:
            facts = ours.facts_of_bytes(data, sample.segment)
        except PitrError:
            assert data[:40] != sample.data[:40], case
            continue
        check_told(sample, facts)
        counted = facts.tally.records
        broken = sample.first_broken(data)
        assert broken is None or counted <= broken, (case, broken)
        if data[:40] == sample.data[:40]:
            assert counted >= sample.intact_before(data), case
        if counted:
            assert facts.previous == sample.segment.start + sample.starts[counted - 1], case
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert grown < MEMORY


def test_forged_records(samples: list[Sample]) -> None:
    """Records that lie, with a right checksum, are read to the end without an exception."""
    for case in range(FORGED):
        random = Random(case)
        sample = random.choice(samples)
        data = bytearray(sample.data)
        for _ in range(random.choice((1, 3, 10))):
            forge(data, sample, random)
        catalog = Catalog(sample.facts.version)
        facts = ours.facts_of_bytes(bytes(data), sample.segment, catalog.watched)
        if facts.stop is not None:  # else one was forged into the switch to the next segment
            check_told(sample, facts)
            assert facts.tally.records == len(sample.starts), case
        reading = ours.read([facts], catalog)
        assert reading.unread, case


@pytest.mark.parametrize("major", ["10", "15", "18"])
def test_made_up_records(major: str) -> None:
    """Records of any kind with any content, over the end of a segment too."""
    version = PostgresVersion.parse(major)
    for case in range(MADE):
        random = Random(case)
        writer = WalWriter(version=version)
        for _ in range(random.choice((1, 3, 30))):
            made_up(writer, random)
            if random.random() < 0.1 and writer.position % PAGE < PAGE // 2:
                writer.fill_page(left=random.choice((0, 24, 32)))
        catalog = Catalog(version)
        segments = writer.segments()
        facts = [ours.facts_of_bytes(data, one, catalog.watched) for one, data in segments]
        assert sum(one.tally.records for one in facts) == len(writer.lsns), case
        reading = ours.read(facts, catalog)
        assert reading.unread, case


def test_a_made_up_record_between_segments() -> None:
    """It is counted when its rest is there, alone."""
    for case in range(BETWEEN):
        random = Random(case)
        writer = WalWriter()
        for _ in range(127):
            writer.fill_page()
        writer.fill_page(left=random.choice((8, 16, 24, 32)))
        made_up(writer, random)
        catalog = Catalog(writer.version)
        segments = writer.segments()
        facts = [ours.facts_of_bytes(data, one, catalog.watched) for one, data in segments]
        reading = ours.read(facts, catalog)
        ends = {Ending.UNWRITTEN, Ending.DAMAGED, Ending.LAST}
        assert {one.kind for one in reading.unread} <= ends, case
        assert len(reading.transactions) <= 1, case


def test_the_same_damage_to_many_records_is_seen(samples: list[Sample]) -> None:
    """Memory with a stuck bit does the same to every page; damage must not hide other damage."""
    seen = 0
    for sample in samples:
        by_length: dict[int, list[int]] = {}
        for start, length in zip(sample.starts, sample.lengths, strict=True):
            if start % PAGE + length <= PAGE and length > 40:
                by_length.setdefault(length, []).append(start)
        for length, starts in by_length.items():
            hit = starts[: len(starts) // 2 * 2]
            if len(hit) < MANY:
                continue
            data = bytearray(sample.data)
            for start in hit:
                data[start + length - 1] ^= 0x10
            facts = ours.facts_of_bytes(bytes(data), sample.segment)
            assert facts.stop is not None
            assert facts.stop.lsn == sample.segment.start + hit[0]
            seen += 1
    assert seen


def of_a_younger_timeline(data: bytes | bytearray, segment: WalSegment) -> bool:
    """Whether a page claims a timeline that was not there when its segment was named."""
    heads = range(4, len(data), PAGE)
    return any(int.from_bytes(data[at : at + 4], "little") > segment.timeline for at in heads)


@pytest.mark.integration
@pytest.mark.parametrize("major", SHAPE_OF)
def test_reading_stops_where_waldump_stops(major: str, tmp_path: Path) -> None:
    oracle, samples = waldump(major), samples_of(major)
    for case in range(COMPARED):
        random = Random(case)
        sample = random.choice(samples)
        data = bytearray(sample.data)
        if random.random() < 0.5:
            random.choice(ON_A_PAGE)(data, random.randrange(sample.pages), random)
        else:
            lie_about_a_length(data, sample, random)
        if data[:40] != sample.data[:40]:
            continue
        path = tmp_path / sample.segment.name
        path.write_bytes(data)
        told = oracle.read(path, path)
        facts = ours.facts_of_bytes(bytes(data), sample.segment)
        assert told.stop is not None
        if of_a_younger_timeline(data, sample.segment):  # waldump notices that a page later
            assert facts.tally.records <= told.records, case
        else:
            assert facts.tally.records == told.records, (case, facts.stop, told.stop)
            assert facts.previous == told.last, case
