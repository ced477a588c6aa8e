"""The list of moments: suspects and the like, or every transaction, as a filter lets through."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from pitr_tui.postgres.target import Latest
from pitr_tui.tui.literal import Part, assemble
from pitr_tui.tui.session import Moment
from pitr_tui.tui.wanted import AtEnd, Wanted, wanted_at_cut, wanted_of
from pitr_tui.tui.widgets.cut_panel import so_far
from pitr_tui.tui.widgets.moment_rows import (
    Clock,
    EntryRows,
    Pick,
    PickRows,
    is_theirs,
    picks,
    unread,
)
from pitr_tui.tui.widgets.row_filter import RowFilter
from pitr_tui.tui.widgets.virtual_list import VirtualList
from pitr_tui.wal.chronicle import Chronicle, MarkKind
from pitr_tui.wording import count_text


class MomentList(VirtualList):
    """Shows a chronicle; each row stands for something that one can want."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.everything = False
        self.filter = RowFilter()
        self._story: Chronicle | None = None
        self._noted: Sequence[Moment] = ()
        self._clock: Clock | None = None

    def tell(self, story: Chronicle | None, noted: Sequence[Moment], clock: Clock) -> None:
        """Show what was read, and what was noted."""
        self._story, self._noted, self._clock = story, noted, clock
        self.make_rows()

    def make_rows(self) -> None:
        """Make the rows anew, for another view or filter."""
        story, clock = self._story, self._clock
        if clock is None:
            return
        if self.everything and story is not None:
            self.show(EntryRows(story, clock, self.filter.entries(story)), self.cursor)
        else:
            found = self.filter.picks(picks(story, self._noted), story)
            self.show(PickRows(found, clock), self.cursor)

    def wanted_at(self, row: int) -> Wanted | None:
        """What a row stands for: to stop just before it."""
        rows, story = self.rows, self._story
        if isinstance(rows, EntryRows) and story is not None and row < len(rows):
            return wanted_at_cut(story, rows.entry(row))
        if isinstance(rows, PickRows) and row < len(rows):
            return wanted_of(rows.picks[row])
        return None

    def first_wanted(self) -> Wanted | None:
        """What nobody has picked: a noted moment or the worst suspect, else everything there is."""
        rows = self.rows
        if isinstance(rows, PickRows) and rows.picks and not rows.picks[0].to_recover_to:
            return Latest()
        return self.wanted_at(0)

    def put_on(self, wanted: Wanted | None, cut: int | None) -> None:
        """Put the cursor on the row that stands for what is wanted, or on none."""
        after = isinstance(wanted, AtEnd) and wanted.after
        if isinstance(self.rows, EntryRows):
            entry = cut - 1 if after and cut else cut
            self.put(self.rows.row_of(entry) if entry is not None else None)
            return
        if isinstance(wanted, AtEnd):
            wanted = AtEnd(wanted.lsn)
        numbers = range(len(self.rows))
        self.put(next((one for one in numbers if self.wanted_at(one) == wanted), None))

    def entry_here(self) -> int | None:
        """The transaction in the row of the cursor."""
        story, one = self._story, self.pick_here()
        if self.cursor is None or story is None:
            return None
        if isinstance(self.rows, EntryRows):
            return self.rows.entry(self.cursor)
        if one is None or one.mark is None or one.mark.what is not MarkKind.SUSPECT:
            return None
        at = one.mark.index
        return at if at < len(story) and int(story.lsns[at]) == one.mark.lsn else None

    def pick_here(self) -> Pick | None:
        """The row of the cursor, where the list has what is worth a look."""
        if self.cursor is None or not isinstance(self.rows, PickRows):
            return None
        return self.rows.picks[self.cursor]

    def head(self, filter_text: str) -> Content:
        """One line above the list: what it has, and what the other view of it has."""
        story = self._story
        if story is None:
            return assemble(("no WAL was read yet", "$text-muted"))
        every = count_text(len(story), "transaction")
        if self.everything:
            parts: list[Part] = [(f"all {every}{so_far(story)}", "bold")]
            parts.append(("   v suspects", "$text-muted"))
        else:
            parts = [(self._counts(story), "bold"), (f"   v all {every}", "$text-muted")]
        if filter_text:
            parts.append((f"   f {filter_text!r}: {len(self.rows):,} shown", "$text-accent"))
        if story.holes:
            parts.append((f"   ✗ {count_text(len(story.holes), 'gap')}", "$text-error"))
        return assemble(*parts)

    def _counts(self, story: Chronicle) -> str:
        suspects = sum(one.what is MarkKind.SUSPECT for one in story.marks)
        points = sum(is_theirs(one) for one in story.marks) + len(unread(story, self._noted))
        words = "no transaction looks harmful" if story.finished else "no suspect found"
        if suspects:
            words = count_text(suspects, "suspect")
        return (
            words + (f", {count_text(points, 'restore point')}" if points else "") + (so_far(story))
        )
