"""Runs of segments."""

from __future__ import annotations

from dataclasses import dataclass

from pitr_tui.postgres.walname import WalSegment


@dataclass(frozen=True, slots=True)
class WalRange:
    """Segments of one timeline without a gap between them, both ends included."""

    first: WalSegment
    last: WalSegment

    @property
    def count(self) -> int:
        return self.last.number - self.first.number + 1

    def __str__(self) -> str:
        if self.first == self.last:
            return self.first.name
        return f"{self.first.name} to {self.last.name}"
