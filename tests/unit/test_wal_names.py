"""The pure parts of names without a server: pages, images, maps, and PostgreSQL 9.6's catalogs."""

from __future__ import annotations

import random
import struct

import lz4.block
import pytest
import zstandard
from google_crc32c import value
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal import pglz
from pitr_tui.wal.filenodemap import parse_map
from pitr_tui.wal.heappage import PAGE_SIZE, XMAX_INVALID, HeapPage, tuple_bytes
from pitr_tui.wal.pageimage import is_restored, restored_page
from pitr_tui.wal.record import DamagedRecord, PageImage

V96, V14, V18 = (PostgresVersion.parse(text) for text in ("9.6", "14", "18"))


def made_tuple(xid: int, columns: bytes) -> bytes:
    return tuple_bytes(xid, (2, XMAX_INVALID), 24, b"\0" + columns)


# Pages


def test_what_is_put_into_a_page_is_found_there() -> None:
    page = HeapPage()
    page.put(1, made_tuple(700, b"first"))
    page.put(3, made_tuple(701, b"third"))
    assert [(one.offset, one.xmin, one.data) for one in page.tuples()] == [
        (1, 700, b"first"),
        (3, 701, b"third"),
    ]
    assert page.at(2) is None
    page.put(2, made_tuple(702, b"second"))
    page.remove(1)
    assert [one.data for one in HeapPage(bytes(page)).tuples()] == [b"second", b"third"]


def test_a_deleted_row_tells_by_whom_and_what_came_after() -> None:
    page = HeapPage()
    page.put(1, made_tuple(700, b"row"))
    before = page.at(1)
    assert before is not None
    assert before.deleter == 0
    page.mark_deleted(1, 701, (70_000, 5))
    after = page.at(1)
    assert after is not None
    assert (after.deleter, after.ctid, after.data) == (701, (70_000, 5), b"row")


def test_a_page_full_of_holes_is_pushed_together() -> None:
    page = HeapPage()
    content = made_tuple(700, b"x" * 977)
    for offset in range(1, 9):
        page.put(offset, content)
    with pytest.raises(DamagedRecord, match="do not fit"):
        page.put(9, content)
    for offset in (1, 3, 5, 7):
        page.remove(offset)
    page.put(9, made_tuple(701, b"y" * 2977))
    assert {one.offset: len(one.data) for one in page.tuples()} == {
        2: 977,
        4: 977,
        6: 977,
        8: 977,
        9: 2977,
    }


def test_a_change_in_place_stays_in_its_row() -> None:
    page = HeapPage()
    page.put(1, made_tuple(700, b"before"))
    page.put(2, made_tuple(700, b"other"))
    page.overwrite(1, b"AFTER and far more than there is room for")
    assert [one.data for one in page.tuples()] == [b"AFTER ", b"other"]


def test_a_page_knows_its_lsn() -> None:
    page = HeapPage()
    page.lsn = 0x12_3456_789A
    assert HeapPage(bytes(page)).lsn == 0x12_3456_789A
    assert bytes(page)[:8] == struct.pack("<II", 0x12, 0x3456789A)


@given(st.integers(), st.integers(0, 0xFFFF))
def test_random_bytes_are_a_page_too(seed: int, lower: int) -> None:
    source = random.Random(seed)
    content = bytearray(source.randbytes(PAGE_SIZE))
    struct.pack_into("<H", content, 12, lower)
    page = HeapPage(bytes(content))
    for found in page.tuples():
        assert len(found.data) < PAGE_SIZE
        page.mark_deleted(found.offset, 1, (1, 1))
        page.overwrite(found.offset, b"x" * 100)
    offset = source.randrange(0, 2100)
    written = made_tuple(700, b"new")
    try:
        page.put(offset, written)
    except DamagedRecord:
        return
    found_again = page.at(offset)
    assert found_again is not None
    assert found_again.data == b"new"


# Compression


def pglz_of(data: bytes) -> bytes:
    """A greedy compressor for the tests: for each place the nearest longest repetition."""
    items: list[bytes | tuple[int, int]] = []
    at = 0
    while at < len(data):
        best, distance = 0, 0
        for back in range(1, min(at, 4095) + 1):
            length = 0
            while length < 273 and at + length < len(data):
                if data[at + length] != data[at + length - back]:
                    break
                length += 1
            if length > best:
                best, distance = length, back
        if best >= 3:
            items.append((distance, best))
            at += best
        else:
            items.append(data[at : at + 1])
            at += 1
    out = bytearray()
    for k in range(0, len(items), 8):
        group = items[k : k + 8]
        out.append(sum(1 << n for n, item in enumerate(group) if isinstance(item, tuple)))
        for item in group:
            if isinstance(item, bytes):
                out += item
            else:
                distance, length = item
                low = min(length - 3, 15)
                out += bytes([distance >> 4 & 0xF0 | low, distance & 0xFF])
                out += bytes([length - 18] if low == 15 else [])
    return bytes(out)


