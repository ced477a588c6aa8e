"""Answers what a killed process left open: was the transaction committed, of which it had
written that it is about to commit?
"""

from __future__ import annotations

import time

from pitr_tui.errors import PitrError
from pitr_tui.lab.capture import rows_of
from pitr_tui.lab.session import Session
from pitr_tui.lab.truth import Commit, Done, Truth, TruthWriter, Undone
from pitr_tui.servers.sql import Database

_POLL = 0.05
_ENDING_SECONDS = 30  # a server notices soon that its client is dead


def settle(writer: TruthWriter, database: Database) -> int:
    """Ask the primary about each commit that is uncertain, and write down what it says.

    Gives how many there were; without any the server is not asked. Raises AwayError when it does
    not answer, PitrError.
    """
    with writer.locked():
        uncertain = Truth.read(writer.path).uncertain
        if not uncertain:
            return 0
        session = Session(database)
        try:
            with session.told():
                for intent in uncertain:
                    commit = intent.commit
                    if _was_made(session, commit):
                        writer.write(Done(commit.number, commit.lsn, commit.at))
                    else:
                        writer.write(Undone(commit.number))
        finally:
            session.close()
    return len(uncertain)


def _was_made(session: Session, commit: Commit) -> bool:
    """After a crash of the server another transaction may have got the same id.

    So the rows have to agree, too: one of them at least, for others may have changed since.
    """
    if session.version.tells_transaction_status and not _status_is_committed(session, commit):
        return False
    rows = rows_of(session.connection)
    agreeing = [
        rows.get(table, {}).get(key) == text
        for table, changed in commit.changes.items()
        for key, text in changed.items()
    ]
    agreeing += [table not in rows for table in commit.dropped]
    agreeing += [table in rows for table in commit.created]
    if session.version.tells_transaction_status:
        return any(agreeing) or not agreeing
    return all(agreeing) and bool(agreeing)


def _status_is_committed(session: Session, commit: Commit) -> bool:
    deadline = time.monotonic() + _ENDING_SECONDS
    while True:
        session.cursor.execute(
            "SELECT CASE WHEN x.id < x.next THEN txid_status(x.id) END"
            "  FROM (SELECT ((s.next >> 32) << 32) | %s AS id, s.next"
            "          FROM (SELECT txid_snapshot_xmax(txid_current_snapshot()) AS next) s) x",
            [commit.xid],
        )
        ((status,),) = session.cursor.fetchall()
        if status != "in progress":
            return bool(status == "committed")
        if time.monotonic() > deadline:
            raise PitrError(
                f"transaction {commit.xid} does not end",
                "the process that began it is gone, and the server still holds it open",
                "look at pg_stat_activity, and end its session",
            )
        time.sleep(_POLL)
