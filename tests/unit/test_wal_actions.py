"""Records that say more than rows: what 9.6 wrote, layouts by hand, bytes without sense."""

from __future__ import annotations

import gzip
import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.timestamp import from_moment, from_unix, moment
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal.actions import (
    Action,
    DatabaseCreated,
    DatabaseDropped,
    HeapTruncate,
    TablespaceCreated,
    decode_action,
)
from pitr_tui.wal.record import HEADER, DamagedRecord, Locator, Manager, Record
from pitr_tui.wal.xact import Abort, Assignment, Commit, Prepare, decode_ending
from pitr_tui.wal.xlog import (
    BackupEnd,
    Checkpoint,
    CheckpointRedo,
    EndOfRecovery,
    FullPageWrites,
    OverwriteContrecord,
    ParameterChange,
    RestorePoint,
    Switch,
)
from tests.unit.made import DATA
from tests.wal.described import described, told
from tests.wal.plain_reader import read_records
from tests.wal.waldump import rows

PG96 = DATA / "pg96"
MAJORS = ("9.6", "10", "11", "12", "13", "14", "15", "16", "17", "18")
XLOG, TRANSACTION, DATABASE = Manager.XLOG, Manager.TRANSACTION, Manager.DATABASE
TIME = 848_673_302_117_000


def record(major: str, manager: int, info: int, main: bytes, xid: int = 700) -> Record:
    """A record with nothing but its main data."""
    size = bytes([255, len(main)]) if len(main) < 256 else b"\xfe" + struct.pack("<I", len(main))
    body = size + main if main else b""
    head = HEADER.pack(HEADER.size + len(body), xid, 0, info, manager, 0)
    return Record(PostgresVersion.parse(major), Lsn(0x1000028), Lsn(0x1000100), head + body)


def decoded(major: str, manager: int, info: int, main: bytes) -> Action | None:
    return decode_action(record(major, manager, info, main))


@cache
def records_of_96() -> dict[int, Record]:
    unpack = zstandard.ZstdDecompressor()
    segments = []
    for number in (1, 2, 3, 4):
        path = PG96 / f"archive/00000001000000000000000{number}.zst"
        segments.append(unpack.stream_reader(path.read_bytes()).read())
    return {one.lsn: one for one in read_records(segments)}


@cache
def decodable_of_96() -> tuple[Record, ...]:
    """A few of each kind, the longest among them."""
    kinds: dict[tuple[int, int], list[Record]] = {}
    for one in records_of_96().values():
        if one.manager < 8 and decode_action(one) is not None:
            kinds.setdefault((one.manager, one.info), []).append(one)
    few = (sorted(some, key=lambda one: len(one.data))[-3:] for some in kinds.values())
    return tuple(one for some in few for one in some if len(one.data) < 2000)


def test_everything_in_96_is_what_pg_xlogdump_says() -> None:
    compared = 0
    with gzip.open(PG96 / "xlogdump.txt.gz", "rt") as text:
        found = dict(records_of_96())
        for row in rows(text):
            one, said = found.pop(Lsn(row.lsn)), told(row)
            assert (one.xid, len(one.data)) == (row.xid, row.length)
            action = decode_action(one)
            if said != "PREPARE":  # which 9.6 does not describe
                assert (described(action) if action else None) == said
                compared += said is not None
    assert found == {}
    assert compared == 633


def test_what_pg_xlogdump_keeps_to_itself() -> None:
    actions = [decode_action(one) for one in records_of_96().values()]
    (prepare,) = (one for one in actions if isinstance(one, Prepare))
    assert prepare == Prepare(563, prepare.time, 16384, "p1", (), (), ())
    (commit,) = (one for one in actions if isinstance(one, Commit) and one.xid == 563)
    assert commit == Commit(563, commit.time, prepared=True)
    (point,) = (one for one in actions if isinstance(one, RestorePoint))
    assert point.name == "before_release"
    assert prepare.time < commit.time < point.time
    (dropped,) = (one for one in actions if isinstance(one, Commit) and one.xid == 572)
    assert dropped.database == 16384
    shutdown = [one for one in actions if isinstance(one, Checkpoint) and one.shutdown][-1]
    when, before = moment(shutdown.time), moment(commit.time)
    assert when is not None
    assert before is not None
    assert abs(when - before) < timedelta(minutes=1)


def test_the_short_way_is_the_long_way() -> None:
    plain = [one for one in records_of_96().values() if one.manager == 1 and len(one.data) == 34]
    assert len(plain) > 400
    for one in plain:
        assert decode_action(one) == decode_ending(one)


