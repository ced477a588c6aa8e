"""Positions in the WAL and the branches it runs on."""

from __future__ import annotations

import re

from pitr_tui.errors import UsageError

_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_TIMELINE = re.compile(r"[0-9]{1,10}|0[xX][0-9A-Fa-f]{1,8}")


class Lsn(int):
    """A byte position in the WAL stream, as PostgreSQL prints it (`pg_lsn`).

    Source: src/backend/utils/adt/pg_lsn.c. A difference of two positions is a plain
    number of bytes; a position moved forward is a position.

    >>> Lsn.parse("0/3002448")
    Lsn('0/3002448')
    >>> Lsn.parse("1/0") - Lsn.parse("0/FFFFFFFF")
    1
    >>> Lsn.parse("0/03002448") + 8
    Lsn('0/3002450')
    """

    def __new__(cls, value: int) -> Lsn:
        if not 0 <= value < 1 << 64:
            raise UsageError(f"{value} is not a WAL position", "it must fit into 64 bits")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """Read `X/X`, zero-padded or not. Raises UsageError for anything else."""
        match = _LSN.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"{text!r} is not a WAL position",
                "an LSN is two hexadecimal numbers with a slash between them",
                "write it as PostgreSQL prints it, for example 0/3002448",
            )
        return cls((int(match[1], 16) << 32) | int(match[2], 16))

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn('{self}')"

    def __add__(self, other: int) -> Lsn:
        return Lsn(int(self) + int(other))


class TimelineId(int):
    """A branch of the cluster's history; 1 is the first.

    >>> TimelineId(2).prefix, TimelineId(26).history_name
    ('00000002', '0000001A.history')
    """

    def __new__(cls, value: int) -> TimelineId:
        if not 1 <= value < 1 << 32:
            raise UsageError(f"{value} is not a timeline", "timelines are numbered from 1")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> TimelineId:
        """Read a decimal number, or hexadecimal with a leading 0x. Raises UsageError."""
        if _TIMELINE.fullmatch(text) is None:
            raise UsageError(
                f"{text!r} is not a timeline", "a timeline is a whole number", "for example 1"
            )
        return cls(int(text, 16) if text[:2] in ("0x", "0X") else int(text))

    @property
    def prefix(self) -> str:
        """The first eight characters of this timeline's file names."""
        return f"{int(self):08X}"

    @property
    def history_name(self) -> str:
        """The file that tells where this timeline forked off (absent for timeline 1)."""
        return f"{self.prefix}.history"
