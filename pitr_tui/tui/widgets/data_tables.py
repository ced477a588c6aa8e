"""The tables of a secondary, and the answer to a query: outside text in a grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text
from textual.widgets import DataTable

from pitr_tui.postgres.quote import visible
from pitr_tui.recovery.contents import Contents, table_rows
from pitr_tui.recovery.verify import Answer

_LONGEST_CELL = 60
_COLUMNS = ("database", "table", "rows here", "in the primary", "")


def cell(value: object) -> Text:
    """Outside text for one cell: no markup, control characters visible, and not endless."""
    text = "NULL" if value is None else str(value).replace("\n", "␊").replace("\t", " ")
    cut = text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL] + "…"
    return Text(visible(cut))


class _Grid(DataTable[Text]):
    """A table that is filled at once.

    Its columns get their widths here: those that Textual finds out by itself it may find out
    after it has drawn the header, which then stays as it was (8.2.8).
    """

    def fill(self, names: Sequence[Text], rows: Sequence[Sequence[Text]]) -> None:
        """Have exactly these columns and rows."""
        self.clear(columns=True)
        for place, name in enumerate(names):
            cells = (name, *(row[place] for row in rows))
            self.add_column(name, width=max(one.cell_len for one in cells))
        for row in rows:
            self.add_row(*row)


class ContentsTable(_Grid):
    """Every table with its rows here and in the primary."""

    def __init__(self) -> None:
        super().__init__(id="tables", cursor_type="row", zebra_stripes=True, classes="gap-above")

    def show(self, contents: Iterable[Contents]) -> None:
        """Show exactly these, with the cursor where it was."""
        at = self.cursor_row
        rows = [
            (
                cell(database),
                cell(name),
                *(Text(number, justify="right") for number in (here, there)),
                cell(remark),
            )
            for one in contents
            for database, name, here, there, remark in table_rows(one)
        ]
        self.fill([Text(name) for name in _COLUMNS], rows)
        self.move_cursor(row=at)

    @property
    def database(self) -> str:
        """The database of the highlighted table, or the one that is always there."""
        if self.is_valid_row_index(self.cursor_row):
            return self.get_row_at(self.cursor_row)[0].plain
        return "postgres"


class AnswerTable(_Grid):
    """What a query gave; hidden while there is nothing."""

    def __init__(self) -> None:
        super().__init__(id="answer", cursor_type="row", show_cursor=False)
        self.display = False

    def show(self, answer: Answer | None) -> None:
        """Show an answer, or nothing any more."""
        self.display = answer is not None and bool(answer.columns)
        columns, rows = (answer.columns, answer.rows) if answer is not None else ((), [])
        self.fill([cell(one) for one in columns], [[cell(value) for value in row] for row in rows])
