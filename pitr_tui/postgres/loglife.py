"""What the log tells of one life of a server: from its start to its end, or to the last line.

Facts are kept, not a position in a sequence: several processes write the log, and the lines
of one may come before those of another that it waited for. Only what is true in any order of
the processes is read from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pitr_tui.postgres.logevidence import is_earlier, meets, segment_size
from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.logkind import Severity
from pitr_tui.postgres.logline import LogLine, Observation
from pitr_tui.postgres.logoutput import CommandSaid
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import Stop
from pitr_tui.postgres.walname import WalSegment, is_segment

PRIOR = frozenset(
    {
        *(Kind.INTERRUPTED, Kind.INTERRUPTED_IN_RECOVERY, Kind.SHUT_DOWN_IN_RECOVERY),
        *(Kind.SHUT_DOWN, Kind.SHUTDOWN_INTERRUPTED),
    }
)
DAMAGE = frozenset({Kind.CHECKSUM, Kind.BAD_PAGE, Kind.FOREIGN_SYSTEM, Kind.WRONG_SIZE})
# The postmaster says these, all others in here the startup process.
_POSTMASTER = frozenset(
    {
        *(Kind.SERVER_START, Kind.LISTENING, Kind.READ_ONLY_OPEN, Kind.OPEN, Kind.STARTUP_FAILED),
        *(Kind.SERVER_STOPPING, Kind.SERVER_STOPPED, Kind.SHUTDOWN_AT_TARGET),
        *(Kind.REINITIALISING,),
    }
)
_STARTUP = PRIOR | {
    *(Kind.RECOVERY_MODE, Kind.STANDBY_MODE, Kind.CRASH_RECOVERY, Kind.FETCHED, Kind.REDO_START),
    *(Kind.CONSISTENT, Kind.STOPPING, Kind.REDO_DONE, Kind.RECOVERY_COMPLETE, Kind.BACKUP_BEGIN),
}
# What makes a recovery look well is believed of the process that must have said it only.
_EVIDENCE = frozenset({Kind.RECOVERY_MODE, Kind.STOPPING, Kind.PAUSED, Kind.SHUTDOWN_AT_TARGET})
# Nobody but a server that recovers says these, so the process is no question.
_RECOVERY_ONLY = frozenset(
    {
        *(Kind.UNREACHED, Kind.TOO_EARLY, Kind.WAL_ENDS_BEFORE_BACKUP_END, Kind.NOT_CONSISTENT),
        *(Kind.NO_CHECKPOINT, Kind.NO_BACKUP_LABEL, Kind.NO_REDO_LOCATION, Kind.FETCH_FATAL),
        *(Kind.NOT_A_CHILD_TIMELINE, Kind.WRONG_TIMELINE, Kind.NO_TIMELINE_HISTORY),
        *(Kind.WRONG_SIZE, Kind.WAL_LEVEL_MINIMAL, Kind.INVALID_PAGES, Kind.PARAMETER_TOO_LOW),
        *(Kind.STARTUP_FAILED, Kind.BAD_BACKUP),
    }
)
# The program or its container says these before there is any log.
SAID_BEFORE_THE_LOG = frozenset(
    {
        *(Kind.WRONG_USER, Kind.WRONG_IMAGE_PLACE, Kind.NOT_A_DATA_DIRECTORY),
        *(Kind.BAD_CONTROL_FILE,),
    }
)
_FATAL = frozenset({Severity.FATAL, Severity.PANIC})


@dataclass(frozen=True, slots=True)
class Finding:
    """A failure or an alarm, with the line that told it."""

    seen: Observation
    severity: Severity | None
    pid: int | None
    message: str


@dataclass(slots=True)
class Life:
    """The facts of one life. `follows_open`: in an earlier life these data were open, and well;
    `follows_recovery`: in an earlier life they were being recovered."""

    follows_open: bool = False
    follows_recovery: bool = False
    started: bool = False
    prior: Observation | None = None
    version: str = ""
    aim: Observation | None = None
    standby: bool = False
    repaired: bool = False
    backup_begin: Observation | None = None
    backup_end: Lsn | None = None
    redo_start: Lsn | None = None
    progress: Lsn | None = None
    restart_from: Lsn | None = None
    consistent: Lsn | None = None
    redo_none: bool = False
    readable: bool = False
    stop: Stop | None = None
    paused: bool = False
    paused_at_target: bool = False
    shutdown_at_target: bool = False
    promote_requested: bool = False
    redo_done: Lsn | None = None
    last_transaction: str = ""
    clock: str = ""
    new_timeline: TimelineId | None = None
    streaming: Observation | None = None
    complete: bool = False
    opened: bool = False
    stopping: str = ""
    stopped: bool = False
    restored: int = 0
    last_restored: str = ""
    delivered: dict[str, None] = field(default_factory=dict)
    absent: dict[str, None] = field(default_factory=dict)
    spoken: dict[str, str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    postmaster: int | None = None
    startup: int | None = None
    dated: bool = False

    def begins_with(self, seen: Observation, line: LogLine) -> bool:
        """Whether this line is the first of another life than this one."""
        if seen.kind is Kind.SERVER_START:
            other = self.postmaster is not None and self.postmaster != line.pid
            return self.started or other or self.stopped or self.opened
        if seen.kind in PRIOR:
            begun = self.prior is not None or self.aim is not None or self.redo_start is not None
            return begun or (self.startup is not None and line.pid not in (None, self.startup))
        return False

    def hear(self, line: LogLine, said: CommandSaid) -> None:
        """Take in what restore_command wrote."""
        if said.trouble:
            self.troubles.append(line.message)
        if said.absent:
            self.absent[said.name] = None
        elif said.name and not said.trouble:
            self.spoken.setdefault(said.name, line.message)

    def take(self, line: LogLine, seen: Observation) -> None:
        """Take in what one line of the server means."""
        if self.is_hearsay(line, seen):
            return
        if seen.is_failure or seen.is_alarm:
            self.findings.append(Finding(seen, line.severity, line.pid, line.message))
        if seen.kind in _POSTMASTER:
            self.postmaster = self.postmaster or line.pid
        elif seen.kind in _STARTUP:
            self.startup = self.startup or line.pid
            self.dated = self.dated or line.time is not None
        if not self._take_begin(seen):
            self._take_end(seen)

    def is_hearsay(self, line: LogLine, seen: Observation) -> bool:
        """The words of the process that replays, written by another: by a client's RAISE LOG or
        by restore_command."""
        if seen.kind not in _EVIDENCE:
            return False
        if line.severity is None or (self.dated and line.time is None):
            return True
        own = self.postmaster if seen.kind in _POSTMASTER else self.startup
        return self.opened if own is None else line.pid != own

    def _take_begin(self, seen: Observation) -> bool:
        match seen.kind:
            case Kind.SERVER_START:
                self.started, self.version = True, seen.name or ""
            case kind if kind in PRIOR:
                self.prior = seen
            case Kind.RECOVERY_MODE:
                self.aim = seen
            case Kind.STANDBY_MODE:
                self.standby = True
            case Kind.CRASH_RECOVERY:
                self.repaired = True
            case Kind.BACKUP_BEGIN:
                self.backup_begin = seen
            case Kind.BACKUP_END:
                self.backup_end = seen.lsn
            case Kind.REDO_START:
                self.redo_start = seen.lsn
            case Kind.REDO_NONE:
                self.redo_none = True
            case Kind.REDO_PROGRESS | Kind.REDO_CONTEXT:
                self.progress = max(self.progress or Lsn(0), seen.lsn or Lsn(0))
            case Kind.CONSISTENT:
                self.consistent = seen.lsn
            case Kind.READ_ONLY_OPEN:
                self.readable = True
            case Kind.STREAMING:
                self.streaming = seen
            case Kind.FETCHED if seen.name:
                self.delivered[seen.name] = None
                if not seen.name.endswith(".history"):
                    self.restored += 1
                    self.last_restored = seen.name
            case _:
                return False
        return True

    def _take_end(self, seen: Observation) -> None:
        match seen.kind:
            case Kind.STOPPING:
                self.stop = Stop(
                    seen.what or "", seen.before, seen.xid, seen.time, seen.lsn, seen.name
                )
            case Kind.PAUSED:
                self.paused = True
                self.paused_at_target |= seen.what == "target"
            case Kind.SHUTDOWN_AT_TARGET:
                self.shutdown_at_target = True
            case Kind.PROMOTE_REQUESTED:
                self.promote_requested = True
            case Kind.REDO_DONE:
                self.redo_done = seen.lsn
            case Kind.LAST_TRANSACTION:
                self.last_transaction = self.clock = seen.time or ""
            case Kind.RESTART_FROM:
                self.restart_from = max(self.restart_from or Lsn(0), seen.lsn or Lsn(0))
                self.clock = self.last_transaction or seen.time or self.clock
            case Kind.NEW_TIMELINE:
                self.new_timeline = seen.timeline
            case Kind.RECOVERY_COMPLETE:
                self.complete = True
            case Kind.OPEN:
                self.opened = True
            case Kind.SERVER_STOPPING:
                self.stopping = seen.what or ""
            case Kind.SERVER_STOPPED:
                self.stopped = True
            case _:
                pass

    @property
    def aims_at_stop(self) -> bool:
        """The server said that it was given a target."""
        return self.aim is not None and self.aim.what != "latest"

    @property
    def recovers(self) -> bool:
        """This life is a recovery from an archive, or says at least how one ended."""
        return (
            self.aim is not None
            or self.standby
            or self.complete
            or self.restored > 0
            or self.stop is not None
        )

    @property
    def is_unasked(self) -> bool:
        """The WAL was replayed without an archive: as after a crash, or from a backup's own WAL.

        A backup that has WAL with it is replayed so when its recovery file is forgotten, and
        then nothing is said about that at all.
        """
        return not self.recovers and (self.repaired or self.redo_start is not None)

    @property
    def is_own_repair(self) -> bool:
        """A server that was open, and well, in this log has crashed and repaired itself."""
        return self.repaired and self.follows_open

    @property
    def looks_like_a_crash(self) -> bool:
        """Nothing but the lack of an archive speaks for files that come from a backup."""
        of_backup = self.backup_begin is not None or self.backup_end is not None
        return self.is_unasked and self.repaired and not (of_backup or self.follows_recovery)

    @property
    def deadly(self) -> list[Finding]:
        """The failures that ended this life, in the order in which they were told."""
        return [one for one in self.findings if self._is_deadly(one)]

    @property
    def unfit(self) -> bool:
        """Replay is held because of a setting, and the server will stop when it goes on."""
        told = {one.seen.kind for one in self.findings}
        held = self.paused and not self.at_target and Kind.PARAMETER_TOO_LOW in told
        return held or Kind.PAUSED_UNFIT in told

    @property
    def damage(self) -> list[Finding]:
        """What the archive delivered was not what the server needed."""
        wrong = DAMAGE | {Kind.FETCHED_NOTHING}
        return [one for one in self.findings if one.seen.kind in wrong]

    @property
    def at_target(self) -> bool:
        """The server says that it has stopped at its target, and it is the one it was given."""
        if self.aim is not None and self.stop is not None and not meets(self.aim, self.stop):
            return False
        return self.stop is not None or self.paused_at_target or self.shutdown_at_target

    @property
    def stopped_behind_target(self) -> bool:
        """The target is a time before the base backup: the server stopped, but nowhere near it.

        A server does not notice such a time. It stops at the first commit behind the backup.
        """
        aim, prior = self.aim, self.prior
        if aim is None or prior is None or prior.kind is not Kind.INTERRUPTED:
            return False
        return self.at_target and is_earlier(aim.time, prior.time)

    @property
    def ended_at_backup(self) -> bool:
        """Nothing that was written after the base backup was replayed."""
        end = self.backup_end or self.consistent
        return end is not None and self.redo_done is not None and self.redo_done <= end

    @property
    def reached_at_least(self) -> Lsn | None:
        """The last position that replay is proved to have come to; None if only its begin is."""
        stop = self.stop.lsn if self.stop is not None else None
        known = (self.redo_done, self.progress, self.restart_from, self.consistent, stop)
        found = max((one for one in known if one is not None), default=None)
        return found if found and found > (self.redo_start or Lsn(0)) else None

    @property
    def is_consistent(self) -> bool:
        """It is certain that a stop is not too early: the server refuses that afterwards."""
        return (
            self.consistent is not None
            or self.readable
            or self.opened
            or self.paused
            or self.shutdown_at_target
        )

    @property
    def missing(self) -> str:
        """The first segment that restore_command said it does not have, and never delivered."""
        have = {name[8:] for name in self.delivered}
        names = [one for one in self.absent if is_segment(one) and one[8:] not in have]
        return min(names, key=lambda name: name[8:], default="")

    @property
    def behind_gap(self) -> str:
        """A segment that was delivered although one before it is missing."""
        numbers = [one for one in self.delivered if is_segment(one)]
        last = max(numbers, key=lambda name: name[8:], default="")
        return last if self.missing and last[8:] > self.missing[8:] else ""

    @property
    def unused(self) -> str:
        """The last segment that was delivered, if replay ended before it."""
        numbers = [one for one in self.delivered if is_segment(one)]
        last = max(numbers, key=lambda name: name[8:], default="")
        if not last or self.redo_done is None or self.redo_start is None or self.at_target:
            return ""
        size = self.segment_size
        if size is None:
            return ""
        return last if WalSegment.parse(last, size).start > self.redo_done else ""

    @property
    def segment_size(self) -> int | None:
        """A size of segments with which the first one delivered holds the begin of the replay."""
        first = next((one for one in self.delivered if is_segment(one)), "")
        if not first or self.redo_start is None:
            return None
        return segment_size(first, self.redo_start)

    @property
    def unreadable(self) -> str:
        """What restore_command said when it failed for another reason than an absent file."""
        if self.troubles:
            return self.troubles[-1]
        if any(name in self.delivered for name in self.spoken):
            return ""
        lost = (n for n in self.spoken if is_segment(n) and n not in self.absent)
        return self.spoken[name] if (name := next(lost, "")) else ""

    def _is_deadly(self, one: Finding) -> bool:
        kind = one.seen.kind
        if kind is Kind.STARTUP_FAILED:
            return True
        if one.severity is None:
            return kind in SAID_BEFORE_THE_LOG
        if one.severity not in _FATAL or kind is Kind.STREAM_FAILED:
            return False
        if kind in _RECOVERY_ONLY:
            return True
        own = {self.postmaster, self.startup} - {None}
        if one.pid is not None and own:
            return one.pid in own
        return not self.readable and not self.opened
