"""Pages of real WAL, and everything that can happen to them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import numpy as np
from google_crc32c import extend, value
from numpy.typing import NDArray

from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal.facts import SegmentFacts
from pitr_tui.wal.segment import SegmentReader
from tests.wal.made_wal import WalWriter, main_data
from tests.wal.ours import facts_of_bytes

PAGE = 8192
_LONG, _SHORT = 40, 24
_LENGTHS = (0, 1, 8, 23, 24, 25, 31, 64, PAGE, 1 << 20, 1 << 30, (1 << 32) - 1)


@dataclass
class Sample:
    """The first pages of a segment, and which record of it each byte belongs to."""

    segment: WalSegment
    data: bytes
    facts: SegmentFacts = field(init=False)
    starts: list[int] = field(init=False)  # of records, from the start of the segment
    lengths: list[int] = field(init=False)
    owner: NDArray[np.int64] = field(init=False)  # of each byte the record's number, or -1

    def __post_init__(self) -> None:
        self.facts = facts_of_bytes(self.data, self.segment)
        reader = SegmentReader(_reader(self.data), self.segment)
        self.starts, self.lengths = [], []
        for _, records in reader.stretches():
            self.starts += [int(lsn) - self.segment.start for lsn in records.lsns]
            self.lengths += records.lengths.tolist()
        self.owner = np.full(len(self.data), -1)
        for number, (start, length) in enumerate(zip(self.starts, self.lengths, strict=True)):
            at, left = start, length
            while left:
                part = min(left, PAGE - at % PAGE)
                self.owner[at : at + part] = number
                left -= part
                at += part
                at += _SHORT if left else 0  # behind the header of the next page
        assert len(self.starts) == self.facts.tally.records

    @property
    def pages(self) -> int:
        return len(self.data) // PAGE

    def intact_before(self, damaged: bytes) -> int:
        """How many records stand before the first byte that was changed or is missing."""
        size = min(len(damaged), len(self.data)) // PAGE * PAGE  # only whole pages are read
        ours, theirs = (np.frombuffer(one, np.uint8, size) for one in (self.data, damaged))
        changed = np.flatnonzero(ours != theirs)
        at = int(changed[0]) if changed.size else size
        return int(np.searchsorted(self.starts, at)) - (at < len(self.data) and self._inside(at))

    def _inside(self, at: int) -> bool:
        """Whether the record before a place goes on behind it."""
        number = int(np.searchsorted(self.starts, at)) - 1
        return number >= 0 and bool((self.owner[at:] == number).any())

    def first_broken(self, damaged: bytes) -> int | None:
        """The first record of which a byte was changed, None if no record was."""
        size = min(len(damaged), len(self.data))
        ours, theirs = (np.frombuffer(one, np.uint8, size) for one in (self.data, damaged))
        broken = self.owner[:size][ours != theirs]
        broken = broken[broken >= 0]
        return int(broken.min()) if broken.size else None


def _reader(data: bytes) -> Callable[[int], bytes]:
    left = memoryview(data)

    def read(size: int) -> bytes:
        nonlocal left
        part, left = bytes(left[:size]), left[size:]
        return part

    return read


def flip_bits(data: bytearray, page: int, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 8))):
        data[page * PAGE + random.randrange(PAGE)] ^= 1 << random.randrange(8)


def noise(data: bytearray, page: int, random: Random) -> None:
    start = random.randrange(PAGE)
    length = random.choice((1, 4, 16, 512, PAGE))
    end = min(start + length, PAGE)
    data[page * PAGE + start : page * PAGE + end] = random.randbytes(end - start)


def zeros(data: bytearray, page: int, random: Random) -> None:
    start = random.choice((0, 512 * random.randrange(16), random.randrange(PAGE)))
    end = random.choice((PAGE, min(PAGE, start + 512)))
    data[page * PAGE + start : page * PAGE + end] = bytes(end - start)


def lie_about_the_page(data: bytearray, page: int, random: Random) -> None:
    """The header: magic, flags, timeline, address, or what is left of a record."""
    offset, form = random.choice(((0, "<H"), (2, "<H"), (4, "<I"), (8, "<Q"), (16, "<I")))
    size = struct.calcsize(form)
    (now,) = struct.unpack_from(form, data, page * PAGE + offset)
    steps = (1, -1, 2, 8, PAGE, -PAGE, 1 << 20, -(1 << 20), random.getrandbits(8 * size))
    lie = (now + random.choice(steps)) % (1 << 8 * size)
    struct.pack_into(form, data, page * PAGE + offset, lie)


def swap_pages(data: bytearray, page: int, random: Random) -> None:
    other = random.randrange(len(data) // PAGE)
    one, two = slice(page * PAGE, (page + 1) * PAGE), slice(other * PAGE, (other + 1) * PAGE)
    data[one], data[two] = data[two], data[one]


def swap_contents(data: bytearray, page: int, random: Random) -> None:
    """Swapped pages with headers that pretend that they are in their places."""
    other = random.randrange(len(data) // PAGE)
    if page and other:
        one = slice(page * PAGE + _SHORT, (page + 1) * PAGE)
        two = slice(other * PAGE + _SHORT, (other + 1) * PAGE)
        data[one], data[two] = data[two], data[one]


def shift(data: bytearray, page: int, random: Random) -> None:
    """A few bytes lost in the middle of a page, and the same number added at its end."""
    start, gap = page * PAGE + random.randrange(PAGE - 16), random.choice((1, 4, 8))
    end = (page + 1) * PAGE
    data[start:end] = data[start + gap : end] + bytes(gap)


ON_A_PAGE = (
    flip_bits,
    flip_bits,
    noise,
    zeros,
    lie_about_the_page,
    swap_pages,
    swap_contents,
    shift,
)


def lie_about_a_length(data: bytearray, sample: Sample, random: Random) -> None:
    """One record claims another length, with the rest of it left alone."""
    start = random.choice(sample.starts)
    (now,) = struct.unpack_from("<I", data, start)
    lie = random.choice((*_LENGTHS, now + 1, now + 8, now - 8, random.getrandbits(32)))
    struct.pack_into("<I", data, start, lie % (1 << 32))


def forge(data: bytearray, sample: Sample, random: Random) -> None:
    """Change the inside of a record and make its checksum right again."""
    whole = [
        (start, length)
        for start, length in zip(sample.starts, sample.lengths, strict=True)
        if start % PAGE + length <= PAGE
    ]
    start, length = random.choice(whole)
    head = [4, 5, 16, 17]  # its xid, its kind
    head += range(24, min(length, 24 + 40))  # the headers of its blocks and data
    for _ in range(random.choice((1, 1, 2, 4))):
        at = start + random.choice(head if random.random() < 0.8 else range(24, length) or head)
        data[at] = random.choice((0, 1, 0x7F, 0x80, 0xFD, 0xFE, 0xFF, random.randrange(256)))
    seal(data, start, length)


def seal(data: bytearray, start: int, length: int) -> None:
    """Give a record that lies in one page the checksum of what it holds."""
    body, head = bytes(data[start + 24 : start + length]), bytes(data[start : start + 20])
    struct.pack_into("<I", data, start + 20, int(extend(value(body), head)))


# Of the managers whose records are looked into: XLOG, Transaction, Storage, Database, Tablespace,
# RelMap, Heap2 and Heap; and one that nobody knows.
_MANAGERS = (0, 1, 2, 4, 5, 7, 9, 10, 10, 10, 200)
CATALOGS = (1259, 1249, 2615, 1262, 2610)
_SWITCH = (0, 4)  # manager XLOG, upper half of the info


def made_up(writer: WalWriter, random: Random) -> None:
    """Write a record that makes little sense, with a right checksum."""
    manager, info = random.choice(_MANAGERS), random.randrange(256)
    if (manager, info >> 4) == _SWITCH:
        return
    kind = random.random()
    if kind < 0.2:
        body = random.randbytes(random.choice((0, 0, 1, 2, 8, 40, 3000)))
    elif kind < 0.4:
        body = main_data(random.randbytes(random.choice((0, 1, 4, 8, 12, 20, 64, 300))))
    else:
        body = _block(random)
    writer.record(manager, info, random.choice((0, 1, 3, 700, 1 << 31)), body)


def _block(random: Random) -> bytes:
    """One block reference or two, in a catalog or not, with lengths that may be lies."""
    data, image, main = (random.randbytes(random.choice((0, 0, 1, 7, 40, 500))) for _ in range(3))
    flags = random.choice((0x00, 0x20, 0x30, 0x70, 0x90, 0xFF))
    heads = struct.pack("<BBH", 0, flags, max(0, len(data) + random.choice((0, 0, 0, 0, -1, 7))))
    if flags & 0x10:
        image_info = random.randrange(64)
        heads += struct.pack("<HHB", len(image), random.randrange(1 << 16), image_info)
        heads += struct.pack("<H", random.randrange(1 << 16)) * random.randrange(2)
    else:
        image = b""
    relation = random.choice((*CATALOGS, 16384, random.getrandbits(32)))
    heads += struct.pack("<IIII", 1663, random.choice((0, 5)), relation, random.randrange(4))
    if random.random() < 0.3:
        heads += struct.pack("<BBHI", 1, 0x80, 0, 0)
    heads += bytes((255, max(0, len(main) % 256 + random.choice((0, 0, 0, 1)))))
    return heads + image + data + main[:255]
