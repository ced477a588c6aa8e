"""What a worker process does with a segment. It imports little, because each worker imports it."""

from __future__ import annotations

from typing import IO

from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal.columns import as_array
from pitr_tui.wal.segment import read_segment


def read_packed(file: IO[bytes], segment: WalSegment, watched: tuple[int, ...]) -> bytes:
    """The facts of a segment, packed; for `watched` see `wal.columns.Counter`."""
    return read_segment(file.read, segment, as_array(watched)).pack()
