"""Counts what every transaction of an archive did to every relation, and prints how many rows.

A program of its own, because its worker processes import it: python -m tests.benchmarks.accounting
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.index_cache import Variant
from pitr_tui.repositories.segment_reading import read_packed
from pitr_tui.repositories.wal_facts import facts_in_order
from pitr_tui.wal.facts import SegmentFacts

_ROWS = ("inserted", "updated", "deleted")


def main(directory: str) -> None:
    archive = WalArchive(Path(directory))
    segments = archive.listing().segments
    read = partial(read_packed, watched=())
    records = rows = 0
    for segment, result in facts_in_order(archive, segments, Variant("account", 1), read):
        if isinstance(result, PitrError):
            sys.exit(f"{segment.name}: {result}")
        tally = SegmentFacts.unpack(result).tally
        records += tally.records
        rows += sum(int(tally.changes[name].sum()) for name in _ROWS)
    print(f"{records} records, {rows} rows")


if __name__ == "__main__":
    main(sys.argv[1])
