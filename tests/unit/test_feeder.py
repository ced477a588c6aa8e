"""The feeder before a made archive: ahead of replay, never a false `absent`, never half a file."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import lz4.frame
import pytest
import zstandard

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import Fork, TimelineHistory
from pitr_tui.recovery import feeder as feeder_module
from pitr_tui.recovery.events import Event, FeedFailed, NameAbsent, SegmentStaged
from pitr_tui.recovery.feeder import WalFeeder, WalSource
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.osuser import OsUser
from pitr_tui.storage.path import WritePath
from tests.local import on_disk
from tests.unit.made import (
    MEGABYTE,
    SYSTEM,
    header_bytes,
    make_archive,
    segment,
    segment_bytes,
    wait_until,
)

FIRST = TimelineHistory(TimelineId(1))
# Timeline 2 left timeline 1 in the middle of segment 4.
BRANCH = TimelineHistory(TimelineId(2), (Fork(TimelineId(1), Lsn(0x480000), "no recovery target"),))


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many attempts as ever, without the pauses between them."""
    pauses = tuple(0.0 for _ in feeder_module._RETRY_PAUSES)
    monkeypatch.setattr(feeder_module, "_RETRY_PAUSES", pauses)


@dataclass
class Feed:
    """A feeder with the other side of its meeting place."""

    feeder: WalFeeder
    events: list[Event] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        return on_disk(self.feeder.directory)

    @property
    def ready(self) -> list[str]:
        return sorted(path.name for path in (self.directory / "ready").iterdir())

    def tick(self) -> None:
        self.events += self.feeder.tick()

    def until(self, condition: Callable[[], bool]) -> None:
        def reached() -> bool:
            self.tick()
            return condition()

        wait_until(reached)

    def settle(self) -> None:
        """Tick until there is nothing more to do; what one fetch brought may start others."""
        busy = True
        while busy:
            self.until(lambda: not self.feeder._started)
            self.tick()
            busy = bool(self.feeder._started)

    def ask(self, name: str) -> str:
        """Ask for a name and give the answer, or `ready`."""
        (self.directory / "asked" / name).touch()
        answer = self.directory / "answers" / name
        self.until(lambda: answer.exists() or name in self.ready)
        return answer.read_text() if answer.exists() else "ready"

    def take(self, name: str) -> bytes:
        """What the script does with a file that is ready."""
        path = self.directory / "ready" / name
        data = path.read_bytes()
        path.unlink()
        return data


