"""A scenario of the lab: an accident on purpose, as values. Its file is read by `scenario_file`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pitr_tui.postgres.version import PostgresVersion

SHOP = "shop"


class Difficulty(StrEnum):
    """What a scenario asks of a trainee."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


class Answer(StrEnum):
    """Where the answer stands: on the recovered secondary, or on the mended primary."""

    SECONDARY = "secondary"
    PRIMARY = "primary"


class BackupDamage(StrEnum):
    """What is wrong with a backup; all of it is seen in backups of every version."""

    NO_LABEL = "no-label"
    NO_CONTROL = "no-control"
    LOST_FILE = "lost-file"


class PrimaryEnd(StrEnum):
    """What becomes of the primary: shut down, killed (its files stay), or its disk is gone."""

    STOPPED = "stopped"
    KILLED = "killed"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Work:
    """The shop goes on for so many transactions."""

    transactions: int


@dataclass(frozen=True, slots=True)
class TakeBackup:
    """A base backup under this name."""

    name: str


@dataclass(frozen=True, slots=True)
class GoodSql:
    """One good transaction of somebody who is not the shop."""

    name: str
    what: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accident:
    """What must not be there after the recovery.

    Its transactions are noted under `name`: the first one's id and time. `outside` is one
    statement instead that no transaction may hold, such as DROP DATABASE, given from the
    database postgres. The shop goes on for `work_between` transactions after each but the last.
    """

    name: str
    what: str
    transactions: tuple[tuple[str, ...], ...] = ()
    outside: str = ""
    work_between: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """A whole second of the clock that no transaction ends in, for the story to tell of."""

    name: str


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A restore point under this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Switch:
    """The segment is finished and archived."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the primary from now on; it is restarted when one of them needs that."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Archiving:
    """Whether archive_command works from now on."""

    works: bool


@dataclass(frozen=True, slots=True)
class HurtWal:
    """The segment that holds a note is damaged in the archive, or `missing` from it.

    The primary does not have it any more either.
    """

    note: str
    missing: bool


@dataclass(frozen=True, slots=True)
class HurtBackup:
    """A backup that was taken is damaged."""

    backup: str
    how: BackupDamage


@dataclass(frozen=True, slots=True)
class Branch:
    """Somebody's earlier recovery of a backup was promoted, worked and archived."""

    backup: str
    transactions: int


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing is committed for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class EndPrimary:
    """The primary goes away; nothing can follow."""

    how: PrimaryEnd


Deed = (
    Work
    | TakeBackup
    | GoodSql
    | Accident
    | Note
    | RestorePoint
    | Switch
    | Settings
    | Archiving
    | HurtWal
    | HurtBackup
    | Branch
    | Quiet
    | EndPrimary
)


@dataclass(frozen=True, slots=True)
class WorldOrder:
    """The world before the first step, and how fast the shop goes on behind the last one.

    `rate` is in transactions a second; 0 means that nothing is committed any more.
    """

    customers: int = 40
    rate: float = 2.0
    settings: Mapping[str, str] = field(default_factory=dict)
    tablespace: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario as its file tells it; texts still have the `{names}` of its notes.

    `coach` has a sentence for steps of the wizard, `since` is the oldest version that can play
    it (None: all), and `text` is the file itself.
    """

    name: str
    title: str
    story: str
    difficulty: Difficulty
    minutes: int
    answer: Answer
    world: WorldOrder
    steps: tuple[Deed, ...]
    hints: tuple[str, ...]
    expert: str
    coach: Mapping[str, str] = field(default_factory=dict)
    since: PostgresVersion | None = None
    text: str = field(default="", repr=False, compare=False)
