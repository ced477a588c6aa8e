"""What the wizard knows so far. Steps read it and fill it; no widget keeps state of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.postgres.target import Latest, RecoveryTarget, TargetAction
from pitr_tui.recovery.events import Clock, Step, utc_now
from pitr_tui.tui.reach import Place, Reach

if TYPE_CHECKING:  # the first paint waits for this module, so it loads no engine
    from pitr_tui.containers.compose import ComposeProject
    from pitr_tui.containers.container import PostgresContainer
    from pitr_tui.containers.service import ComposeService
    from pitr_tui.postgres.lsn import TimelineId
    from pitr_tui.recovery.archiving import ArchivingStatus
    from pitr_tui.recovery.checks import Judgement
    from pitr_tui.recovery.events import CheckDone
    from pitr_tui.recovery.plan import RecoveryPlan
    from pitr_tui.recovery.receiver_status import ReceiverStatus
    from pitr_tui.recovery.runs import RunRecord
    from pitr_tui.recovery.state import RunView
    from pitr_tui.repositories.backups import Backup
    from pitr_tui.repositories.wal_story import Surveyed
    from pitr_tui.servers.primary import PrimaryFacts
    from pitr_tui.servers.secondary import Secondary
    from pitr_tui.servers.sql import Database
    from pitr_tui.tui.lab_session import OpenLab
    from pitr_tui.wal.aim import Aim
    from pitr_tui.wal.chronicle import Chronicle


class WizardStep(StrEnum):
    """The way from the incident to the data, in order."""

    CONNECT = "connect"
    ARCHIVE = "archive"
    BACKUPS = "backups"
    TARGET = "target"
    PLAN = "plan"
    RECOVER = "recover"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment that somebody has written down; with a `name`, a restore point that was set."""

    time: datetime
    what: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """What has happened on a primary that was broken on purpose."""

    text: str
    moments: tuple[Moment, ...] = ()


@dataclass(slots=True)
class WalStory:
    """What was read of the WAL, and for what: `asked` is compared when one comes back.

    `branch` is the timeline to follow, None for the main one; `read_from` a backup that the
    person wants the reading to begin with, None for the one that is chosen by itself. `reads`
    says that a job is at it: a chronicle that is not finished stays so when none is.
    """

    surveyed: Surveyed | None = None
    chronicle: Chronicle | None = None
    branch: TimelineId | None = None
    read_from: Backup | None = None
    asked: object = None
    reads: bool = False
    forgotten: int = 0

    def forget(self) -> None:
        """Another archive, or other backups: nothing of it holds any more."""
        self.forgotten += 1
        self.surveyed = self.chronicle = self.branch = self.read_from = self.asked = None
        self.reads = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A recovery that nobody is at and that can go on: its record, its plan, how it stands."""

    record: RunRecord
    plan: RecoveryPlan
    view: RunView

    @property
    def is_whole(self) -> bool:
        """Whether the backup was copied to its end: then another target needs no new copy."""
        return Step.COPY in self.view.done


@dataclass(slots=True)
class Session:
    """One way through the wizard. `primary_is_down` means: go on with backup and archive alone.

    `origin` is the primary's container, dead or alive, or the compose service that describes
    it; None for a primary that is reached without an engine. `container` and `compose` were
    named by the person; without the latter the compose file in the working directory is looked
    for, and `project` is what was read. `passed` has the steps that the person has gone through;
    the plan is in it once confirmed.

    `aim` is what the person picked in the WAL or typed, and `target` what PostgreSQL is told for
    it. `own_backup` is the backup that the person has chosen against the one that fits best.

    `run` is the recovery on the screen, `record` its journal (from which it was `opened`), and
    `secondary` its server once the target was reached. `standing` is set while nobody is at that
    run and it can go on; `afresh` says that the person wants a new copy all the same. `onward` is
    a plan for the standing copy that was confirmed and not begun. `judgement` is what was said of
    the plan when it was confirmed, and `records` are all runs that were begun or opened here.

    `marks` are restore points that were set here, before anything else was done; `dead_data` is
    the data directory of a primary of this machine that does not run, and `collected` is where
    its own WAL was collected. `lab` is set while the whole way is an exercise.
    """

    clock: Clock = utc_now
    story: Story | None = None
    database: Database | None = None
    facts: PrimaryFacts | None = None
    primary_is_down: bool = False
    origin: PostgresContainer | ComposeService | None = None
    container: str = ""
    compose: Path | None = None
    project: ComposeProject | None = None
    reach: Reach = field(default_factory=Reach)
    archiving: ArchivingStatus | None = None
    receiver: ReceiverStatus | None = None
    other_archive: Place | None = None
    archive_directory: Place | None = None
    backup_directory: Place | None = None
    backup: Backup | None = None
    story_of_wal: WalStory = field(default_factory=WalStory)
    own_backup: Backup | None = None
    aim: Aim | None = None
    target: RecoveryTarget = field(default_factory=Latest)
    action: TargetAction = TargetAction.PAUSE
    destination: Place | None = None
    plan: RecoveryPlan | None = None
    checks: tuple[CheckDone, ...] = ()
    run: RunView | None = None
    record: RunRecord | None = None
    opened: bool = False
    secondary: Secondary | None = None
    standing: Standing | None = None
    afresh: bool = False
    onward: RecoveryPlan | None = None
    judgement: Judgement | None = None
    records: list[RunRecord] = field(default_factory=list)
    passed: set[WizardStep] = field(default_factory=set)
    marks: list[Moment] = field(default_factory=list)
    dead_data: Path | None = None
    collected: Place | None = None
    lab: OpenLab | None = None
