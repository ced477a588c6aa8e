"""`pitr wal suspects`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import tzinfo
from typing import NamedTuple

from pitr_tui.cli.output import Output
from pitr_tui.cli.reading import Opened, opened, say_remarks
from pitr_tui.cli.transaction_words import (
    TransactionWords,
    clock,
    day,
    iso_time,
    unread_fact,
    unread_words,
    wrapped,
)
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.quote import one_line
from pitr_tui.wal.actions import DatabaseDropped
from pitr_tui.wal.findings import Remark, Suspect, What
from pitr_tui.wal.happenings import happening_words
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.suspects import SuspectFinder
from pitr_tui.wal.transactions import Happening, Kind, Transaction
from pitr_tui.wording import count_text

_INDENT = 5
_EVENT_INDENT = 32


def suspects(parsed: argparse.Namespace, output: Output) -> int:
    """Name the transactions that look harmful, the worst first."""
    with opened(parsed, output) as one:
        say_remarks(one, output)
        _Hearing(one, output, parsed.limit).hold()
    return 0


class _Removal(NamedTuple):
    """The record that removes a database's files, and the last commit before it."""

    lsn: Lsn
    after: int | None


class _Hearing:
    """All that was found in one reading, said when it is over, because only then it is ranked."""

    def __init__(self, one: Opened, output: Output, limit: int) -> None:
        self._one, self._output, self._limit = one, output, limit
        self._words = TransactionWords(one.reading.names)
        self._found: list[tuple[Suspect, str]] = []
        self._events: list[tuple[str, int | None, str, dict[str, object]]] = []
        self._unread: list[Unread] = []
        self._seen = 0
        self._last_commit: int | None = None
        self._removals: dict[int, _Removal] = {}  # by the oid of the database

    def hold(self) -> None:
        finder = SuspectFinder(self._one.reading.names, self._one.reading.counted)
        for item in self._one.items():
            if isinstance(item, Unread):
                self._unread.append(item)
            elif isinstance(item, Happening):
                self._note_happening(item)
            else:
                self._look(finder, item)
        self._found.sort(key=lambda pair: (-pair[0].score, -pair[0].transaction.lsn))
        self._say()

    def _look(self, finder: SuspectFinder, item: Transaction) -> None:
        verdict = finder.look(item)  # of each one, because it counts the rows of tables
        if item.is_committed:
            self._last_commit = item.xid
        if not self._one.span.has(item):
            return
        self._seen += 1
        if isinstance(verdict, Suspect):
            self._found.append((verdict, self._words.line(item) if self._output.as_json else ""))
            return
        for remark in verdict:
            self._note_remark(remark, item)

    def _note_remark(self, remark: Remark, item: Transaction) -> None:
        fact: dict[str, object] = {"event": "Remark", "xid": item.xid, "names": remark.names}
        self._events.append((str(item.lsn), item.time, remark.words, fact))

    def _note_happening(self, item: Happening) -> None:
        if isinstance(item.action, DatabaseDropped):
            self._removals.setdefault(item.action.oid, _Removal(item.lsn, self._last_commit))
        said = happening_words(item)
        if said is not None:
            fact: dict[str, object] = {"event": type(item.action).__name__}
            self._events.append((str(item.lsn), said.time, said.words, fact))

    def _say(self) -> None:
        zone = self._one.zone
        for rank, (suspect, line) in enumerate(self._found, 1):
            holes = self._holes_before(suspect.transaction)
            fact = {**_fact(rank, suspect, line), "target": self._target(suspect)}
            self._output.fact({**fact, "unreadable_before": bool(holes)})
            if rank <= self._limit:
                for text in (*_paragraph(rank, suspect, zone), *self._advice(suspect, holes)):
                    self._output.say(text)
        hidden = len(self._found) - self._limit
        if hidden > 0:
            self._output.say(f"… {count_text(hidden, 'more suspect')}; --limit shows them")
        if not self._found:
            read = " of those that could be read" if self._holes else ""
            self._output.say(f"No transaction{read} looks harmful.")
        self._say_events(zone)
        for unread in self._unread:
            segment = self._one.segment_at(unread.lsn)
            self._output.fact(unread_fact(unread, segment))
            for text in unread_words(unread, segment):
                self._output.say(text)
        self._output.say(f"{count_text(self._seen, 'transaction')} looked at.")

    @property
    def _holes(self) -> list[Unread]:
        return [unread for unread in self._unread if unread.until is not None]

    def _holes_before(self, one: Transaction) -> list[Unread]:
        return [hole for hole in self._holes if hole.until is not None and hole.until <= one.lsn]

    def _advice(self, suspect: Suspect, holes: list[Unread]) -> Iterator[str]:
        """How to get to just before a suspect, where one can."""
        one, reading = suspect.transaction, self._one.reading
        if one.kind is Kind.UNKNOWN:
            yield "     or more, and whether it committed could not be read"
            return
        if one.partial:
            yield "     or more: part of it may lie in WAL that was not read"
        if holes and reading.start is not None:
            yield f"     out of reach from this backup: the WAL has a hole at {holes[0].lsn}"
            return
        if holes:
            yield f"     only from a backup taken after the hole that ends at {holes[-1].until}"
        several = len(reading.known.timelines) > 1 or one.timeline != 1
        branch = f" --timeline {one.timeline}" if several else ""
        removal = self._removal_of(suspect)
        if removal is None:
            yield f"     just before it: --target-xid {one.xid} --exclusive{branch}"
        else:
            there = f"--target-lsn {removal.lsn} --exclusive"
            there = there if removal.after is None else f"--target-xid {removal.after}"
            yield f"     before its files were removed: {there}{branch}"

    def _removal_of(self, suspect: Suspect) -> _Removal | None:
        """Where replay removes a database that this one drops: the target has to lie before."""
        if not any(finding.what is What.DROP_DATABASE for finding in suspect.findings):
            return None
        actions = suspect.transaction.actions
        dropped = [one.oid for one in actions if isinstance(one, DatabaseDropped)]
        found = [self._removals[oid] for oid in dropped if oid in self._removals]
        return min(found, default=None)

    def _target(self, suspect: Suspect) -> dict[str, object] | None:
        """Where to stop a recovery; without a known end there is nothing to stop at."""
        one, removal = suspect.transaction, self._removal_of(suspect)
        if one.kind is Kind.UNKNOWN:
            return None
        timeline = int(one.timeline)
        if removal is None:
            return {"xid": one.xid, "inclusive": False, "timeline": timeline}
        if removal.after is not None:
            return {"xid": removal.after, "inclusive": True, "timeline": timeline}
        return {"lsn": str(removal.lsn), "inclusive": False, "timeline": timeline}

    def _say_events(self, zone: tzinfo) -> None:
        if self._events:
            self._output.say("Also seen:")
        for lsn, time, words, fact in self._events:
            self._output.fact({**fact, "time": iso_time(time), "lsn": lsn, "words": words})
            first, *more = wrapped(words, _EVENT_INDENT)
            self._output.say(f"  {clock(time, zone)}  {lsn:<12} {first}")
            for line in more:
                self._output.say(line)


def _fact(rank: int, suspect: Suspect, line: str) -> dict[str, object]:
    one = suspect.transaction
    return {
        "event": "Suspect",
        "rank": rank,
        "score": round(suspect.score, 1),
        "xid": one.xid,
        "time": iso_time(one.time),
        "lsn": str(one.lsn),
        "database": suspect.database,
        "sentence": suspect.sentence,
        "findings": [
            {"what": f.what, "names": f.names, "rows": f.rows, "of": f.of, "words": f.words}
            for f in suspect.findings
        ],
        "transaction": json.loads(line) if line else None,
    }


def _paragraph(rank: int, suspect: Suspect, zone: tzinfo) -> Iterator[str]:
    one = suspect.transaction
    where = f" in {one_line(suspect.database)}" if suspect.database else ""
    when = "at a time not known"
    if one.time is not None:
        when = f"{day(one.time, zone)} {clock(one.time, zone)} {zone}"
    yield f"{rank}. {when}, xid {one.xid}{where}"
    for finding in suspect.findings:
        yield from wrapped(f"     {finding.words}", _INDENT)
