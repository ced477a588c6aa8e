"""What a perfect recovery contains: every commit of a lab, with the rows that it left behind.

The truth is a file of JSON lines. Whoever commits writes an `Intent` before its COMMIT and the
`Commit` after it, so that a process that dies between the two leaves a question that the
database can answer (`lab.settling`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from pathlib import Path

from pitr_tui.errors import PitrError
from pitr_tui.lab.truth_lines import (
    BackupTaken,
    Changes,
    Commit,
    Done,
    Intent,
    Line,
    Noted,
    Refused,
    Rows,
    Undone,
    WalBroken,
    WalEnd,
    parse_line,
)
from pitr_tui.lab.truth_writer import TruthWriter
from pitr_tui.postgres.lsn import Lsn

__all__ = [
    "BackupTaken",
    "Best",
    "Changes",
    "Commit",
    "Done",
    "Intent",
    "Line",
    "Noted",
    "Refused",
    "Rows",
    "Truth",
    "TruthWriter",
    "Undone",
    "Unknown",
    "WalBroken",
    "WalEnd",
    "fold",
]


@dataclass(frozen=True, slots=True)
class Best:
    """The best answer that can be reached: the state after `last`, from this backup."""

    last: Commit | None
    rows: Rows
    backup: BackupTaken
    first_bad: Commit | None


class Unknown(Enum):
    """These rows are the state after none of the commits."""

    CUT = "unknown"


@dataclass(frozen=True)
class Truth:
    """All that a lab's truth tells. `uncertain` are commits of which it is not known yet
    whether they were made; they count as not made. `lines` is how many lines told it.
    """

    commits: tuple[Commit, ...] = ()
    backups: tuple[BackupTaken, ...] = ()
    broken: tuple[WalBroken, ...] = ()
    end: WalEnd | None = None
    noted: Mapping[str, Noted] = field(default_factory=dict)
    refused: int = 0
    uncertain: tuple[Intent, ...] = ()
    next_item: int = 0
    lines: int = 0

    @classmethod
    def read(cls, path: Path) -> Truth:
        """A last line that was cut off is passed over. Raises PitrError for any other."""
        return cls.of(parse_line(text) for text in _whole_lines(path))

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Truth:
        """Put lines together, in the order in which they were written."""
        commits: dict[int, Commit] = {}
        intents: dict[int, Intent] = {}
        backups: dict[str, BackupTaken] = {}
        broken: dict[str, WalBroken] = {}
        noted: dict[str, Noted] = {}
        end: WalEnd | None = None
        refused, next_item, count = 0, 0, 0
        for line in lines:
            count += 1
            match line:
                case Intent():
                    intents[line.commit.number] = line
                case Commit():
                    intents.pop(line.number, None)
                    commits[line.number] = line
                case Done() if line.number in intents:
                    commit = intents.pop(line.number).commit
                    line = replace(commit, lsn=line.lsn, at=line.at)
                    commits[line.number] = line
                case Undone():
                    intents.pop(line.number, None)
                case BackupTaken():
                    backups[line.name] = line
                case WalBroken():
                    broken[line.segment] = line
                case WalEnd():
                    end = line
                case Noted():
                    noted[line.name] = line
                case Refused():
                    refused += not line.meant
            bad = isinstance(line, Commit) and not line.good  # somebody else's shop
            if isinstance(line, Commit | Refused) and line.item is not None and not bad:
                next_item = max(next_item, line.item + 1)
        return cls(
            commits=tuple(commits[number] for number in sorted(commits)),
            backups=tuple(backups.values()),
            broken=tuple(broken.values()),
            end=end,
            noted=noted,
            refused=refused,
            uncertain=tuple(intents.values()),
            next_item=next_item,
            lines=count,
        )

    @cached_property
    def main(self) -> tuple[Commit, ...]:
        """The commits of the primary's own timeline, in their order."""
        return tuple(one for one in self.commits if one.timeline == self.commits[0].timeline)

    @property
    def first_bad(self) -> Commit | None:
        """The first commit of the primary that should not have been."""
        return next((one for one in self.main if not one.good), None)

    def rows_after(self, number: int | None) -> Rows:
        """The rows right after the primary's commit of this number; None: before the first."""
        return fold(one for one in self.main if number is not None and one.number <= number)

    def repaired(self) -> Rows:
        """Everything good that was ever committed, with nothing of what was bad."""
        return fold(one for one in self.main if one.good)

    def best(self) -> Best:
        """The latest state before the first bad commit that a backup and the archive give.

        Raises PitrError when nothing good can be reached.
        """
        bad = self.first_bad
        good = [one for one in self.main if bad is None or one.number < bad.number]
        found: tuple[int, Lsn, BackupTaken, Commit | None] | None = None
        for backup in self.backups:
            limit = self._reach(backup)
            if limit is None or (bad is not None and bad.lsn <= backup.stop):
                continue
            last = next((one for one in reversed(good) if limit < 0 or one.lsn <= limit), None)
            rank = (last.number if last else -1, backup.stop)
            if found is None or rank > found[:2]:
                found = (*rank, backup, last)
        if found is None:
            raise PitrError(
                "no backup of this lab leads to a good state",
                "each is broken, lacks WAL, or was taken after the accident",
            )
        _, _, backup, last = found
        return Best(last, self.rows_after(last.number if last else None), backup, bad)

    def cut_of(self, rows: Rows) -> Commit | Unknown | None:
        """The last commit after which the primary had exactly these rows; None: before all."""
        state: Rows = {}
        different = {(table, "") for table in rows}
        different |= {(table, key) for table, of in rows.items() for key in of}
        found: Commit | Unknown | None = Unknown.CUT if different else None
        for commit in self.main:
            touched = _touched(state, commit)
            _apply(state, commit)
            for table, key in touched:
                if key:
                    same = state.get(table, {}).get(key) == rows.get(table, {}).get(key)
                else:
                    same = (table in state) == (table in rows)
                (different.discard if same else different.add)((table, key))
            if not different:
                found = commit
        return found

    def versions(self, table: str, key: str) -> tuple[tuple[Commit, str | None], ...]:
        """Which commits, of all timelines, wrote this row, and what it became by each."""
        return tuple(self._versions.get((table, key), ()))

    @cached_property
    def _versions(self) -> dict[tuple[str, str], list[tuple[Commit, str | None]]]:
        found: dict[tuple[str, str], list[tuple[Commit, str | None]]] = {}
        by_table: dict[str, set[str]] = {}
        for commit in self.commits:
            for table in commit.dropped:
                for key in by_table.pop(table, ()):
                    found[table, key].append((commit, None))
            for table, changed in commit.changes.items():
                by_table.setdefault(table, set()).update(changed)
                for key, text in changed.items():
                    found.setdefault((table, key), []).append((commit, text))
        return found

    def _reach(self, backup: BackupTaken) -> Lsn | int | None:
        """How far WAL leads from a backup: a position, -1 for no end, None: not even its own."""
        if not backup.whole or not self.commits or backup.timeline != self.main[0].timeline:
            return None
        ends = [
            one.start
            for one in self.broken
            if one.timeline == backup.timeline and one.end > backup.start
        ]
        ends += [self.end.lsn] if self.end is not None else []
        limit = min(ends, default=None)
        if limit is None:
            return -1
        return limit if limit >= backup.stop else None


def _whole_lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from (line for line in file if line.endswith("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise PitrError("the truth of this lab cannot be read", f"{path}: {error}") from error


def fold(commits: Iterable[Commit]) -> Rows:
    """The rows that commits leave when they are made one after the other, from nothing."""
    rows: Rows = {}
    for commit in commits:
        _apply(rows, commit)
    return rows


def _apply(rows: Rows, commit: Commit) -> None:
    for table in commit.dropped:
        rows.pop(table, None)
    for table in commit.created:
        rows.setdefault(table, {})
    for table, changed in commit.changes.items():
        of = rows.setdefault(table, {})
        for key, text in changed.items():
            if text is None:
                of.pop(key, None)
            else:
                of[key] = text


def _touched(rows: Rows, commit: Commit) -> set[tuple[str, str]]:
    """The keys whose rows a commit changes, and with an empty key the tables themselves."""
    found = {(table, "") for table in (*commit.dropped, *commit.created, *commit.changes)}
    found |= {(table, key) for table in commit.dropped for key in rows.get(table, ())}
    found |= {(table, key) for table, changed in commit.changes.items() for key in changed}
    return found
