"""Rows of cells that are drawn on, each cell with what it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from pitr_tui.tui.literal import literal

_LABEL_BLANK = 1


class Kind(StrEnum):
    """What a cell stands for, in one letter."""

    PLAIN = " "
    NAME = "n"
    RULER = "r"
    BACKUP = "b"
    CHOSEN = "B"
    BAD = "x"
    WAL = "w"
    OTHER_WAL = "o"
    GAP = "g"
    ACTIVITY = "a"
    SUSPECT = "s"
    POINT = "p"
    UNREAD = "u"
    CUT = "k"


class Row(NamedTuple):
    """A row: its name, its cells, and as many kinds."""

    name: str
    cells: str
    kinds: str


@dataclass(slots=True)
class Line:
    """A row that is being drawn."""

    cells: list[str]
    kinds: list[Kind]

    @classmethod
    def of(cls, width: int) -> Line:
        return cls([" "] * width, [Kind.PLAIN] * width)

    def put(self, column: int, sign: str, kind: Kind) -> None:
        if 0 <= column < len(self.cells):
            self.cells[column], self.kinds[column] = sign, kind

    def put_where(self, columns: NDArray[np.bool], sign: str, kind: Kind) -> None:
        for column in np.flatnonzero(columns).tolist():
            self.put(column, sign, kind)

    def is_free(self, begin: int, end: int) -> bool:
        return end <= len(self.cells) and all(one == " " for one in self.cells[begin:end])

    def label(self, column: int, text: str, kind: Kind) -> None:
        """Write a text behind a sign if there is room before the next one."""
        begin = column + 1
        if text and column >= 0 and self.is_free(begin, begin + len(text) + _LABEL_BLANK):
            self.write(begin, text, kind)

    def write(self, begin: int, text: str, kind: Kind) -> None:
        for at, sign in enumerate(text):
            self.put(begin + at, sign, kind)

    def row(self, name: str) -> Row:
        return Row(name, "".join(self.cells), "".join(self.kinds))


def narrow(text: str) -> str:
    """Outside text for cells: nothing that is not one cell wide."""
    return "".join(sign if cell_len(sign) == 1 else "?" for sign in literal(text).plain)