def part(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def statistics(major: str, count: int) -> bytes:
    return part(count) + bytes(count * (16 if major == "18" else 12))


@pytest.mark.parametrize("major", ["15", "16", "17", "18"])
def test_every_part_of_a_commit(major: str) -> None:
    parts = [part(16384, 1663), part(2, 701, 702), part(1, 1663, 16384, 16400)]
    parts += [statistics(major, 3), part(2) + bytes(32), part(699), b"gid 1\0", bytes(16)]
    main = struct.pack("<qI", TIME, 0x1BF) + b"".join(parts)
    files = (Locator(1663, 16384, 16400),)
    commit = Commit(699, TIME, (701, 702), files, 16384, "gid 1", True)
    assert decoded(major, TRANSACTION, 0xB0, main) == commit
    abort = Abort(699, TIME, (701, 702), files, 16384, "gid 1", True)
    assert decoded(major, TRANSACTION, 0xC0, main) == abort
    for length in range(len(main) - 16):  # the origin is not read
        with pytest.raises(DamagedRecord):
            decoded(major, TRANSACTION, 0xB0, main[:length])


@pytest.mark.parametrize("major", MAJORS)
def test_prepared_transactions(major: str) -> None:
    gid = b"transfer 17\0"
    more = [0, 0] if int(float(major)) >= 15 else []
    head = struct.pack("<4IqI3i", 0x57F94533, 999, 700, 16384, TIME, 10, 3, 1, 2)
    head += struct.pack(f"<{len(more)}i", *more) + struct.pack("<i?xH", 5, True, len(gid))
    head += bytes(16 if int(float(major)) >= 11 else 0)
    lists = [gid, part(701, 702, 703), part(1663, 5, 16400), part(*(1663, 5, 1), *(1663, 5, 2))]
    main = head + b"".join(one + bytes(-len(one) % 8) for one in lists) + bytes(100)
    on_commit, on_abort = (Locator(1663, 5, 16400),), (Locator(1663, 5, 1), Locator(1663, 5, 2))
    prepare = Prepare(700, TIME, 16384, "transfer 17", (701, 702, 703), on_commit, on_abort)
    assert decoded(major, TRANSACTION, 0x10, main) == prepare


def test_only_a_commit_of_something_prepared_names_another_xid() -> None:
    main = struct.pack("<qI", TIME, 0)
    assert decoded("18", TRANSACTION, 0x80, main) == Commit(700, TIME)
    with pytest.raises(DamagedRecord, match="does not say which"):
        decoded("18", TRANSACTION, 0xB0, main)


@pytest.mark.parametrize("major", MAJORS)
def test_dropped_databases(major: str) -> None:
    number = int(float(major))
    info = 0x20 if number >= 15 else 0x10
    main = part(16500, 2, 1663, 16600) if number >= 13 else part(16500, 1663)
    spaces = (1663, 16600) if number >= 13 else (1663,)
    assert decoded(major, DATABASE, info, main) == DatabaseDropped(16500, spaces)
    assert decoded(major, DATABASE, info + 0x10, main) is None
    copied = DatabaseCreated(16500, 1663, 1, 1664)
    assert decoded(major, DATABASE, 0x00, part(16500, 1663, 1, 1664)) == copied


@pytest.mark.parametrize("major", MAJORS)
def test_checkpoints_of_a_far_epoch(major: str) -> None:
    number = int(float(major))
    head = struct.pack("<QII?3x", 0x5000028, 3, 2, True)
    if number < 12:
        xids = struct.pack("<II28x", 7, 900)
    else:
        xids = struct.pack("<iQ32x", 2 if number >= 17 else 0, 7 << 32 | 900)
    main = head + xids + struct.pack("<q8xI4x", 1_795_357_802, 850)
    checkpoint = decoded(major, XLOG, 0x10, main)
    assert checkpoint == Checkpoint(
        False,
        Lsn(0x5000028),
        TimelineId(3),
        TimelineId(2),
        True,
        7 << 32 | 900,
        from_unix(1_795_357_802),
        850,
        "logical" if number >= 17 else None,
    )
    without_timeline = main[:8] + bytes(4) + main[12:]
    with pytest.raises(DamagedRecord, match="timeline 0"):
        decoded(major, XLOG, 0x00, without_timeline)


@pytest.mark.parametrize("major", MAJORS)
def test_parameters(major: str) -> None:
    senders = [10] if int(float(major)) >= 12 else []
    main = struct.pack(f"<{5 + len(senders)}i??2x", 90, 8, *senders, 5, 64, 1, True, False)
    assert decoded(major, XLOG, 0x60, main) == ParameterChange(
        90, 8, 10 if senders else None, 5, 64, "replica", True, False
    )
    with pytest.raises(DamagedRecord, match="max_connections to -1"):
        decoded(major, XLOG, 0x60, b"\xff\xff\xff\xff" + main[4:])
    with pytest.raises(DamagedRecord, match="wal_level 3"):
        decoded(major, XLOG, 0x60, main[:-8] + part(3) + main[-4:])


@pytest.mark.parametrize(
    ("manager", "info", "main", "action"),
    [
        (XLOG, 0x40, b"", Switch()),
        (XLOG, 0x50, struct.pack("<Q", 0x5000028), BackupEnd(Lsn(0x5000028))),
        (XLOG, 0x80, b"\0", FullPageWrites(False)),
        (
            *(XLOG, 0x90, struct.pack("<qII", TIME, 3, 2)),
            EndOfRecovery(TIME, TimelineId(3), TimelineId(2)),
        ),
        (
            *(XLOG, 0xD0, struct.pack("<Qq", 0x5000028, TIME)),
            OverwriteContrecord(Lsn(0x5000028), TIME),
        ),
        (XLOG, 0xE0, part(1), CheckpointRedo()),
        (XLOG, 0x70, struct.pack("<q64s", TIME, b"p\xff"), RestorePoint("p\udcff", TIME)),
        (TRANSACTION, 0x50, part(700, 2, 701, 702), Assignment(700, (701, 702))),
        (
            Manager.TABLESPACE,
            0x00,
            part(16600) + b"/srv/a b\0",
            TablespaceCreated(16600, "/srv/a b"),
        ),
        (
            *(Manager.HEAP, 0x30, struct.pack("<IIB3x2I", 5, 2, 3, 16400, 16401)),
            HeapTruncate(5, (16400, 16401), True, True),
        ),
        (XLOG, 0x20, bytes(8), None),
        (XLOG, 0x30, part(24576), None),
        (TRANSACTION, 0x60, part(0), None),
        (Manager.HEAP, 0x00, bytes(3), None),
    ],
)
def test_the_rest(manager: int, info: int, main: bytes, action: Action | None) -> None:
    assert decoded("18", manager, info, main) == action


@pytest.mark.parametrize(
    ("manager", "info", "main"),
    [
        (TRANSACTION, 0x50, part(700, 0x7FFFFFFF, 701)),
        (TRANSACTION, 0x50, part(700, 0xFFFFFFFF, 701)),
        (TRANSACTION, 0x80, struct.pack("<qI", TIME, 0x04) + part(0x7FFFFFFF)),
        (TRANSACTION, 0x80, struct.pack("<qI", TIME, 0x08) + part(0xFFFFFFF0)),
        (TRANSACTION, 0x80, struct.pack("<qI", TIME, 0x80) + b"no end"),
        (DATABASE, 0x20, part(16500, 0x40000000)),
        (Manager.RELMAP, 0x00, part(5, 1663, 513) + bytes(512)),
        (Manager.HEAP, 0x30, struct.pack("<IIB3x", 5, 0x20000000, 0)),
        (XLOG, 0x70, struct.pack("<q64s", TIME, b"x" * 64)),
    ],
)
def test_counts_that_lie(manager: int, info: int, main: bytes) -> None:
    with pytest.raises(DamagedRecord):
        decoded("18", manager, info, main)


def survives(one: Record) -> None:
    """Either it makes sense or it is damaged; nothing else is raised."""
    with suppress(DamagedRecord):
        assert isinstance(decode_action(one), Action | None)


@given(st.sampled_from(MAJORS), st.binary(max_size=200))
@example("18", b"")
@example("18", bytes(23))
@example("18", bytes(24))
def test_any_bytes(major: str, data: bytes) -> None:
    survives(Record(PostgresVersion.parse(major), Lsn(0), Lsn(0), data))


KINDS = [*product((XLOG, TRANSACTION, DATABASE), range(0, 256, 16))]
KINDS += product(
    (Manager.STORAGE, Manager.TABLESPACE, Manager.RELMAP, Manager.HEAP), (0, 16, 32, 48)
)


@given(st.sampled_from(MAJORS), st.sampled_from(KINDS), st.binary(max_size=400))
def test_any_main_data(major: str, kind: tuple[int, int], main: bytes) -> None:
    survives(record(major, *kind, main))


@given(st.sampled_from(MAJORS), st.data())
def test_real_records_with_errors(major: str, data: st.DataObject) -> None:
    """Real bytes with a few others, or fewer of them, also taken for those of another major."""
    original = data.draw(st.sampled_from(decodable_of_96()))
    mutated = bytearray(original.data[: data.draw(st.integers(0, len(original.data)))])
    if mutated:
        for _ in range(data.draw(st.integers(0, 4))):
            mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    survives(Record(PostgresVersion.parse(major), original.lsn, original.end, bytes(mutated)))


@given(st.datetimes(timezones=st.just(UTC)))
def test_moments_there_and_back(when: datetime) -> None:
    assert moment(from_moment(when)) == when


@given(st.integers(-(1 << 63), (1 << 63) - 1))
@example((1 << 63) - 1)
@example(-(1 << 63))
def test_every_stored_time_is_a_moment_or_none(time: int) -> None:
    when = moment(time)
    assert when is None or from_moment(when) == time


def test_the_time_of_a_commit_is_the_one_that_the_server_prints() -> None:
    assert moment(TIME) == datetime(2026, 11, 22, 14, 35, 2, 117000, UTC)
    assert from_unix(1_795_357_802) == from_moment(datetime(2026, 11, 22, 14, 30, 2, tzinfo=UTC))
