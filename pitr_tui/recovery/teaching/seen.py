"""What is known when a lesson is asked for, and what stands in for what is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pitr_tui.postgres.label import BackupLabel
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtXid, Latest, RecoveryTarget, TargetAction
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.archiving import ArchivingChange, ArchivingStatus
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, BackupFormat
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.primary import PrimaryFacts

EXAMPLE_ARCHIVE = Path("/srv/archive")
EXAMPLE_BACKUP = Path("/srv/backups/nightly")
EXAMPLE_DESTINATION = Path("/srv/recovered")
EXAMPLE_TARGET = AtXid(4711, inclusive=False)

_SEGMENT_BYTES = 16 << 20
_START = Lsn.parse("0/2000028")


class _ExampleArchive(WalArchive):
    """A place that need not be there: nothing is read from it."""

    def __init__(self) -> None:
        self.directory = EXAMPLE_ARCHIVE


@dataclass(frozen=True, slots=True)
class Seen:
    """What a face has found so far: `change` is a proposal, `archive` and `backups` are places.

    `backup_command` is the command of a backup that would be taken now, and `target` what
    PostgreSQL would be told; None as long as nobody has chosen one. `hidden` is why a plan that
    there is cannot be shown.
    """

    facts: PrimaryFacts | None = None
    archiving: ArchivingStatus | None = None
    change: ArchivingChange | None = None
    archive: str = ""
    backups: str = ""
    backup_command: str = ""
    target: RecoveryTarget | None = None
    action: TargetAction = TargetAction.PAUSE
    hidden: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """What a lesson is about. Without a plan it has an example of one."""

    version: PostgresVersion
    plan: RecoveryPlan
    seen: Seen
    is_example: bool

    @property
    def source(self) -> str:
        """Where the values of the plan come from."""
        if not self.is_example:
            return "These are the ones of your plan."
        target = "the target that you chose" if self.seen.target else f"{EXAMPLE_TARGET}"
        why = "There is no plan to show yet"
        if self.seen.hidden:
            why = f"Your plan cannot be shown now ({self.seen.hidden})"
        return (
            f"{why}. So it would be with PostgreSQL {self.version.major}, "
            f"the archive {EXAMPLE_ARCHIVE}, a backup in {EXAMPLE_BACKUP} and "
            f"{EXAMPLE_DESTINATION} as the new place, to {target}."
        )


def example_plan(version: PostgresVersion, seen: Seen) -> RecoveryPlan:
    """A plan as one would be, to the target that was chosen or one that is made up."""
    segment = WalSegment.at(_START, TimelineId(1), _SEGMENT_BYTES)
    label = BackupLabel(_START, segment.name, _START, "", "nightly", TimelineId(1), False, False)
    target = seen.target or EXAMPLE_TARGET
    return RecoveryPlan(
        backup=Backup(
            path=EXAMPLE_BACKUP,
            format=BackupFormat.PLAIN,
            version=PostgresVersion.parse(version.major),
            system_identifier=0,
            label=label,
            total_bytes=0,
            restored_bytes=None,
            segment_size=_SEGMENT_BYTES,
            parameters={"max_connections": 100},
        ),
        archive=_ExampleArchive(),
        secondary=LocalSecondary(
            EXAMPLE_DESTINATION,
            Installation(Path("/usr/lib/postgresql") / version.major / "bin", version),
            OsUser("postgres", -1, -1),
        ),
        target=target,
        action=TargetAction.PROMOTE if isinstance(target, Latest) else seen.action,
    )
