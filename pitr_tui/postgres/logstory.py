"""The server log as a whole: where the recovery is, whether it reached its target, what failed.

A log can hold several lives of a server: an earlier one as a primary, a recovery, a restart.
The last one decides, and it inherits what came of a recovery that it does not begin itself:
restarting a server does not make its data better.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pitr_tui.postgres import diagnosis
from pitr_tui.postgres.diagnosis import Diagnosis
from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.loglife import SAID_BEFORE_THE_LOG, Life
from pitr_tui.postgres.logline import LogLine, Observation, goal, observe
from pitr_tui.postgres.logoutput import said_by_command
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import Stop
from pitr_tui.postgres.walname import is_segment


class LogState(StrEnum):
    """Where a recovery is. Only at "stopped at target" and "paused" is it at its target; of
    "promoting", "open" and "shut down" it is `ServerLog.reached_target` that tells."""

    INIT = "init"
    FETCHING = "fetching"
    REPLAYING = "replaying"
    READABLE = "readable"
    STOPPED = "stopped at target"
    PAUSED = "paused"
    PROMOTING = "promoting"
    OPEN = "open"
    SHUT_DOWN = "shut down"
    FAILED = "failed"
    SUSPECT_OPEN = "suspect open"


@dataclass(slots=True)
class ServerLog:
    """The fold of a server's log lines: `add` them, read the rest at any time.

    `archive_is_known`: somebody compares the end of the replay with the archive itself, so
    nothing need be guessed about it from the log.

    >>> from pitr_tui.postgres.logline import parse_line
    >>> log, stamp = ServerLog(), "2026-11-22 14:43:48.896 UTC [7] LOG:  "
    >>> for text in ("starting point-in-time recovery to XID 9", "redo starts at 0/2000028",
    ...              "database system is ready to accept connections"):
    ...     _ = log.add(parse_line(stamp + text))
    >>> str(log.state), log.reached_target, log.failure.id
    ('suspect open', False, 'UNREACHED')
    """

    archive_is_known: bool = False
    life: Life = field(default_factory=Life)
    lives: int = 1
    _recovery: Life | None = None  # the last life that recovered, when it is not this one

    def add(self, line: LogLine) -> Observation | None:
        """Take in one line, and give back what it means."""
        seen = observe(line)
        if seen is not None:
            self.take(line, seen)
        said = said_by_command(line)
        if said is not None and (seen is None or seen.kind not in SAID_BEFORE_THE_LOG):
            self.life.hear(line, said)
        return seen

    def take(self, line: LogLine, seen: Observation) -> None:
        """Take in a line whose meaning is known."""
        if self.life.begins_with(seen, line):
            self._begin()
        self.life.take(line, seen)

    @property
    def state(self) -> LogState:
        life = self.life
        if _has_failed(life):
            return LogState.FAILED
        if self.is_suspect:
            return LogState.SUSPECT_OPEN
        if life.opened:
            return LogState.OPEN
        if life.shutdown_at_target or (life.stopped and not life.at_target):
            return LogState.SHUT_DOWN
        return _on_the_way(life)

    @property
    def has_ended(self) -> bool:
        """The server was shut down since; a recovery that had come to its end stays what it is."""
        return self.life.stopped

    @property
    def is_suspect(self) -> bool:
        """The server opened without the evidence that it stopped where it should have."""
        told = self._told
        return told.opened and diagnosis.of_open(told, self.archive_is_known) is not None

    @property
    def may_be_a_mere_crash(self) -> bool:
        """What is suspect is only that no archive was asked, as after any crash."""
        return self.is_suspect and self._told.looks_like_a_crash

    @property
    def reached_target(self) -> bool | None:
        """Whether the log proves that the target was reached; None without one, or not yet."""
        told = self._told
        aims = told.aims_at_stop
        restart_failed = told is not self.life and not told.opened and _has_failed(self.life)
        if _has_failed(told) or restart_failed:
            missed = {Kind.UNREACHED, Kind.TOO_EARLY, Kind.MULTIPLE_TARGETS}
            return False if aims or missed & {one.seen.kind for one in told.findings} else None
        if told.at_target:
            return True if told.is_consistent else None
        wrong_stop = told.stop is not None
        return False if wrong_stop or (aims and (told.opened or told.stopped)) else None

    @property
    def failure(self) -> Diagnosis | None:
        """Why the recovery failed, or why the open server is suspect."""
        if _has_failed(self.life):
            return diagnosis.of_failed(self.life)
        told = self._told
        return diagnosis.of_open(told, self.archive_is_known) if told.opened else None

    @property
    def target(self) -> str | None:
        """The target in words, or None without one."""
        aim = self._told.aim
        return goal(aim) if aim is not None and aim.what != "latest" else None

    @property
    def aim(self) -> Observation | None:
        """The line that told the target."""
        return self._told.aim

    @property
    def stop(self) -> Stop | None:
        return self._told.stop

    @property
    def timeline(self) -> TimelineId | None:
        """The new timeline, else the one that is replayed, as far as the log tells."""
        told = self._told
        if told.new_timeline is not None:
            return told.new_timeline
        if told.streaming is not None:
            return told.streaming.timeline
        segments = [name for name in told.delivered if is_segment(name)]
        if segments:
            return TimelineId(int(segments[-1][:8], 16))
        return told.backup_begin.timeline if told.backup_begin is not None else None

    @property
    def replayed(self) -> Lsn | None:
        """The last position that replay is known to have come to: at least there."""
        told = self._told
        return told.redo_done or told.reached_at_least or told.redo_start

    @property
    def has_replayed_all(self) -> bool:
        """Replay has ended, and the server told where and with which transaction."""
        return self._told.redo_done is not None

    @property
    def replayed_text(self) -> str:
        """How far replay came, as far as that is proved; empty where nothing is."""
        told = self._told
        if self.has_replayed_all:
            return f"to {told.redo_done}"
        if told.reached_at_least is not None:
            return f"at least to {told.reached_at_least}"
        begin = f"from {told.redo_start}; how far, the log does not tell"
        return begin if told.redo_start is not None else ""

    @property
    def stopped_behind_target(self) -> bool:
        """The target lies before the base backup, and the server stopped behind the backup."""
        return self._told.stopped_behind_target

    @property
    def clock(self) -> str:
        """The time of the last transaction that was replayed, as the server printed it."""
        return self._told.clock

    @property
    def failures(self) -> list[Observation]:
        return [one.seen for one in self.life.findings if one.seen.is_failure]

    @property
    def alarms(self) -> list[Observation]:
        return [one.seen for one in self.life.findings if one.seen.is_alarm]

    @property
    def notes(self) -> list[str]:
        """What a careful reader would add although nothing failed."""
        return diagnosis.notes(self._told)

    @property
    def _told(self) -> Life:
        """The life that tells what is in these data: the last recovery, if it still counts."""
        life = self.life
        if self._recovery is None or life.recovers or (life.is_unasked and not life.is_own_repair):
            return life
        return self._recovery

    def _begin(self) -> None:
        gone = self.life
        well = gone.opened and not self.is_suspect
        if gone.recovers or gone.aims_at_stop:
            self._recovery = gone
        self.life = Life(
            follows_open=well or (gone.follows_open and not gone.recovers),
            follows_recovery=self._recovery is not None,
        )
        self.lives += 1


def _has_failed(life: Life) -> bool:
    """Whether this life was ended by a failure. Nothing that a client does can do that."""
    if life.unfit and not life.opened:
        return True
    deadly = life.deadly
    if life.opened:
        return any(diagnosis.ends_a_recovery(one.seen.kind) for one in deadly)
    return bool(deadly)


def _on_the_way(life: Life) -> LogState:
    """Neither ended nor failed: how far it is."""
    ends = life.redo_done is not None or life.new_timeline is not None or life.complete
    asked = life.promote_requested and (life.paused_at_target or not life.paused)
    if ends or asked:
        return LogState.PROMOTING
    if life.at_target:
        return LogState.PAUSED if life.paused else LogState.STOPPED
    if life.readable:
        return LogState.READABLE
    if life.redo_start is not None or life.progress is not None or life.consistent is not None:
        return LogState.REPLAYING
    begun = life.prior is not None or life.recovers
    return LogState.FETCHING if begun else LogState.INIT
