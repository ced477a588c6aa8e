"""How transactions are said, to people and to programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import TypeAlias

from pitr_tui.postgres.quote import one_line
from pitr_tui.postgres.timestamp import moment
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.wal.catalogrows import DatabaseRow
from pitr_tui.wal.definitions import changed_tables, definitions_text
from pitr_tui.wal.effects import Deed, effects_of
from pitr_tui.wal.names import NameBook, RelationKind, RelationName
from pitr_tui.wal.pages import Ending
from pitr_tui.wal.record import Locator
from pitr_tui.wal.seam import Unread
from pitr_tui.wal.transactions import Change, Kind, Transaction
from pitr_tui.wording import count_text

Place: TypeAlias = tuple[int, int, int]  # tablespace, database, file number

_WIDTH = 80
_SHOWN_RELATIONS = 3
_UNREAD_INDENT = 2
_FIRST_NORMAL_OID = 16384
_ENDS = {
    Kind.COMMIT: "commit",
    Kind.ABORT: "rolled back",
    Kind.PREPARE: "prepared",
    Kind.COMMIT_PREPARED: "commit prepared",
    Kind.ABORT_PREPARED: "rolled back prepared",
    Kind.CUT_OFF: "cut off",
    Kind.UNKNOWN: "end not read",
    Kind.IN_PROGRESS: "in progress",
}


def iso_time(time: int | None) -> str | None:
    """ISO 8601 in UTC, to the microsecond."""
    if time is None:
        return None
    seconds, micros = divmod(time, 1_000_000)
    second = _second(seconds)
    return None if second is None else f"{second}.{micros:06d}+00:00"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str | None:
    when = moment(seconds * 1_000_000)
    return None if when is None else f"{when:%Y-%m-%dT%H:%M:%S}"


def wrapped(text: str, indent: int) -> Iterator[str]:
    """Lines of 80 columns, all but the first one indented; a long word keeps its line."""
    text, width = one_line(text), _WIDTH - indent
    if len(text) <= width:
        yield text
        return
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        yield (" " * indent if number else "") + line


def clock(time: int | None, zone: tzinfo) -> str:
    when = None if time is None else moment(time)
    return " " * 15 if when is None else f"{when.astimezone(zone):%H:%M:%S.%f}"


def day(time: int | None, zone: tzinfo) -> str | None:
    when: datetime | None = None if time is None else moment(time)
    return None if when is None else f"{when.astimezone(zone):%A, %Y-%m-%d}"


class _Heads(dict[Place, str]):
    """The begins of relations' JSON objects, made when they are needed."""

    def __init__(self, name_of: Callable[[Place, frozenset[int]], RelationName]) -> None:
        super().__init__()
        self._name_of = name_of

    def __missing__(self, place: Place) -> str:
        head = self[place] = _head(place, self._name_of(place, frozenset()))
        return head


def _head(place: Place, name: RelationName) -> str:
    tablespace, database, number = place
    words = {
        "database": name.database,
        "name": str(name) if name.name else None,
        "kind": name.kind,
        "of": str(name.owner) if name.owner else None,
        "filenode": number,
        "tablespace": tablespace,
        "database_oid": database,
    }
    return json.dumps(words)[:-1]


