"""WAL archives made by hand: what they hold, what is absent, and what cannot be told."""

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import zstandard

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timeline import TimelineHistory
from pitr_tui.postgres.walname import DEFAULT_SEGMENT_SIZE
from pitr_tui.repositories.archive import WalArchive
from tests.unit.made import (
    BACKUP_HISTORY_NAME,
    MEGABYTE,
    SYSTEM,
    backup_history_text,
    header_bytes,
    make_archive,
    segment,
    segment_bytes,
)

HISTORY = '1\t0/400100\tat restore point "x"\n'


def test_segments_histories_and_strangers_are_told_apart(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, segment(4), segment(2), segment(4, timeline=2))
    (tmp_path / "00000002.history").write_text(HISTORY)
    (tmp_path / BACKUP_HISTORY_NAME).write_text(backup_history_text())
    strangers = (
        *("README", f".{segment(5).name}.part", f"{segment(5).name}.gz.partial"),
        *(f"{segment(6).name}.Z", f"{segment(7).name}.ready", "0000000A.history.bak"),
    )
    for name in strangers:
        (tmp_path / name).write_text("x")
    listing = archive.listing()
    assert listing.segments == (segment(2), segment(4), segment(4, timeline=2))
    assert listing.partial == ()
    assert listing.histories == (2,)
    assert listing.backup_histories == (BACKUP_HISTORY_NAME,)
    assert listing.segment_size == MEGABYTE


def test_an_empty_archive_has_nothing(tmp_path: Path) -> None:
    listing = WalArchive(tmp_path).listing()
    assert (listing.segments, listing.partial, listing.histories) == ((), (), ())
    assert listing.ranges == ()
    assert listing.segment_size == DEFAULT_SEGMENT_SIZE
    assert listing.last_reachable(segment(1)) is None


def test_gaps_part_the_ranges(tmp_path: Path) -> None:
    numbers = (1, 2, 3, 5, 4095, 4096)  # 4096 begins the next of the name's middle numbers
    archive = make_archive(tmp_path, *map(segment, numbers), segment(4, timeline=2))
    listing = archive.listing()
    ranges = [(r.first.number, r.last.number, r.count, r.first.timeline) for r in listing.ranges]
    assert ranges == [(1, 3, 3, 1), (5, 5, 1, 1), (4095, 4096, 2, 1), (4, 4, 1, 2)]
    reachable = {n: listing.last_reachable(segment(n)) for n in (0, 1, 2, 4, 5, 4095)}
    assert reachable == {
        0: None,
        1: segment(3),
        2: segment(3),
        4: None,
        5: segment(5),
        4095: segment(4096),
    }


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor().compress),
        (".lz4", lz4.frame.compress),
    ],
)
@pytest.mark.parametrize("folder", ["", "00000001", "0000000100000000"])
def test_a_segment_is_found_and_read_wherever_it_lies(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes], folder: str
) -> None:
    third = segment(3)
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    (place / f"{third.name}{suffix}").write_bytes(compress(segment_bytes(third)))
    archive = WalArchive(tmp_path)
    assert archive.listing().segments == (third,)
    path = archive.find(third.name)
    assert path == place / f"{third.name}{suffix}"
    assert archive.header(third).why_not(third, SYSTEM, "18") is None
    assert archive.copy(path, tmp_path / "copy") == MEGABYTE
    assert (tmp_path / "copy").read_bytes() == segment_bytes(third)


def test_what_is_listed_can_be_found(tmp_path: Path) -> None:
    """A segment that is listed but not found would be taken for one that is lost."""
    for folder in ("archived", "00000002", "00000001/0000000100000000", "0000000100000001", "x"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / segment(3).name).write_bytes(segment_bytes(segment(3)))
    archive = WalArchive(tmp_path)
    assert archive.listing().segments == ()
    assert archive.find(segment(3).name) is None