Start = Callable[..., Feed]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a feeder for an archive; it ends with the test."""
    feeds: list[Feed] = []

    def started(
        archive: WalArchive,
        history: TimelineHistory = FIRST,
        number: int = 2,
        source: type[WalSource] = WalSource,
    ) -> Feed:
        wal = source(archive, SYSTEM, "18", segment(number), history)
        feeds.append(Feed(WalFeeder(wal, tmp_path / "feed", OsUser.current())))
        feeds[-1].feeder.prepare()
        return feeds[-1]

    yield started
    for feed in feeds:
        feed.feeder.stop()


def names(*numbers: int, timeline: int = 1) -> list[str]:
    return [segment(number, timeline).name for number in numbers]


def test_it_reads_ahead_but_not_too_far(tmp_path: Path, start: Start) -> None:
    feed = start(make_archive(tmp_path / "a", *map(segment, range(1, 14))))
    feed.settle()
    assert feed.ready == names(*range(2, 10))
    feed.take(segment(2).name)
    feed.take(segment(3).name)
    feed.settle()
    assert feed.ready == names(*range(4, 12))
    staged = [event.name for event in feed.events if isinstance(event, SegmentStaged)]
    assert sorted(staged) == names(*range(2, 12))
    assert {e.bytes for e in feed.events if isinstance(e, SegmentStaged)} == {MEGABYTE}


def test_what_it_lays_ready_is_the_segment_for_its_user_alone(tmp_path: Path, start: Start) -> None:
    archive = make_archive(tmp_path / "a", segment(2))
    packed = zstandard.ZstdCompressor().compress(segment_bytes(segment(3)))
    (tmp_path / "a" / f"{segment(3).name}.zst").write_bytes(packed)
    (tmp_path / "a" / f"{segment(4).name}.gz").write_bytes(gzip.compress(segment_bytes(segment(4))))
    lz4_packed = lz4.frame.compress(segment_bytes(segment(5)))
    (tmp_path / "a" / f"{segment(5).name}.lz4").write_bytes(lz4_packed)
    feed = start(archive)
    feed.settle()
    for path in (feed.directory / "ready").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    for number in (2, 3, 4, 5):
        assert feed.take(segment(number).name) == segment_bytes(segment(number))
    assert not any((feed.directory / "drafts").iterdir())


def test_a_segment_that_was_only_begun_is_the_end_of_the_way(tmp_path: Path, start: Start) -> None:
    archive = make_archive(tmp_path / "a", segment(2))
    begun = tmp_path / "a" / f"{segment(3).name}.partial"
    begun.write_bytes(segment_bytes(segment(3)))
    feed = start(archive)
    source = feed.feeder.source
    assert source.held() == {2: segment(2), 3: segment(3)}
    assert source.last_reachable() == segment(3)
    feed.settle()
    assert feed.ready == names(2)  # it still grows, so it is not read ahead
    assert feed.ask(segment(3).name) == "ready"
    assert feed.take(segment(3).name) == segment_bytes(segment(3))
    assert feed.ask(segment(4).name) == "absent\n"


def test_a_begun_segment_that_is_not_as_long_as_a_whole_one_is_refused(
    tmp_path: Path, start: Start
) -> None:
    """pg_receivewal fills it with zeros from the start; a shorter one is a copy cut off."""
    archive = make_archive(tmp_path / "a", segment(2))
    begun = tmp_path / "a" / f"{segment(3).name}.partial"
    begun.write_bytes(segment_bytes(segment(3))[:-1])
    feed = start(archive)
    assert feed.ask(segment(3).name) == "failed\n"
    (told,) = (event for event in feed.events if isinstance(event, FeedFailed))
    assert f"it has {MEGABYTE - 1:,} bytes instead of {MEGABYTE:,}" in told.why


def test_a_parents_begun_segment_is_no_substitute_for_the_childs(
    tmp_path: Path, start: Start
) -> None:
    """A promotion leaves the parent's last segment as `.partial`: it goes on behind the fork."""
    archive = make_archive(tmp_path / "a", segment(3))
    begun = tmp_path / "a" / f"{segment(4).name}.partial"
    begun.write_bytes(segment_bytes(segment(4)))
    feed = start(archive, BRANCH, number=3)
    assert feed.ask(segment(4).name) == "failed\n"
    child = segment(4, timeline=2)
    (tmp_path / "a" / child.name).write_bytes(segment_bytes(child))
    assert feed.feeder.source.held() == {3: segment(3), 4: child}
    assert feed.ask(child.name) == "ready"


def test_absence_is_answered_and_read_again_when_asked_again(tmp_path: Path, start: Start) -> None:
    archive = make_archive(tmp_path / "a", segment(2))
    feed = start(archive)
    feed.settle()
    assert feed.ask(segment(3).name) == "absent\n"
    assert feed.ask("00000002.history") == "absent\n"
    assert [e for e in feed.events if isinstance(e, NameAbsent)] == [
        NameAbsent(segment(3).name),
        NameAbsent("00000002.history"),
    ]
    # It arrives after all, with more behind it: the reading ahead begins again.
    (feed.directory / "answers" / segment(3).name).unlink()
    make_archive(tmp_path / "a", segment(3), segment(4), segment(5))
    assert feed.ask(segment(3).name) == "ready"
    feed.settle()
    assert set(names(3, 4, 5)) <= set(feed.ready)


def test_a_history_is_delivered_as_it_is(tmp_path: Path, start: Start) -> None:
    archive = make_archive(tmp_path / "a", segment(2))
    (tmp_path / "a" / "00000002.history.gz").write_bytes(gzip.compress(b"1\t0/400100\tx\n"))
    feed = start(archive)
    assert feed.ask("00000002.history") == "ready"
    assert feed.take("00000002.history") == b"1\t0/400100\tx\n"