class TransactionWords:
    """Words for transactions while they are read, with the names of that moment."""

    def __init__(self, names: NameBook) -> None:
        self._names = names
        self._heads = _Heads(self.name_of)
        self._generation = names.generation

    def name_of(self, place: Place, xids: frozenset[int]) -> RelationName:
        tablespace, database, number = place
        return self._names.lookup(database, tablespace, number, xids)

    def line(self, one: Transaction) -> str:
        """A JSON object. There may be a million of them, so it is put together by hand."""
        heads = self._known_heads(one)
        relations = [
            f'{heads(change.place)}, "inserted": {change.inserted}, '
            f'"updated": {change.updated}, "hot_updated": {change.hot_updated}, '
            f'"deleted": {change.deleted}}}'
            for change in one.changes
            if change.inserted or change.updated or change.deleted
        ]
        dropped = [heads(place) + "}" for place in one.dropped]
        time = iso_time(one.time)
        when = f'"{time}"' if time else "null"
        full_xid = "null" if one.full_xid is None else one.full_xid
        gid = "null" if one.gid is None else json.dumps(one.gid)
        return (
            f'{{"event": "Transaction", "xid": {one.xid}, "top_xid": {one.top_xid}, '
            f'"full_xid": {full_xid}, '
            f'"kind": "{one.kind.value}", "time": {when}, '
            f'"lsn": "{one.lsn}", "end_lsn": "{one.end}", "first_lsn": "{one.first}", '
            f'"timeline": {int(one.timeline)}, "subxids": {list(one.subxids)}, '
            f'"gid": {gid}, '
            f'"partial": {"true" if one.partial else "false"}, '
            f'"relations": [{", ".join(relations)}], "dropped": [{", ".join(dropped)}], '
            f'"dropped_databases": {json.dumps(_dropped_databases(one))}, '
            f'"bytes": {one.bytes}, "records": {one.records}}}'
        )

    def _known_heads(self, one: Transaction) -> Callable[[Place], str]:
        """How to get the begin of a relation's JSON object, without the brace that ends it."""
        xids = frozenset((one.xid, *one.subxids))
        if self._names.concern(xids):
            return lambda place: _head(place, self.name_of(place, xids))
        if self._generation != self._names.generation:
            self._generation = self._names.generation
            self._heads = _Heads(self.name_of)
        return self._heads.__getitem__

    def people(self, one: Transaction, zone: tzinfo) -> Iterator[str]:
        """A few lines of at most 80 columns, as long as names are short."""
        nothing = "nothing but catalogs changed" if one.changes else "no rows of tables"
        if tables := changed_tables(one, self._names):
            nothing = definitions_text(tables)
        parts = list(self._parts(one)) or [nothing]
        head = f"{clock(one.time, zone)}  {one.xid:>10}  {one.lsn!s:<12} "
        gid = "" if one.gid is None else f" as '{one.gid}'"
        ended = "" if one.kind is Kind.COMMIT else f"{_ENDS[one.kind]}{gid}; "
        if len(parts) > _SHOWN_RELATIONS:
            more = count_text(len(parts) - _SHOWN_RELATIONS, "more table")
            parts[_SHOWN_RELATIONS:] = [f"and {more}"]
        parts[0] = ended + parts[0]
        for number, part in enumerate(parts):
            first, *more_lines = wrapped(part, len(head))
            yield (" " * len(head) if number else head) + first
            yield from more_lines

    def _parts(self, one: Transaction) -> Iterator[str]:
        """What a transaction did to each table, most rows first; catalogs are left out."""
        xids = frozenset((one.xid, *one.subxids))
        for database in _dropped_databases(one):
            yield f"dropped the database {one_line(database)}"
        for change in sorted(one.changes, key=lambda change: -change.rows):
            name = self.name_of(change.place, xids)
            toast = name.kind is RelationKind.TOAST
            if change.rows and change.place[2] >= _FIRST_NORMAL_OID and not toast:
                more = " or more" if one.partial else ""
                yield f"{short_name(name, change.locator)} {signed(change)}{more}"
        if one.dropped:
            owners = [self.name_of(locator, xids) for locator in one.dropped]
            tables = {one_line(str(name.table)) for name in owners if name.name}
            named = f" of {', '.join(sorted(tables)[:2])}" if tables else ""
            more = f" and {len(tables) - 2} more" if len(tables) > 2 else ""
            yield f"removed {count_text(len(one.dropped), 'file')}{named}{more}"


def _dropped_databases(one: Transaction) -> list[str]:
    if not one.rows:
        return []
    gone = (effect.before for effect in effects_of(one) if effect.deed is Deed.DROP_DATABASE)
    return [row.datname for row in gone if isinstance(row, DatabaseRow)]


def users_rows(one: Transaction) -> int:
    """How many rows of others than the system catalogs it changed, those of TOAST with them."""
    return sum(change.rows for change in one.changes if change.place[2] >= _FIRST_NORMAL_OID)


def short_name(name: RelationName, locator: Locator) -> str:
    """A name, or the number of the file whose name nothing tells."""
    return one_line(str(name)) if name.name else f"file {locator}"


def signed(change: Change) -> str:
    """Rows inserted, updated and deleted, each with a sign.

    >>> signed(Change(728, (1663, 5, 16384), 100, 5, 5, 3, 0))
    '+100 ~5 -3'
    """
    counts = (("+", change.inserted), ("~", change.updated), ("-", change.deleted))
    return " ".join(f"{sign}{count:,}" for sign, count in counts if count)


def unread_fact(one: Unread, segment: WalSegment) -> dict[str, object]:
    """What was not read, for programs; without an `until` it is the end of the WAL."""
    return {
        "event": "Unread",
        "lsn": str(one.lsn),
        "until": str(one.until) if one.until is not None else None,
        "segment": segment.name,
        "offset": one.lsn - segment.start,
        "kind": one.kind,
        "why": one.why,
    }


def unread_words(one: Unread, segment: WalSegment) -> Iterator[str]:
    """Lines about the end of the WAL, or about a hole in it and what that means."""
    if one.until is None:
        yield from wrapped(f"The WAL ends at {one.lsn}: {one.why}.", _UNREAD_INDENT)
        return
    words = f"✗ Not read: {one.lsn} to {one.until}, because {one.why}"
    if one.kind is Ending.DAMAGED:
        words += f" (byte {one.lsn - segment.start:,} of {segment.name})"
    yield from wrapped(f"{words}. Recovery from a backup before it stops there.", _UNREAD_INDENT)
