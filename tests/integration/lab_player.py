"""A trainee in a lab: somebody who has a terminal, and knows only what stands on it.

Everything goes through the command line. The truth and the scenarios' files are never read.
"""

from __future__ import annotations

import io
import json
import shlex
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from pitr_tui.cli import main
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.installation import tool_path

Fact = dict[str, Any]
_SEED = 7
_SECONDS = 60


class RefusedAsTold(Exception):
    """A command that did not do it, with what it said."""

    def __init__(self, code: int, error: Fact) -> None:
        super().__init__(f"exit {code}: {error['what']}: {error['why']} ({error['hint']})")
        self.code, self.error = code, error


def pitr(*words: object, allow: tuple[int, ...] = (0,)) -> list[Fact]:
    """What a command says with --json. Raises RefusedAsTold for an exit that is not allowed."""
    code, facts = ran(*words)
    if code not in allow:
        raise RefusedAsTold(code, facts[-1])
    return facts


def ran(*words: object) -> tuple[int, list[Fact]]:
    """The exit code of a command, and what it says with --json."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([*map(str, words), "--json"])
    assert "Traceback" not in err.getvalue()
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def only(facts: list[Fact], event: str) -> Fact:
    """The one fact of its kind."""
    (found,) = (one for one in facts if one["event"] == event)
    return found


@dataclass
class Trainee:
    """One lab, from its story to its score. `exit` is the code that the last score came with."""

    told: Fact
    archive: str = ""
    recoveries: int = 0
    exit: int | None = None
    runs: list[str] = field(default_factory=list)

    @classmethod
    def begins(cls, scenario: str, major: str, *more: str) -> Trainee:
        """With a shop that stands still afterwards, unless `more` says otherwise."""
        pace = more or ("--rate", "0")
        begun = pitr("lab", "start", scenario, "--version", major, "--seed", _SEED, *pace)
        told = only(begun, "LabStarted")
        return cls(told, told["archive"])

    def ends(self) -> list[str]:
        """Give what the lab has left elsewhere."""
        left: list[str] = only(pitr("lab", "stop"), "LabStopped")["left"]
        return left

    # Looking.

    @property
    def backups(self) -> str:
        return str(self.told["backups"])

    def oldest_backup(self) -> str:
        """The listing is by age; one that is broken is told as such."""
        listed = pitr("backup", "list", self.backups, "--archive", self.archive)
        whole = [one for one in listed if one["event"] == "Backup"]
        return str(min(whole, key=lambda one: one["start_time"])["path"])

    def suspect(self, what: str, table: str = "", timeline: int | None = None) -> Fact:
        """The worst suspect that does this, as it is listed."""
        more = [] if timeline is None else ["--timeline", timeline]
        backup = self.oldest_backup()
        for fact in pitr("wal", "suspects", self.archive, "--backup", backup, *more):
            if fact["event"] == "Suspect" and any(
                one["what"] == what and (not table or table in one["names"])
                for one in fact["findings"]
            ):
                return fact
        raise AssertionError(f"no suspect does {what} {table}")

    def transactions(self) -> list[Fact]:
        listed = pitr("wal", "transactions", self.archive, "--backup", self.oldest_backup())
        return [one for one in listed if one["event"] == "Transaction"]

    def backup_for(self, lsn: str) -> str:
        """The newest backup from which the WAL leads to a position."""
        found: dict[Lsn, str] = {}
        for one in pitr("wal", "coverage", self.archive, "--backups", self.backups):
            if one["event"] == "RecoverableWindow":
                start, end = Lsn.parse(one["start_lsn"]), Lsn.parse(one["end_lsn"])
                if start <= Lsn.parse(lsn) <= end:
                    found[start] = f"{self.backups}/{one['backup']}"
        assert found, "no backup leads there"
        return found[max(found)]

    # Doing.

    def sources(self, backup: str) -> list[object]:
        self.recoveries += 1
        place = self.told["destination"] + ("" if self.recoveries == 1 else f"-{self.recoveries}")
        return ["--backup", backup, "--archive", self.archive, "--to", place]

    def recover(self, backup: str, *target: object) -> list[Fact]:
        told = pitr("restore", *self.sources(backup), *target)
        self.runs.append(only(told, "RunStarted")["run"])
        return told

    def recover_before(self, suspect: Fact) -> None:
        """To the target that its suspect is listed with."""
        self.recover(self.backup_for(suspect["lsn"]), *options(suspect["target"]))

    def promote(self, run: str) -> None:
        """The name to confirm with is told by the refusal without it."""
        try:
            pitr("promote", run)
        except RefusedAsTold as refused:
            pitr("promote", run, *shlex.split(refused.error["hint"].removeprefix("say ")))

    def score(self, *run: str) -> Fact:
        """The score; where a table is locked, what is said then is done first."""
        try:
            return self._scored(*run)
        except RefusedAsTold as refused:
            if "pitr promote" not in refused.error["hint"]:
                raise
            self.promote(self.runs[-1])
            return self._scored(*run)

    def _scored(self, *run: str) -> Fact:
        self.exit, facts = ran("lab", "score", *run)
        if self.exit not in (0, 1):
            raise RefusedAsTold(self.exit, facts[-1])
        return only(facts, "Score")

    def hint(self) -> str:
        return str(only(pitr("lab", "hint"), "Hint")["text"])

    # With PostgreSQL's own programs.

    def connection(self, run: str) -> list[str]:
        """The options for psql, of the command that the recovery ended with."""
        finished = [one for one in pitr("replay", run) if one["event"] == "RunFinished"][-1]
        words = shlex.split(finished["connect"])
        return words[1 : words.index("-d")]

    def primary_connection(self) -> list[str]:
        words = shlex.split(self.told["commands"]["look at the primary"])
        return words[1 : words.index("-d")]

    def psql(self, where: list[str], sql: str) -> str:
        return run_tool(
            self._version,
            "psql",
            *where,
            "-d",
            "shop",
            "-v",
            "ON_ERROR_STOP=1",
            "-X",
            "-A",
            "-t",
            "-q",
            text=sql,
        )

    def dump(self, where: list[str], table: str) -> str:
        """One table with its rows, indexes and keys."""
        return run_tool(self._version, "pg_dump", *where, f"--table={table}", "shop")

    @property
    def _version(self) -> PostgresVersion:
        return PostgresVersion.parse(self.told["version"])


def options(target: Fact) -> list[object]:
    """A target as `pitr wal suspects` gives it, for `pitr restore`."""
    name = "xid" if "xid" in target else "lsn"
    words: list[object] = [f"--target-{name}", target[name], "--timeline", target["timeline"]]
    return words if target["inclusive"] else [*words, "--exclusive"]


def run_tool(version: PostgresVersion, tool: str, *words: str, text: str = "") -> str:
    """A client program of PostgreSQL, as new as the server at least."""
    done = subprocess.run(
        [tool_path(tool, version), *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
