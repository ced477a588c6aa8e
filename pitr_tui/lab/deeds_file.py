"""Reads the steps of a scenario's file, and sees that each can follow those before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pitr_tui.lab.scenario import (
    Accident,
    Archiving,
    BackupDamage,
    Branch,
    Deed,
    EndPrimary,
    GoodSql,
    HurtBackup,
    HurtWal,
    Note,
    PrimaryEnd,
    Quiet,
    RestorePoint,
    Settings,
    Switch,
    TakeBackup,
    Work,
)
from pitr_tui.lab.scenario_nodes import NodeReader

if TYPE_CHECKING:
    from yaml.nodes import Node

_MOST_WORK = 1000
_MOST_BETWEEN = 100
_MOST_QUIET = 10
_MOST_ALL_WORK = 3000  # a start has to be over within half a minute
_MOST_ALL_QUIET = 15
_MOST_SQL = 4000
_TRANSACTIONS_OWN = ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE")
_OURS = "the lab sets it"
FORBIDDEN_SETTINGS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "archive_command", "archive_library", "archive_mode", "config_file", "data_directory",
            "external_pid_file", "fsync", "full_page_writes", "hba_file", "ident_file",
            "listen_addresses", "log_destination", "log_timezone", "logging_collector", "port",
            "restore_command", "shared_preload_libraries", "timezone",
            "unix_socket_directories", "unix_socket_permissions", "wal_level",
        ),
        _OURS,
    ),
    "archive_timeout": "the lab sets it to 10 s",
}  # fmt: skip


@dataclass(slots=True)
class Plot:
    """What the steps so far have brought about: the names that later ones may refer to."""

    noted: dict[str, int] = field(default_factory=dict)  # with the line, for a second one
    with_xid: list[str] = field(default_factory=list)
    backups: list[str] = field(default_factory=list)
    hurt: dict[str, int] = field(default_factory=dict)  # backups and WAL, with the line
    restore_points: list[str] = field(default_factory=list)
    archiving: bool = True
    ended: bool = False
    work: int = 0
    quiet: float = 0.0


class StepReader:
    """Reads one step after the other."""

    def __init__(self, nodes: NodeReader) -> None:
        self.nodes = nodes
        self.plot = Plot()
        self._kinds: dict[str, Callable[[Node], Deed | None]] = {
            "work": self._work,
            "backup": self._backup,
            "sql": self._sql,
            "accident": self._accident,
            "note": self._note,
            "restore_point": self._restore_point,
            "switch": self._switch,
            "settings": self._settings,
            "archiving": self._archiving,
            "lose_wal": lambda node: self._hurt_wal(node, missing=True),
            "damage_wal": lambda node: self._hurt_wal(node, missing=False),
            "damage_backup": self._damage_backup,
            "branch": self._branch,
            "quiet": self._quiet,
            "primary": self._primary,
        }

    def steps(self, node: Node) -> tuple[Deed, ...]:
        """The steps of a list, without those that are not right."""
        found = []
        for one in self.nodes.items(node, "steps"):
            found.append(self._step(one))
        self._require_whole(node)
        return tuple(deed for deed in found if deed is not None)

    def _step(self, node: Node) -> Deed | None:
        given = self.nodes.mapping(node, "a step", (), tuple(self._kinds))
        if len(given) > 1:
            self.nodes.wrong(node, f"a step has one key, this one {len(given)}: {', '.join(given)}")
        for key, value in given.items():
            if self.plot.ended:
                self.nodes.wrong(node, "nothing can follow the end of the primary")
            return self._kinds[key](value)
        return None

    def _require_whole(self, node: Node) -> None:
        if not self.plot.backups:
            self.nodes.wrong(node, "there is no base backup in the steps: nothing can be recovered")
        if self.plot.work > _MOST_ALL_WORK:
            self.nodes.wrong(
                node,
                f"the steps are {self.plot.work:,} transactions of work; "
                f"at most {_MOST_ALL_WORK:,} are played",
            )
        if self.plot.quiet > _MOST_ALL_QUIET:
            self.nodes.wrong(
                node, f"the steps are quiet for {self.plot.quiet:g} s; at most {_MOST_ALL_QUIET}"
            )

    # One method for each kind of step.

    def _work(self, node: Node) -> Deed | None:
        number = self._count(node, "work", _MOST_WORK)
        return None if number is None else Work(number)

    def _backup(self, node: Node) -> Deed | None:
        name = self.nodes.name(node, "the name of a backup")
        if name is None:
            return None
        if name in self.plot.backups:
            self.nodes.wrong(node, f"there is a backup {name!r} already")
        self.plot.backups.append(name)
        return TakeBackup(name)

    def _sql(self, node: Node) -> Deed | None:
        given = self.nodes.mapping(node, "sql", ("name", "what", "run"))
        name, what = self._named(given, with_xid=True)
        statements = self._statements(given["run"], "run") if "run" in given else ()
        return GoodSql(name, what, statements) if name and what and statements else None

    def _accident(self, node: Node) -> Deed | None:
        allowed = ("transactions", "outside", "work_between")
        given = self.nodes.mapping(node, "accident", ("name", "what"), allowed)
        name, what = self._named(given, with_xid=True)
        if not self.plot.backups:
            self.nodes.wrong(node, "no backup is taken before this: nothing could be recovered")
        if ("transactions" in given) == ("outside" in given):
            self.nodes.wrong(
                node,
                "an accident has either transactions (lists of SQL) or outside (one statement)",
            )
            return None
        between = 0
        if "work_between" in given:
            between = self._count(given["work_between"], "work_between", _MOST_BETWEEN) or 0
        if "outside" in given:
            if between:
                self.nodes.wrong(given["work_between"], "work_between needs transactions")
            outside = self.nodes.text(given["outside"], "outside", _MOST_SQL)
            return Accident(name, what, outside=outside) if name and what and outside else None
        transactions = tuple(
            self._statements(one, "a transaction of an accident")
            for one in self.nodes.items(given["transactions"], "transactions")
        )
        if between and len(transactions) < 2:
            self.nodes.wrong(given["work_between"], "work_between needs two transactions or more")
        ready = name and what and all(transactions)
        return Accident(name, what, transactions, "", between) if ready else None

    def _note(self, node: Node) -> Deed | None:
        name = self._new_note(node, with_xid=False)
        return None if name is None else Note(name)

    def _restore_point(self, node: Node) -> Deed | None:
        name = self.nodes.name(node, "the name of a restore point")
        if name is None:
            return None
        if name in self.plot.restore_points:
            self.nodes.wrong(node, f"there is a restore point {name!r} already")
        self.plot.restore_points.append(name)
        return RestorePoint(name)

    def _switch(self, node: Node) -> Deed | None:
        wanted = self.nodes.truth(node, "switch")
        if wanted is False:
            self.nodes.wrong(node, "switch: yes is all that there is; leave the step out")
        self._require_archiving(node, "a segment that is finished")
        return Switch() if wanted else None

    def _settings(self, node: Node) -> Deed | None:
        values = self.nodes.settings(node, "settings", FORBIDDEN_SETTINGS)
        return Settings(values) if values else None

    def _archiving(self, node: Node) -> Deed | None:
        text = self.nodes.text(node, "archiving")
        if text not in (None, "works", "broken"):
            self.nodes.wrong(node, f"archiving is {text!r}; allowed are works, broken")
            return None
        self.plot.archiving = text == "works"
        return None if text is None else Archiving(self.plot.archiving)

    def _hurt_wal(self, node: Node, missing: bool) -> Deed | None:
        what = "lose_wal" if missing else "damage_wal"
        given = self.nodes.mapping(node, what, ("at",))
        self._require_archiving(node, f"what {what} needs")
        if "at" not in given:
            return None
        note = self.nodes.name(given["at"], "the note")
        if note is None:
            return None
        if note not in self.plot.noted:
            self.nodes.wrong(given["at"], f"nothing was noted as {note!r} before{self._noted()}")
        self._hurt_once(given["at"], f"the WAL at {note!r}")
        return HurtWal(note, missing)

    def _damage_backup(self, node: Node) -> Deed | None:
        given = self.nodes.mapping(node, "damage_backup", ("backup", "how"))
        backup = self._taken(given)
        if backup is not None:
            self._hurt_once(given["backup"], f"the backup {backup!r}")
        how = self.nodes.choice(given["how"], "how", BackupDamage) if "how" in given else None
        return HurtBackup(backup, how) if backup and how else None

    def _branch(self, node: Node) -> Deed | None:
        given = self.nodes.mapping(node, "branch", ("backup", "work"))
        backup = self._taken(given)
        work = self._count(given["work"], "work", _MOST_BETWEEN) if "work" in given else None
        return Branch(backup, work) if backup and work else None

    def _quiet(self, node: Node) -> Deed | None:
        seconds = self.nodes.number(node, "quiet", 0.1, _MOST_QUIET)
        if seconds is None:
            return None
        self.plot.quiet += seconds
        return Quiet(seconds)

    def _primary(self, node: Node) -> Deed | None:
        how = self.nodes.choice(node, "primary", PrimaryEnd)
        self.plot.ended = True
        return None if how is None else EndPrimary(how)

    # What several kinds have in common.

    def _named(self, given: Mapping[str, Node], with_xid: bool) -> tuple[str, str]:
        """The name under which a step is noted, and what happened in words; "" where wrong."""
        name = self._new_note(given["name"], with_xid) if "name" in given else None
        what = self.nodes.text(given["what"], "what", 200) if "what" in given else None
        return name or "", what or ""

    def _new_note(self, node: Node, with_xid: bool) -> str | None:
        name = self.nodes.name(node, "the name")
        if name is None:
            return None
        if name in self.plot.noted:
            self.nodes.wrong(node, f"{name!r} is noted in line {self.plot.noted[name]} already")
        self.plot.noted[name] = node.start_mark.line + 1
        if with_xid:
            self.plot.with_xid.append(name)
        return name

    def _statements(self, node: Node, what: str) -> tuple[str, ...]:
        found = []
        for one in self.nodes.items(node, what):
            text = self.nodes.text(one, "a statement", _MOST_SQL)
            if text is None:
                continue
            first = (text.split() or [""])[0].rstrip(";").upper()
            if first in _TRANSACTIONS_OWN:
                self.nodes.wrong(
                    one, f"{first} cannot stand here: the list is one transaction by itself"
                )
            elif text.startswith("\\"):
                self.nodes.wrong(one, "psql's own commands are no SQL")
            found.append(text)
        return tuple(found)

    def _taken(self, given: Mapping[str, Node]) -> str | None:
        """The backup that a step names, which an earlier one has taken."""
        if "backup" not in given:
            return None
        name = self.nodes.name(given["backup"], "the backup")
        if name is not None and name not in self.plot.backups:
            known = ", ".join(self.plot.backups) or "none"
            self.nodes.wrong(
                given["backup"], f"no backup {name!r} was taken before; there are {known}"
            )
        return name

    def _hurt_once(self, node: Node, what: str) -> None:
        if what in self.plot.hurt:
            self.nodes.wrong(node, f"{what} is hurt in line {self.plot.hurt[what]} already")
        self.plot.hurt[what] = node.start_mark.line + 1

    def _count(self, node: Node, what: str, most: int) -> int | None:
        number = self.nodes.whole(node, what, 1, most)
        self.plot.work += number or 0
        return number

    def _require_archiving(self, node: Node, what: str) -> None:
        if not self.plot.archiving:
            self.nodes.wrong(node, f"archiving is broken here: {what} would never be archived")

    def _noted(self) -> str:
        return f"; noted are {', '.join(self.plot.noted)}" if self.plot.noted else ""
