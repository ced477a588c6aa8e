"""Whose definitions a transaction changed: CREATE, ALTER and DROP leave rows in the catalogs."""

from __future__ import annotations

from pitr_tui.postgres.quote import one_line
from pitr_tui.wal.catalogrows import AttributeRow, ClassRow, IndexRow
from pitr_tui.wal.names import NameBook
from pitr_tui.wal.suspects import is_users_table
from pitr_tui.wal.transactions import Transaction

_MOST = 20  # tables of one transaction; who restores a whole dump has many
_SHOWN = 2


def changed_tables(item: Transaction, names: NameBook) -> tuple[str, ...]:
    """The users' tables whose definition it changed, or that of an index of theirs, in order.

    Ask while the names are those of the transaction's end.
    """
    xids = frozenset((item.xid, *item.subxids))
    asked: set[tuple[int, int]] = set()
    found: dict[str, None] = {}
    for change in item.rows:
        oid = _relation(change.after or change.before)
        if oid is None or not change.xid or (change.database, oid) in asked:
            continue
        asked.add((change.database, oid))
        name = names.relation(change.database, oid, xids)
        if name is not None and is_users_table(name.table, oid):
            found[one_line(str(name.table))] = None
            if len(found) == _MOST:
                break
    return tuple(found)


def definitions_text(tables: tuple[str, ...]) -> str:
    """That definitions were changed, with the first tables by name.

    >>> definitions_text(()), definitions_text(("public.a", "shop.b", "shop.c"))
    ('changed definitions', 'changed definitions of a, shop.b and 1 more')
    """
    if not tables:
        return "changed definitions"
    shown = ", ".join(one.removeprefix("public.") for one in tables[:_SHOWN])
    more = f" and {len(tables) - _SHOWN} more" if len(tables) > _SHOWN else ""
    return f"changed definitions of {shown}{more}"


def _relation(row: object) -> int | None:
    """The oid of the relation that a row of a catalog is about."""
    match row:
        case ClassRow():
            return row.oid
        case AttributeRow():
            return row.attrelid
        case IndexRow():
            return row.indrelid
    return None
