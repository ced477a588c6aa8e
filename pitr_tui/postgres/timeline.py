"""Timeline history files: which branch the WAL of a position lies on.

Source: src/backend/access/transam/timeline.c (readTimeLineHistory, tliOfPointInHistory).
"""

from __future__ import annotations

from dataclasses import dataclass

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId


@dataclass(frozen=True, slots=True)
class Fork:
    """The end of a parent timeline: where its child left it, and the server's reason."""

    parent: TimelineId
    switch_lsn: Lsn
    reason: str


@dataclass(frozen=True, slots=True)
class TimelineHistory:
    """A timeline and the forks that lead to it, oldest first.

    >>> text = "1\\t0/3002448\\tbefore 2026-11-22 14:46:07.874111+00\\n"
    >>> history = TimelineHistory.parse(TimelineId(2), text)
    >>> history.owner(Lsn.parse("0/3000000")), history.owner(Lsn.parse("0/4000000"))
    (1, 2)
    """

    timeline: TimelineId
    forks: tuple[Fork, ...] = ()

    @classmethod
    def parse(cls, timeline: TimelineId, text: str) -> TimelineHistory:
        """Read a history file. Raises PitrError for a line that the server would refuse."""
        forks: list[Fork] = []
        for line in text.split("\n"):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            columns = line.split(None, 2)
            try:
                parent, lsn = TimelineId.parse(columns[0]), Lsn.parse(columns[1])
            except (IndexError, PitrError) as error:
                raise PitrError(
                    f"the history file of timeline {timeline} cannot be read",
                    f"this line makes no sense: {line!r}",
                    "fetch the file again from where the WAL archive is kept",
                ) from error
            forks.append(Fork(parent, lsn, columns[2] if len(columns) > 2 else ""))
        if not forks:
            raise PitrError(
                f"the history file of timeline {timeline} cannot be read", "it names no parent"
            )
        numbers = [fork.parent for fork in forks]
        if numbers != sorted(set(numbers)) or numbers[-1] >= timeline:
            raise PitrError(
                f"the history file of timeline {timeline} cannot be read",
                "its timelines are not in ascending order",
            )
        return cls(timeline, tuple(forks))

    def owner(self, lsn: Lsn) -> TimelineId:
        """The timeline on whose WAL this history passes `lsn`."""
        for fork in self.forks:
            if lsn < fork.switch_lsn:
                return fork.parent
        return self.timeline

    def contains(self, timeline: TimelineId, lsn: Lsn) -> bool:
        """Whether a server on `timeline` at `lsn` can still follow this history."""
        return self.owner(lsn) == timeline

    def passes(self, timeline: TimelineId, start: Lsn, end: Lsn) -> bool:
        """Whether this history runs on `timeline` through any of the WAL from start to end."""
        begin = Lsn(0)
        for fork in self.forks:
            if fork.parent == timeline:
                return start < fork.switch_lsn and begin < end
            begin = fork.switch_lsn
        return self.timeline == timeline and begin < end

    @property
    def lineage(self) -> tuple[TimelineId, ...]:
        """This timeline and its ancestors, youngest first: the order of looking for a segment."""
        return (self.timeline, *(fork.parent for fork in reversed(self.forks)))