def test_a_segment_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, segment(3))
    (tmp_path / f"{segment(3).name}.gz").write_bytes(gzip.compress(segment_bytes(segment(3))))
    assert archive.listing().segments == (segment(3),)
    assert archive.find(segment(3).name) == tmp_path / segment(3).name


def begun(place: Path, number: int) -> Path:
    """A segment as pg_receivewal has it until it is finished."""
    place.mkdir(exist_ok=True)
    path = place / f"{segment(number).name}.partial"
    path.write_bytes(segment_bytes(segment(number)))
    return path


def test_a_segment_that_was_only_begun_is_better_than_none(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, segment(2))
    path = begun(tmp_path, 3)
    listing = archive.listing()
    assert (listing.segments, listing.partial) == ((segment(2),), (segment(3),))
    assert [run.last for run in listing.ranges] == [segment(2)]
    assert listing.last_reachable(segment(2)) == segment(2)
    assert archive.find(segment(3).name) == path
    assert archive.header(segment(3)).why_not(segment(3), SYSTEM, "18") is None
    assert archive.copy(path, tmp_path / "copy") == MEGABYTE
    assert (tmp_path / "copy").read_bytes() == segment_bytes(segment(3))


@pytest.mark.parametrize("folder", ["", "00000001", "0000000100000000"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".lz4"])
def test_a_whole_segment_goes_before_one_that_was_begun(
    tmp_path: Path, folder: str, suffix: str
) -> None:
    begun(tmp_path, 3)
    (tmp_path / folder).mkdir(exist_ok=True)
    whole = tmp_path / folder / f"{segment(3).name}{suffix}"
    compress = {"": bytes, ".gz": gzip.compress, ".lz4": lz4.frame.compress}[suffix]
    whole.write_bytes(compress(segment_bytes(segment(3))))
    archive = WalArchive(tmp_path)
    listing = archive.listing()
    assert (listing.segments, listing.partial) == ((segment(3),), ())
    assert archive.find(segment(3).name) == whole


def test_begun_segments_alone_tell_the_size(tmp_path: Path) -> None:
    begun(tmp_path, 3)
    listing = WalArchive(tmp_path).listing()
    assert (listing.segments, listing.partial) == ((), (segment(3),))
    assert listing.segment_size == MEGABYTE


def test_a_begun_segment_counts_only_where_pg_receivewal_writes_it(tmp_path: Path) -> None:
    begun(tmp_path / "00000001", 3)
    archive = WalArchive(tmp_path)
    assert archive.listing().partial == ()
    assert archive.find(segment(3).name) is None


def test_a_begun_segment_that_somebody_compressed_does_not_count(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, segment(2))
    packed = tmp_path / f"{segment(3).name}.partial.gz"
    packed.write_bytes(gzip.compress(segment_bytes(segment(3))))
    assert archive.listing().partial == ()
    assert archive.listing().segments == (segment(2),)
    assert archive.find(segment(3).name) is None


@pytest.mark.parametrize("suffix", [".gz", ".lz4"])
def test_what_pg_receivewal_was_compressing_is_no_proof_of_absence(
    tmp_path: Path, suffix: str
) -> None:
    """Its compressed stream has no end yet, but it may hold what is asked for."""
    archive = make_archive(tmp_path, segment(2))
    path = tmp_path / f"{segment(3).name}{suffix}.partial"
    path.write_bytes(gzip.compress(segment_bytes(segment(3)))[:-100])
    assert archive.listing().partial == ()
    with pytest.raises(PitrError, match="in a form that cannot be read") as told:
        archive.find(segment(3).name)
    assert path.name in told.value.what
    path.rename(path.with_name(segment(3).name + suffix))
    assert archive.find(segment(3).name) is not None


def test_a_damaged_first_segment_does_not_hide_the_size(tmp_path: Path) -> None:
    archive = make_archive(tmp_path, segment(2), segment(3))
    (tmp_path / segment(2).name).write_bytes(header_bytes(segment(2), size=0))
    assert archive.listing().segment_size == MEGABYTE
    assert archive.listing().segments == (segment(2), segment(3))


