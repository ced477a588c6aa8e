"""pg_filenode.map: the file numbers of the catalogs that cannot look up their own.

Source: src/backend/utils/cache/relmapper.c.
"""

from __future__ import annotations

import struct

from google_crc32c import value

MAP_NAME = "pg_filenode.map"
MAP_BYTES = 524  # of the longest one

_MAGIC = 0x592717
_HEAD = struct.Struct("<ii")
_ENTRY = struct.Struct("<II")
_CRC = struct.Struct("<I")
_ROOM = {512: 62, 524: 64}  # entries by the size of the file: up to 15, from 16 on


def parse_map(data: bytes) -> dict[int, int]:
    """File numbers by the oids of relations. Raises ValueError for what is not a whole map."""
    room = _ROOM.get(len(data))
    if room is None:
        raise ValueError(f"it has {len(data)} bytes")
    magic, count = _HEAD.unpack_from(data)
    if magic != _MAGIC or not 0 <= count <= room:
        raise ValueError(f"it begins with {magic:#x} and {count} entries")
    end = _HEAD.size + room * _ENTRY.size
    if _CRC.unpack_from(data, end)[0] != value(data[:end]):
        raise ValueError("its checksum is wrong")
    entries = data[_HEAD.size : _HEAD.size + count * _ENTRY.size]
    return dict(_ENTRY.iter_unpack(entries))
