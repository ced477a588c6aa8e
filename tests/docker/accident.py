"""An accident in a compose project: rows before and after a backup, and WAL that was archived.

Everything here is done with the server's own tools, so that only the recovery is ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from tests.docker.world import USER, Project
from tests.unit.made import wait_until

_COMMAND = "test ! -f /archive/wal/%f && cp %p /archive/wal/%f"


@dataclass
class Accident:
    """Rows 1 and 2 lie before and behind the backup; row 3 came with the transaction `xid`."""

    project: Project
    xid: int

    @property
    def archive(self) -> str:
        return f"volume:{self.project.volume('archive')}/wal"

    @property
    def backup(self) -> str:
        return f"volume:{self.project.volume('archive')}/base"


def play(project: Project, *backup_options: str) -> Accident:
    """Make the primary archive, back it up, and let row 3 happen."""
    project.run(["mkdir", "/archive/wal"], user=USER)
    project.sql("ALTER SYSTEM SET wal_level = replica")
    project.sql("ALTER SYSTEM SET archive_mode = on")
    project.sql(f"ALTER SYSTEM SET archive_command = '{_COMMAND}'")
    project.primary.restart(timeout=60)
    project.wait_ready()
    project.sql("CREATE TABLE t (id int PRIMARY KEY)")
    project.sql("INSERT INTO t VALUES (1)")
    take = ["pg_basebackup", "-h", "127.0.0.1", "-U", USER, "-D", "/archive/base", "-c", "fast"]
    project.run([*take, *backup_options], user=USER)
    project.sql("INSERT INTO t VALUES (2)")
    xid = int(project.sql("INSERT INTO t VALUES (3) RETURNING txid_current()").splitlines()[0])
    project.sql("INSERT INTO t VALUES (4)")
    segment = project.sql("SELECT pg_walfile_name(pg_switch_wal())")
    wait_until(lambda: segment in project.run(["ls", "/archive/wal"]).split())
    return Accident(project, xid)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pitr_tui", *arguments]


def pitr(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a person does."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=180,
        stdin=subprocess.DEVNULL,
    )


def events(done: subprocess.CompletedProcess[str], kind: str) -> list[dict[str, object]]:
    """What `--json` told of one kind."""
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return [event for event in told if event.get("event") == kind]


def restore_words(accident: Accident, to: str, *options: str) -> list[str]:
    """The words of `pitr restore --json` from the accident's backup and archive."""
    return [
        *("restore", "--json", "--backup", accident.backup, "--archive", accident.archive),
        *("--to", to, "--docker", str(accident.project.primary.name), *options),
    ]


def restore(accident: Accident, to: str, *options: str) -> subprocess.CompletedProcess[str]:
    return pitr(*restore_words(accident, to, *options))