def test_absence_is_proved_by_reading(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", segment(3))
    assert archive.find(segment(4).name) is None
    with pytest.raises(PitrError, match="is not in"):
        archive.header(segment(4))


def test_a_vanished_directory_is_not_absence(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive", segment(3))
    (tmp_path / "archive").rename(tmp_path / "elsewhere")
    for attempt in (lambda: archive.find(segment(4).name), archive.listing):
        with pytest.raises(PitrError, match="archive cannot be read"):
            attempt()


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400], ids=oct)
@pytest.mark.parametrize("closed", [".", "00000001", "0000000100000000"])
def test_an_unreadable_directory_is_not_absence(closable: Path, mode: int, closed: str) -> None:
    directory = closable / "archive"
    (directory / closed).mkdir(parents=True)
    archive = WalArchive(directory)
    (directory / closed).chmod(mode)
    try:
        # A directory that may be entered but not listed still answers for a name in it.
        if closed == "." or mode != 0o100:
            with pytest.raises(PitrError, match="archive cannot be read"):
                archive.find(segment(3).name)
        if mode != 0o400:
            with pytest.raises(PitrError, match="archive cannot be read"):
                archive.listing()
    finally:
        (directory / closed).chmod(0o700)


def test_a_link_to_nowhere_is_not_absence(tmp_path: Path) -> None:
    archive = make_archive(tmp_path)
    (tmp_path / segment(3).name).symlink_to("/nowhere/at/all")
    path = archive.find(segment(3).name)
    assert path is not None
    with pytest.raises(PitrError, match="cannot be read to its end"):
        archive.copy(path, tmp_path / "copy")


@pytest.mark.parametrize("name", ["file", "none"])
def test_what_is_no_directory_is_no_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError, match="no WAL archive at"):
        WalArchive(tmp_path / name)


def test_what_cannot_be_reached_is_no_archive(closable: Path) -> None:
    (closable / "closed" / "archive").mkdir(parents=True)
    (closable / "closed").chmod(0)
    try:
        with pytest.raises(RefusedError, match="no WAL archive at"):
            WalArchive(closable / "closed" / "archive")
    finally:
        (closable / "closed").chmod(0o700)


def test_a_history_is_read_or_its_absence_told(tmp_path: Path) -> None:
    archive = make_archive(tmp_path)
    assert archive.history(TimelineId(1)) == TimelineHistory(TimelineId(1))
    with pytest.raises(PitrError, match="where timeline 2 comes from"):
        archive.history(TimelineId(2))
    (tmp_path / "00000002.history.gz").write_bytes(gzip.compress(HISTORY.encode()))
    assert archive.history(TimelineId(2)).owner(Lsn(0x400100)) == 2


def test_a_restore_points_name_may_be_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "00000002.history").write_bytes(b'1\t0/400100\tat restore point "\xe9"\n')
    history = WalArchive(tmp_path).history(TimelineId(2))
    assert history.forks[0].reason == 'at restore point "\ufffd"'


def test_a_backup_history_is_read_or_its_absence_told(tmp_path: Path) -> None:
    archive = make_archive(tmp_path)
    with pytest.raises(PitrError, match="is not in"):
        archive.backup_history(BACKUP_HISTORY_NAME)
    (tmp_path / BACKUP_HISTORY_NAME).write_bytes(
        backup_history_text().replace("nightly", "n\x80chtlich").encode("latin-1")
    )
    assert archive.backup_history(BACKUP_HISTORY_NAME).stop_lsn == Lsn(0x200120)


def test_a_copy_tells_damage_from_a_full_disk(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20000
    (tmp_path / "whole").write_bytes(data)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(data)[:-100])
    archive = WalArchive(tmp_path)
    with pytest.raises(PitrError, match=r"cut\.gz cannot be read to its end"):
        archive.copy(tmp_path / "cut.gz", tmp_path / "copy")
    with pytest.raises(OSError, match="No space left"):
        archive.copy(tmp_path / "whole", Path("/dev/full"))
