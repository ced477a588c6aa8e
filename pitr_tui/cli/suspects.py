"""`pitr wal suspects`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import tzinfo

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
from pitr_tui.wal.findings import Remark, Suspect
from pitr_tui.wal.happenings import happening_words
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.suspects import SuspectFinder
from pitr_tui.wal.transactions import Happening, Transaction
from pitr_tui.wording import count_text

_INDENT = 5
_EVENT_INDENT = 32


def suspects(parsed: argparse.Namespace, output: Output) -> int:
    """Name the transactions that look harmful, the worst first."""
    with opened(parsed, output) as one:
        say_remarks(one, output)
        _Hearing(one, output, parsed.limit).hold()
    return 0


class _Hearing:
    """All that was found in one reading, said when it is over, because only then it is ranked."""

    def __init__(self, one: Opened, output: Output, limit: int) -> None:
        self._one, self._output, self._limit = one, output, limit
        self._words = TransactionWords(one.reading.names)
        self._found: list[tuple[Suspect, str]] = []
        self._events: list[tuple[str, int | None, str, dict[str, object]]] = []
        self._unread: list[Unread] = []
        self._seen = 0

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
        said = happening_words(item)
        if said is not None:
            fact: dict[str, object] = {"event": type(item.action).__name__}
            self._events.append((str(item.lsn), said.time, said.words, fact))

    def _say(self) -> None:
        zone = self._one.zone
        for rank, (suspect, line) in enumerate(self._found, 1):
            self._output.fact(_fact(rank, suspect, line))
            if rank <= self._limit:
                for text in _paragraph(rank, suspect, zone):
                    self._output.say(text)
        hidden = len(self._found) - self._limit
        if hidden > 0:
            self._output.say(f"… {count_text(hidden, 'more suspect')}; --limit shows them")
        if not self._found:
            self._output.say("No transaction looks harmful.")
        self._say_events(zone)
        for unread in self._unread:
            self._output.fact(unread_fact(unread))
            self._output.say(unread_words(unread))
        self._output.say(f"{count_text(self._seen, 'transaction')} looked at.")

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
        "target": {"xid": one.xid, "inclusive": False},
        "transaction": json.loads(line) if line else None,
    }


def _paragraph(rank: int, suspect: Suspect, zone: tzinfo) -> Iterator[str]:
    one = suspect.transaction
    where = f" in {suspect.database}" if suspect.database else ""
    yield f"{rank}. {day(one.time, zone)} {clock(one.time, zone)} {zone}, xid {one.xid}{where}"
    for finding in suspect.findings:
        yield from wrapped(f"     {finding.words}", _INDENT)
    yield f"     just before it: --target-xid {one.xid} --exclusive"
