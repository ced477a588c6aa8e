"""How the transactions ended that wrote system catalogs.

A row tells by itself of most writers (its hint bits); of those before the backup's begin
pg_xact tells, and of those in the WAL their commit and abort records. So only transactions
that have not committed have to be remembered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pitr_tui.wal.heappage import XMAX_COMMITTED, XMIN_ABORTED, XMIN_COMMITTED, HeapTuple

_NOBODY: frozenset[int] = frozenset()
_FROZEN = XMIN_COMMITTED | XMIN_ABORTED


@dataclass(slots=True)
class Fates:
    """Transactions under way, and those that came to nothing; all others have committed."""

    pending: set[int] = field(default_factory=set)
    aborted: set[int] = field(default_factory=set)

    def committed(self, xids: Iterable[int]) -> bool:
        """Whether one of them was pending."""
        ended = self.pending.intersection(xids)
        self.pending -= ended
        self.aborted -= ended
        return bool(ended)

    def roll_back(self, xids: Iterable[int]) -> bool:
        """Whether one of them was pending."""
        ended = self.pending.intersection(xids)
        self.pending -= ended
        self.aborted |= ended
        return bool(ended)

    def concern(self, xids: frozenset[int]) -> bool:
        """Whether some of these see something else than all others."""
        return not (self.pending.isdisjoint(xids) and self.aborted.isdisjoint(xids))

    def counts(self, xid: int, xids: frozenset[int] = _NOBODY) -> bool:
        """Whether what a transaction did is visible to all, or to those of `xids`."""
        return xid in xids or not (xid in self.pending or xid in self.aborted)

    def is_inserted(self, found: HeapTuple, xids: frozenset[int] = _NOBODY) -> bool:
        hints = found.infomask & _FROZEN
        if hints:
            return hints != XMIN_ABORTED
        return self.counts(found.xmin, xids)

    def is_deleted(self, found: HeapTuple, xids: frozenset[int] = _NOBODY) -> bool:
        xid = found.deleter
        if not xid:
            return False
        return bool(found.infomask & XMAX_COMMITTED) or self.counts(xid, xids)

    def is_visible(self, found: HeapTuple, xids: frozenset[int] = _NOBODY) -> bool:
        return self.is_inserted(found, xids) and not self.is_deleted(found, xids)
