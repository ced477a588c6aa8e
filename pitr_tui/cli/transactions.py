"""`pitr wal transactions`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from pitr_tui.cli.output import Output
from pitr_tui.cli.reading import Opened, opened, say_remarks
from pitr_tui.cli.transaction_words import (
    TransactionWords,
    day,
    unread_fact,
    unread_words,
    users_rows,
    wrapped,
)
from pitr_tui.wal.names import NameBook, RelationName
from pitr_tui.wal.record import Locator
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.transactions import Kind, Transaction
from pitr_tui.wording import count_text

_HOW_NAMED = (
    "A table is asked for by its exact name, as orders, public.orders or shop.public.orders, "
    "or by its file's number."
)


def transactions(parsed: argparse.Namespace, output: Output) -> int:
    """List the transactions of an archive in the order in which they ended."""
    with opened(parsed, output) as one:
        wanted = Filter(one.reading.names, parsed.relation, parsed.min_rows or 0)
        say_remarks(one, output)
        _list(one, wanted, output)
    return 0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which transactions are wanted: by a relation they touched, by how many rows they changed."""

    names: NameBook
    relation: str | None
    min_rows: int

    def wants(self, one: Transaction) -> bool:
        if self.relation is None:
            return not self.min_rows or users_rows(one) >= self.min_rows
        xids = frozenset((one.xid, *one.subxids))
        rows = sum(change.rows for change in one.changes if self._is_meant(change.locator, xids))
        if rows:
            return rows >= self.min_rows
        return not self.min_rows and any(self._is_meant(gone, xids) for gone in one.dropped)

    def _is_meant(self, locator: Locator, xids: frozenset[int]) -> bool:
        """By any of a relation's names, by its table's, or by its file number."""
        name = self.names.lookup(locator.database, locator.tablespace, locator.number, xids)
        return self.relation in {
            str(locator.number),
            *(spelling for known in (name, name.table) for spelling in _spellings(known)),
        }


def _spellings(name: RelationName) -> tuple[str, ...]:
    if not name.name:
        return ()
    return name.name, str(name), f"{name.database}.{name}"


def _list(one: Opened, wanted: Filter, output: Output) -> None:
    words = TransactionWords(one.reading.names)
    shown, seen, last_day = 0, 0, None
    in_doubt: dict[str | None, int] = {}
    for item in one.items():
        if isinstance(item, Unread):
            segment = one.segment_at(item.lsn)
            output.fact(unread_fact(item, segment))
            for line in unread_words(item, segment):
                output.say(line)
        if not isinstance(item, Transaction):
            continue
        _note_doubt(item, in_doubt)
        if not one.span.has(item):
            continue
        seen += 1
        if not wanted.wants(item):
            continue
        shown += 1
        if output.as_json:
            output.json_line(words.line(item))
            continue
        today = day(item.time, one.zone)
        if today is not None and today != last_day:
            last_day = today
            output.say(f"{today} ({one.zone})")
        for line in words.people(item, one.zone):
            output.say(line)
    for gid, xid in in_doubt.items():
        doubt = f"! {xid} was prepared as '{gid}', and neither committed nor rolled back so far."
        for line in wrapped(doubt, 2):
            output.say(line)
    output.say(f"{count_text(shown, 'transaction')}" + (f" of {seen:,}" if seen > shown else ""))
    if shown:
        output.say("xid and LSN of the end; rows: + inserted, ~ updated, - deleted")
    elif seen and wanted.relation is not None:
        for line in wrapped(f"None of them touched {wanted.relation}. {_HOW_NAMED}", 0):
            output.say(line)


def _note_doubt(one: Transaction, in_doubt: dict[str | None, int]) -> None:
    """Keep the prepared transactions that have no end yet."""
    if one.kind is Kind.PREPARE:
        in_doubt[one.gid] = one.xid
    elif one.kind in (Kind.COMMIT_PREPARED, Kind.ABORT_PREPARED):
        in_doubt.pop(one.gid, None)