SPOILT = {
    "too short": (segment_bytes(segment(3))[:-1], "1,048,575 bytes instead of 1,048,576"),
    "too long": (segment_bytes(segment(3)) + b"\0", "1,048,577 bytes instead of 1,048,576"),
    "empty": (b"", "0 bytes instead of"),
    "zeros": (bytes(MEGABYTE), "not a WAL segment"),
    "foreign": (segment_bytes(segment(3), system=SYSTEM + 1), "belongs to another cluster"),
    "recycled": (segment_bytes(segment(3), page=0x100000), "holds the WAL from 0/100000"),
    "older": (
        header_bytes(segment(3), magic=0xD116).ljust(MEGABYTE, b"\0"),
        "written by PostgreSQL 17",
    ),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_spoilt_segment_is_refused_and_never_absent(
    tmp_path: Path, start: Start, kind: str
) -> None:
    archive = make_archive(tmp_path / "a", segment(2), segment(4))
    data, why = SPOILT[kind]
    (tmp_path / "a" / segment(3).name).write_bytes(data)
    feed = start(archive)
    feed.settle()
    # Nobody needs it yet: the target may lie before it.
    assert segment(3).name not in feed.ready
    assert not any(isinstance(event, FeedFailed) for event in feed.events)
    assert feed.ask(segment(3).name) == "failed\n"
    (failed,) = [event for event in feed.events if isinstance(event, FeedFailed)]
    assert failed.name == segment(3).name
    assert why in failed.why
    assert segment(3).name not in feed.ready


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_compression_is_refused(tmp_path: Path, start: Start, damage: str) -> None:
    packed = bytearray(gzip.compress(segment_bytes(segment(2))))
    if damage == "cut":
        del packed[-9:]
    else:
        packed[-5] ^= 1
    archive = make_archive(tmp_path / "a")
    (tmp_path / "a" / f"{segment(2).name}.gz").write_bytes(packed)
    feed = start(archive)
    assert feed.ask(segment(2).name) == "failed\n"


@pytest.mark.parametrize("vanished", [False, True])
def test_an_archive_that_cannot_be_read_is_failed_never_absent(
    closable: Path, vanished: bool
) -> None:
    archive = make_archive(closable / "a", segment(2))
    source = WalSource(archive, SYSTEM, "18", segment(2), FIRST)
    feed = Feed(WalFeeder(source, closable / "feed", OsUser.current()))
    feed.feeder.prepare()
    if vanished:
        (closable / "a").rename(closable / "elsewhere")
    else:
        (closable / "a").chmod(0)
    try:
        for name in (segment(2).name, segment(3).name, "00000002.history"):
            assert feed.ask(name) == "failed\n"
    finally:
        feed.feeder.stop()
        if not vanished:
            (closable / "a").chmod(0o700)
    failures = [event for event in feed.events if isinstance(event, FeedFailed)]
    assert len(failures) == 3
    assert all("the WAL archive cannot be read" in event.why for event in failures)


def test_an_archive_that_comes_back_is_read_on(tmp_path: Path, start: Start) -> None:
    feed = start(make_archive(tmp_path / "a", *map(segment, (2, 3, 4))))
    (tmp_path / "a").rename(tmp_path / "away")
    feed.settle()
    assert feed.ready == []
    (tmp_path / "away").rename(tmp_path / "a")
    assert feed.ask(segment(2).name) == "ready"
    feed.settle()
    assert feed.ready == names(2, 3, 4)


def test_an_archive_that_was_unmounted_proves_no_absence(tmp_path: Path, start: Start) -> None:
    feed = start(make_archive(tmp_path / "a", *map(segment, (2, 3))))
    feed.settle()
    for path in (tmp_path / "a").iterdir():
        path.unlink()
    assert feed.ask(segment(4).name) == "failed\n"
    assert feed.ask("00000002.history") == "failed\n"


@dataclass(frozen=True, slots=True)
class FailingOnce(WalSource):
    """A source whose first attempts fail; how many are left stands in a file of its archive."""

    def fetch(self, name: str, place: WritePath) -> int | None:
        counter = on_disk(self.archive.directory) / "failures"
        left = int(counter.read_text())
        counter.write_text(str(left - 1))
        if left > 0:
            on_disk(place).write_bytes(b"half a file")
            raise PitrError("the network is down")
        return WalSource.fetch(self, name, place)


@pytest.mark.parametrize(("failures", "answer"), [(1, "ready"), (3, "ready"), (4, "failed\n")])
def test_a_failure_is_tried_again_before_it_is_given_up(
    tmp_path: Path, start: Start, failures: int, answer: str
) -> None:
    archive = make_archive(tmp_path / "a")
    (tmp_path / "a" / "00000002.history").write_text("1\t0/400100\tx\n")
    (tmp_path / "a" / "failures").write_text(str(failures))
    feed = start(archive, source=FailingOnce)
    assert feed.ask("00000002.history") == answer
    assert not any((feed.directory / "drafts").iterdir())


def test_an_early_failure_of_reading_ahead_counts_for_nothing(tmp_path: Path, start: Start) -> None:
    archive = make_archive(tmp_path / "a", segment(2))
    (tmp_path / "a" / "failures").write_text("3")
    feed = start(archive, source=FailingOnce)
    feed.settle()
    assert feed.ready == []
    assert feed.ask(segment(2).name) == "ready"


def test_a_branch_is_read_where_it_left_its_parent(tmp_path: Path, start: Start) -> None:
    segments = [segment(n) for n in (2, 3, 4, 5)] + [segment(n, timeline=2) for n in (4, 5, 6)]
    feed = start(make_archive(tmp_path / "a", *segments), BRANCH)
    feed.settle()
    assert feed.ready == sorted(names(2, 3) + names(4, 5, 6, timeline=2))


def test_a_name_that_makes_no_sense_stops_nothing(tmp_path: Path, start: Start) -> None:
    feed = start(make_archive(tmp_path / "a", segment(2)))
    assert feed.ask("RECOVERYHISTORY") == "absent\n"
    assert feed.ask(segment(2).name) == "ready"


def test_the_heartbeat_goes_on(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = start(make_archive(tmp_path / "a"))
    feed.tick()
    first = (feed.directory / "heartbeat").read_text()
    assert first.endswith("\n")
    monkeypatch.setattr(feeder_module, "_HEARTBEAT_SECONDS", 0.0)
    feed.until(lambda: (feed.directory / "heartbeat").read_text() != first)


def test_a_full_disk_is_told_as_that(tmp_path: Path, start: Start) -> None:
    feed = start(make_archive(tmp_path / "a", segment(2)))
    draft = feed.directory / "drafts" / f"{segment(2).name}.{feed.feeder._mark}"
    draft.symlink_to("/dev/full")
    feed.settle()  # nobody needs it yet
    assert not draft.is_symlink()
    draft.symlink_to("/dev/full")
    with pytest.raises(PitrError, match="cannot be handed to the secondary") as told:
        feed.ask(segment(2).name)
    assert "No space left" in told.value.why


class Hanging(WalSource):
    """An archive that answers when its test lets it, and not before."""

    def fetch(self, name: str, place: WritePath) -> int | None:
        (on_disk(place).parents[2] / "hangs").touch()
        answers = on_disk(place).parents[2] / "answers"
        wait_until(answers.exists, 30)
        return WalSource.fetch(self, name, place)


def test_what_hangs_is_given_up_and_lays_nothing_ready_later(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder_module, "_LAST_SECONDS", 0.01)
    feed = start(make_archive(tmp_path / "a", segment(2)), source=Hanging)
    feed.until((tmp_path / "hangs").exists)
    (future,) = (fetch.future for fetch in feed.feeder._started.values())
    feed.feeder.stop()
    assert not future.done()
    (tmp_path / "answers").touch()
    wait_until(future.done)
    assert feed.ready == []
    assert not any((feed.directory / "drafts").iterdir())


def test_a_meeting_place_that_is_gone_is_told(tmp_path: Path, start: Start) -> None:
    feed = start(make_archive(tmp_path / "a", segment(2)))
    (feed.directory / "asked").rmdir()
    with pytest.raises(PitrError, match="cannot be handed to the secondary"):
        feed.settle()


class TestFinish:
    """After the end of replay the server may still need some files, and we may be gone."""

    def test_histories_and_the_last_taken_segments_lie_ready(
        self, tmp_path: Path, start: Start
    ) -> None:
        archive = make_archive(tmp_path / "a", *map(segment, range(2, 7)))
        for timeline in (2, 3):
            (tmp_path / "a" / f"0000000{timeline}.history").write_text("1\t0/400100\tx\n")
        feed = start(archive)
        feed.settle()
        for number in (2, 3, 4):
            feed.take(segment(number).name)
        feed.feeder.finish()
        assert feed.ready == sorted(["00000002.history", "00000003.history", *names(3, 4, 5, 6)])
        assert (feed.directory / "closed").read_text() == ""

    def test_names_that_were_proved_absent_are_listed(self, tmp_path: Path, start: Start) -> None:
        feed = start(make_archive(tmp_path / "a", segment(2)))
        for name in (segment(3).name, "00000002.history"):
            assert feed.ask(name) == "absent\n"
        feed.feeder.finish()
        assert (feed.directory / "closed").read_text().splitlines() == sorted(
            [segment(3).name, "00000002.history"]
        )

    def test_the_last_are_the_last_however_long_each_took(
        self, tmp_path: Path, start: Start
    ) -> None:
        """Several are read at a time: the order in which they are done says nothing."""
        gate = threading.Event()

        @dataclass(frozen=True, slots=True)
        class Slow(WalSource):
            def fetch(self, name: str, place: WritePath) -> int | None:
                if name in names(2, 3):
                    assert gate.wait(10)
                return WalSource.fetch(self, name, place)

        feed = start(make_archive(tmp_path / "a", *map(segment, range(2, 6))), source=Slow)
        feed.until(lambda: feed.ready == names(4, 5))
        feed.tick()
        gate.set()
        feed.settle()
        for number in range(2, 6):
            feed.take(segment(number).name)
        feed.feeder.finish()
        assert feed.ready == names(4, 5)
