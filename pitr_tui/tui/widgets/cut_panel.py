"""What one keeps and what one loses at a cut, in five lines."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from pitr_tui.tui.literal import Part, assemble, lines
from pitr_tui.tui.widgets.moment_rows import Clock, changes_text, short
from pitr_tui.wal.chronicle import Chronicle, CutThrough, Loss
from pitr_tui.wording import count_text

NAME_CELLS = 22
_MOST_TABLES = 4


def row(name: str, *parts: Part | Content) -> Content:
    """A line of the panel."""
    return assemble((f"{name:<{NAME_CELLS}}", "$text-muted"), *parts)


def cut_rows(story: Chronicle, cut: int, clock: Clock) -> list[Content]:
    """The last that is kept, the first that is lost, and what is behind the cut."""
    kept, lost = story.last_kept(cut), story.first_lost(cut)
    rows = [
        row("Keep everything up to", *_told(story, kept, clock))
        if kept is not None
        else row("Keep", _first_kept(story, lost)),
        row("Lose from", *_told(story, lost, clock))
        if lost is not None
        else row(
            "Lose",
            f"nothing that {'is in the archive' if story.finished else 'was read'}{so_far(story)}",
        ),
        row("  after the cut", *_loss_parts(story.loss(cut), so_far(story))),
    ]
    through = through_text(story, cut, lost)
    if through:
        rows.append(row("  cut through", (through, "$text-warning")))
    return rows


def so_far(story: Chronicle) -> str:
    """What belongs behind a count of what is still being read, or was not read to its end."""
    return "" if story.finished else " so far"


def _first_kept(story: Chronicle, lost: int | None) -> str:
    if lost is None and not story.finished:
        return "what the backup has; no transaction was read so far"
    return "what the backup has, and no transaction after it"


def through_text(story: Chronicle, cut: int, lost: int | None) -> str:
    """Transactions that had begun before the cut, other than the one just behind it."""
    through: CutThrough = story.cut_through(cut)
    others = [one for one in through.entries if one != lost]
    words = []
    count = through.count - (lost in through.entries)
    if count:
        named = ", ".join(f"xid {int(story.xids[one])}" for one in others[:3])
        words.append(f"{count_text(count, 'transaction')} in progress then ({named}) will be gone")
    if through.prepared:
        names = ", ".join(repr(one.gid) for one in through.prepared[:3])
        stay = "stays" if len(through.prepared) == 1 else "stay"
        words.append(f"{len(through.prepared)} prepared {stay} so ({names})")
    return "; ".join(words)


def _told(story: Chronicle, entry: int, clock: Clock) -> Sequence[Part]:
    mark = story.suspect_at(entry)
    words = mark.words if mark is not None else changes_text(story.changes(entry), _MOST_TABLES)
    if not words:
        words = story.changed_definitions(entry) or "no rows of tables"
    return (
        (clock.text(int(story.times[entry])), "bold"),
        f"  xid {int(story.xids[entry])}  ",
        (words, "$text-warning" if mark is not None else ""),
    )


def _loss_parts(loss: Loss, so_far: str) -> Sequence[Part]:
    if not loss.transactions:
        return (f"no transaction{so_far}",)
    tables = ", ".join(f"{short(one.table)} {one.rows:,}" for one in loss.tables[:_MOST_TABLES])
    if len(loss.tables) > _MOST_TABLES:
        tables += f", {len(loss.tables) - _MOST_TABLES} more tables"
    count = count_text(loss.transactions, "transaction")
    rows = f", {count_text(loss.rows, 'row')}: {tables}" if loss.rows else ""
    return ((count, "bold"), so_far, rows)


class CutPanel(Static):
    """The lines, cut off at the edge of the screen; as many rows as there are lines."""

    DEFAULT_CSS = """
    CutPanel {
        height: auto;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__("", markup=False, id=id, classes="cut-panel")
        self._shown: Content | None = None

    def show(self, rows: Sequence[Content]) -> None:
        """Show these lines; the layout is done again only when their number changes."""
        content = lines(*rows)
        before = self._shown.plain.count("\n") if self._shown is not None else -1
        self._shown = content
        self.update(content, layout=content.plain.count("\n") != before)
