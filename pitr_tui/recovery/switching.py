"""Makes a primary finish the WAL segment that it is writing, so that it is archived."""

from __future__ import annotations

import secrets

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.servers.primary import Primary, PrimaryFacts


def switch_wal(primary: Primary, facts: PrimaryFacts) -> WalSegment:
    """Finish the current WAL segment and say which it was.

    A restore point is written first, because an empty segment would not be finished at all, and
    a transaction: a recovery to a time needs one behind it to stop at.
    """
    segment = primary.current_segment(facts)
    with primary.database.connect() as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in switch_statements(facts.version, f"pitr_switch_{secrets.token_hex(4)}"):
            cursor.execute(statement)
    return segment


def switch_statements(version: PostgresVersion, mark: str) -> tuple[str, ...]:
    """The statements that finish a segment, each a transaction of its own, in one session.

    `mark` is the name of the restore point, of letters, digits and underscores. A commit that
    waits for a standby which is gone would hold us up for ever.
    """
    return (
        "SET synchronous_commit = local",
        f"SELECT pg_create_restore_point('{mark}')",
        "SELECT txid_current()",
        f"SELECT {version.switch_wal_function}()",
    )