@given(st.lists(st.tuples(st.binary(max_size=12), st.integers(1, 40)), max_size=8))
def test_pglz_gives_back_what_was_compressed(parts: list[tuple[bytes, int]]) -> None:
    data = b"".join(part * count for part, count in parts)
    assert pglz.decompress(pglz_of(data), len(data)) == data


@given(st.binary(max_size=300), st.integers(0, PAGE_SIZE))
def test_pglz_refuses_what_is_damaged(data: bytes, size: int) -> None:
    try:
        unpacked = pglz.decompress(data, size)
    except ValueError:
        return
    assert len(unpacked) == size


@pytest.mark.parametrize(
    ("data", "size", "words"),
    [
        (b"\x01\x00", 3, "inside of a tag"),
        (b"\x01\x0f\x01", 3, "inside of a tag"),
        (b"\x02a\x00\x00", 4, "0 bytes back"),
        (b"\x02a\x00\x02", 4, "2 bytes back"),
        (b"\x00ab", 3, "2 bytes of 3"),
        (b"\x00abc", 2, "unpacked from 3 of 4"),
    ],
)
def test_pglz_says_what_is_wrong(data: bytes, size: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pglz.decompress(data, size)


# Page images

PAGE = b"head" + bytes(8000) + b"tail" * 47
HOLE = (4, 8000)


@pytest.mark.parametrize(
    ("version", "info", "pack"),
    [
        (V96, 0x01, bytes),
        (V96, 0x03, pglz_of),
        (V14, 0x07, pglz_of),
        (V18, 0x03, bytes),
        (V18, 0x07, pglz_of),
        (V18, 0x0B, lambda data: lz4.block.compress(data, store_size=False)),
        (V18, 0x13, zstandard.compress),
    ],
)
def test_an_image_becomes_its_page(version: PostgresVersion, info: int, pack: object) -> None:
    assert callable(pack)
    image = PageImage(pack(PAGE[:4] + PAGE[8004:]), *HOLE, info)
    assert is_restored(image, version)
    assert restored_page(image, version) == PAGE


def test_an_image_for_comparison_only_is_not_restored() -> None:
    assert not is_restored(PageImage(PAGE, 0, 0, 0x01), V18)
    assert not is_restored(PageImage(PAGE, 0, 0, 0x03), V14)
    assert is_restored(PageImage(PAGE, 0, 0, 0x00), V96)


@given(
    st.binary(max_size=9000),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.sampled_from([0x00, 0x01, 0x04, 0x08, 0x10, 0x1C]),
)
def test_any_image_is_a_page_or_damaged(data: bytes, at: int, length: int, info: int) -> None:
    try:
        page = restored_page(PageImage(data, at, length, info), V18)
    except DamagedRecord:
        return
    assert len(page) == PAGE_SIZE


def test_an_image_that_unpacks_to_much_more_is_damaged() -> None:
    bomb = zstandard.compress(bytes(100_000_000))
    with pytest.raises(DamagedRecord, match="zstd"):
        restored_page(PageImage(bomb, 0, 0, 0x12), V18)
    longer = zstandard.compress(bytes(PAGE_SIZE + 100))
    with pytest.raises(DamagedRecord, match="8193 bytes, not 8192"):
        restored_page(PageImage(longer, 0, 0, 0x12), V18)


# The map of mapped relations


def made_map(entries: dict[int, int], room: int = 64, magic: int = 0x592717) -> bytes:
    pairs = b"".join(struct.pack("<II", *entry) for entry in entries.items())
    head = struct.pack("<ii", magic, len(entries)) + pairs.ljust(room * 8, b"\0")
    return head + struct.pack("<I", value(head)) + bytes(4 if room == 62 else 0)


@pytest.mark.parametrize("room", [62, 64])
def test_a_map_is_read(room: int) -> None:
    content = made_map({1259: 1259, 1249: 20001}, room)
    assert len(content) == {62: 512, 64: 524}[room]
    assert parse_map(content) == {1259: 1259, 1249: 20001}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it has 0 bytes"),
        (made_map({1: 1})[:-1], "523 bytes"),
        (made_map({1: 1}, magic=7), "begins with 0x7"),
        (made_map({1: 1})[:20] + b"\1" + made_map({1: 1})[21:], "checksum"),
        (struct.pack("<ii", 0x592717, 65) + bytes(516), "65 entries"),
        (struct.pack("<ii", 0x592717, -1) + bytes(516), "-1 entries"),
    ],
)
def test_what_is_no_map_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_map(content)
