"""PostgreSQL's own compression, unpacked.

A control byte rules over the next eight items, lowest bit first: a 0 is followed by a byte as
it is, a 1 by a tag of two or three bytes that repeats what was unpacked before. The tag has
twelve bits that say how far back (the upper half of its first byte and its second byte), and
four that say how many bytes, less three; 15 of these means that a third byte adds to 18.
Source: src/common/pg_lzcompress.c.
"""

from __future__ import annotations

_LONG = 15


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes that were compressed. Raises ValueError when `data` is not whole."""
    out = bytearray()
    at, end = 0, len(data)
    while at < end and len(out) < size:
        control = data[at]
        at += 1
        if not control and at + 8 <= end:
            out += data[at : at + 8]
            at += 8
            continue
        for _ in range(8):
            if at >= end or len(out) >= size:
                break
            if control & 1:
                at = _repeat(data, at, out)
            else:
                out.append(data[at])
                at += 1
            control >>= 1
    if at != end or len(out) != size:
        raise ValueError(f"{len(out)} bytes of {size} unpacked from {at} of {end}")
    return bytes(out)


def _repeat(data: bytes, at: int, out: bytearray) -> int:
    """Follow the tag at `at`; where the next item begins."""
    tag = data[at : at + 3]
    length = tag[0] & 0x0F
    if len(tag) < (3 if length == _LONG else 2):
        raise ValueError("it ends inside of a tag")
    distance = (tag[0] & 0xF0) << 4 | tag[1]
    if not 0 < distance <= len(out):
        raise ValueError(f"a tag leads {distance} bytes back from byte {len(out)}")
    count = length + 3
    if length == _LONG:
        count += tag[2]
    begin = len(out) - distance
    if count <= distance:
        out += out[begin : begin + count]
    else:  # what it repeats begins to repeat itself
        piece = out[begin:]
        out += (piece * (count // distance + 1))[:count]
    return at + (3 if length == _LONG else 2)
