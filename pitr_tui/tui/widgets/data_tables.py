"""The tables of a secondary, and the answer to a query: outside text in a grid."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widgets import DataTable

from pitr_tui.postgres.quote import visible
from pitr_tui.recovery.verify import Answer
from pitr_tui.tui.contents import Contents, table_rows

_LONGEST_CELL = 60
_COLUMNS = ("database", "table", "rows here", "in the primary", "")


def cell(value: object) -> Text:
    """Outside text for one cell: no markup, control characters visible, and not endless."""
    text = "NULL" if value is None else str(value).replace("\n", "␊").replace("\t", " ")
    cut = text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL] + "…"
    return Text(visible(cut))


class ContentsTable(DataTable[Text]):
    """Every table with its rows here and in the primary."""

    def __init__(self) -> None:
        super().__init__(id="tables", cursor_type="row", zebra_stripes=True, classes="gap-above")

    def on_mount(self) -> None:
        for name in _COLUMNS:
            self.add_column(Text(name))

    def show(self, contents: Iterable[Contents]) -> None:
        """Show exactly these, with the cursor where it was."""
        at = self.cursor_row
        self.clear()
        for one in contents:
            for database, name, here, there, remark in table_rows(one):
                numbers = (Text(number, justify="right") for number in (here, there))
                self.add_row(cell(database), cell(name), *numbers, cell(remark))
        self.move_cursor(row=at)

    @property
    def database(self) -> str:
        """The database of the highlighted table, or the one that is always there."""
        if self.is_valid_row_index(self.cursor_row):
            return self.get_row_at(self.cursor_row)[0].plain
        return "postgres"


class AnswerTable(DataTable[Text]):
    """What a query gave; hidden while there is nothing."""

    def __init__(self) -> None:
        super().__init__(id="answer", cursor_type="row", show_cursor=False)
        self.display = False

    def show(self, answer: Answer | None) -> None:
        """Show an answer, or nothing any more."""
        self.clear(columns=True)
        self.display = answer is not None and bool(answer.columns)
        if answer is not None:
            for column in answer.columns:
                self.add_column(cell(column))
            for row in answer.rows:
                self.add_row(*(cell(value) for value in row))
