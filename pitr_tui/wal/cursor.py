"""Reading the main data of a record from front to back, never behind its end."""

from __future__ import annotations

import struct
from typing import Any

from pitr_tui.wal.record import DamagedRecord, Locator

_COUNT = struct.Struct("<i")
_U32 = struct.Struct("<I")
_LOCATOR = struct.Struct("<III")


class Cursor:
    """A place in some bytes. Everything raises DamagedRecord where too few of them are left."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def bytes(self, length: int) -> bytes:
        """The next bytes; a negative `length` is damage too."""
        if not 0 <= length <= self.left:
            raise DamagedRecord(f"{length} bytes are announced in it and {self.left} are there")
        self._at += length
        return self._data[self._at - length : self._at]

    def align(self, size: int) -> None:
        """Go on to the next multiple of `size`, where padding may be missing at the end."""
        self._at = min(self._at + -self._at % size, len(self._data))

    def fields(self, form: struct.Struct) -> tuple[Any, ...]:
        """The members of a C structure."""
        return form.unpack(self.bytes(form.size))

    def number(self) -> int:
        """An unsigned number of four bytes."""
        return int(_U32.unpack(self.bytes(4))[0])

    def count(self) -> int:
        """The number of things in a list."""
        return int(_COUNT.unpack(self.bytes(4))[0])

    def numbers(self, count: int) -> tuple[int, ...]:
        """A list of oids or transaction ids."""
        return tuple(number for (number,) in _U32.iter_unpack(self.bytes(count * 4)))

    def locators(self, count: int) -> tuple[Locator, ...]:
        """A list of relation files."""
        data = self.bytes(count * _LOCATOR.size)
        return tuple(Locator(*one) for one in _LOCATOR.iter_unpack(data))

    def text(self) -> str:
        """A text that ends with a zero byte; what is no UTF-8 in it can be told from the rest."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise DamagedRecord("a text in it has no end")
        data = self.bytes(end - self._at)
        self._at += 1
        return data.decode("utf-8", "surrogateescape")
