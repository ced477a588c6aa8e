"""What a transaction did to whole tables, columns, schemas and databases.

The catalogs' rows tell: a row of pg_class that goes is a dropped relation, one that gets
another file number is a truncated or a rewritten one. Where that file was another table's
before, the two have changed places, as pg_repack has it.
Source: src/backend/commands/tablecmds.c (ExecuteTruncateGuts, ATRewriteTables),
src/backend/commands/cluster.c (make_new_heap: the transient table pg_temp_<oid>),
src/backend/catalog/heap.c (RemoveAttributeById: the name of a dropped column).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from pitr_tui.wal.catalog import RowChange
from pitr_tui.wal.catalogredo import ChangeKind
from pitr_tui.wal.catalogrows import AttributeRow, ClassRow, Row, SystemCatalog
from pitr_tui.wal.transactions import Transaction

_DROPPED_COLUMN = re.compile(r"\.{8}pg\.dropped\.\d+\.{8}")
_TRANSIENT = re.compile(r"pg_temp_(\d+)")
_WITH_ROWS = frozenset("rpm")  # tables, partitioned tables, materialized views


class Deed(StrEnum):
    """What can be done to something as a whole."""

    DROP_DATABASE = "drop database"
    CREATE_DATABASE = "create database"
    DROP_SCHEMA = "drop schema"
    DROP = "drop"
    CREATE = "create"
    TRUNCATE = "truncate"
    REWRITE = "rewrite"
    DROP_COLUMN = "drop column"
    ALTER_TYPE = "alter column type"
    RENAME = "rename"


@dataclass(frozen=True, slots=True)
class Effect:
    """One deed on a row of a catalog, as it was before and after the transaction.

    None where there was none, or where it is not known.
    """

    deed: Deed
    database: int
    before: Row | None
    after: Row | None

    @property
    def row(self) -> Row | None:
        return self.before or self.after


def effects_of(transaction: Transaction) -> list[Effect]:
    """What a transaction did to things as a whole, in the order of its first touch of them."""
    courses = _courses(transaction.rows)
    rewritten = set(_rewritten(courses))
    return [effect for course in courses for effect in _effects(course, rewritten)]


@dataclass(slots=True)
class _Course:
    """A row from before a transaction to after it; `seen` is what was ever seen of it."""

    catalog: SystemCatalog
    database: int
    first: Row | None
    last: Row | None
    seen: Row | None
    inserted: bool
    deleted: bool


def _courses(changes: Iterable[RowChange]) -> list[_Course]:
    """The changes of rows, put together where they belong to one thing."""
    courses: dict[object, _Course] = {}
    for number, change in enumerate(changes):
        row = change.before or change.after
        key: object = number if row is None else (change.catalog, change.database, _key(row))
        course = courses.get(key)
        if course is None:
            course = courses[key] = _Course(
                change.catalog,
                change.database,
                change.before,
                change.after,
                row,
                inserted=change.kind is ChangeKind.INSERTED,
                deleted=False,
            )
        course.last = change.after
        course.deleted = change.kind is ChangeKind.DELETED
    return list(courses.values())


def _key(row: Row) -> object:
    """What stays the same of a row while it is changed."""
    if isinstance(row, AttributeRow):
        return row.attrelid, row.attnum
    return row[0]


def _rewritten(courses: list[_Course]) -> Iterator[int]:
    """The oids of tables whose rows a transaction put into another file, or found in one."""
    owners = {row.relfilenode: row.oid for row in (one.first for one in courses) if _has_file(row)}
    for course in courses:
        if course.inserted and isinstance(course.seen, ClassRow):
            match = _TRANSIENT.fullmatch(course.seen.relname)
            if match is not None:
                yield int(match[1])
        if _has_file(course.last) and course.last.relfilenode in owners:
            yield course.last.oid


def _has_file(row: Row | None) -> TypeGuard[ClassRow]:
    return isinstance(row, ClassRow) and row.relfilenode != 0


def _effects(course: _Course, rewritten: set[int]) -> Iterator[Effect]:
    deed = None
    if course.inserted and course.deleted:
        return  # nobody else ever saw it
    if course.catalog is SystemCatalog.PG_CLASS:
        deed = _deed_on_relation(course, rewritten)
    elif course.catalog is SystemCatalog.PG_ATTRIBUTE:
        deed = _deed_on_column(course)
    elif course.catalog is SystemCatalog.PG_NAMESPACE and course.deleted:
        deed = Deed.DROP_SCHEMA
    elif course.catalog is SystemCatalog.PG_DATABASE and course.deleted:
        deed = Deed.DROP_DATABASE
    elif course.catalog is SystemCatalog.PG_DATABASE and course.inserted:
        deed = Deed.CREATE_DATABASE
    if deed is not None:
        yield Effect(deed, course.database, course.first, course.last)


def _deed_on_relation(course: _Course, rewritten: set[int]) -> Deed | None:
    before, after = course.first, course.last
    if course.deleted:
        return Deed.DROP
    if course.inserted:
        transient = isinstance(after, ClassRow) and _TRANSIENT.fullmatch(after.relname)
        return None if transient else Deed.CREATE
    if not isinstance(before, ClassRow) or not isinstance(after, ClassRow):
        return None
    if before.relfilenode != after.relfilenode and after.relkind in _WITH_ROWS:
        made_anew = after.oid in rewritten or before.reltablespace != after.reltablespace
        return Deed.REWRITE if made_anew else Deed.TRUNCATE
    if before.relname != after.relname or before.relnamespace != after.relnamespace:
        return Deed.RENAME
    return None


def _deed_on_column(course: _Course) -> Deed | None:
    """Dropping a column renames it; dropping a table deletes its columns' rows."""
    before, after = course.first, course.last
    if not isinstance(after, AttributeRow) or course.inserted or after.attnum <= 0:
        return None
    if _DROPPED_COLUMN.fullmatch(after.attname):
        return Deed.DROP_COLUMN
    if isinstance(before, AttributeRow) and before.atttypid != after.atttypid:
        return Deed.ALTER_TYPE
    return None
