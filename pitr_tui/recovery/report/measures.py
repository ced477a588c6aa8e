"""How long it took, and how much is lost: RTO and RPO as they were achieved, and measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pitr_tui.recovery.as_of import agrees, server_time, stop_time
from pitr_tui.recovery.events import CutKnown
from pitr_tui.recovery.report.tale import Attempt, Tale


@dataclass(frozen=True, slots=True)
class Took:
    """The way to the target, of the attempt that is the last one.

    `told` is when the secondary's log told of the stop, `proved` when the run was finished,
    which is what counts; `at_work` leaves out the time between the attempts. `accident` is when
    the first transaction was committed that was left out, by the primary's clock.
    """

    begun: datetime
    told: datetime | None
    proved: datetime
    at_work: float
    attempts: int
    accident: datetime | None = None

    @property
    def seconds(self) -> float:
        return (self.proved - self.begun).total_seconds()

    @property
    def since_accident(self) -> float | None:
        """None also where the two clocks contradict each other."""
        if self.accident is None or self.accident > self.begun:
            return None
        return (self.proved - self.accident).total_seconds()


@dataclass(frozen=True, slots=True)
class Lost:
    """What lies behind the cut in the archive; `seconds` None when its times are not known.

    Where the WAL behind it was not `read` to its end, the numbers are the least that is lost.
    """

    cut: CutKnown
    seconds: float | None

    @property
    def read(self) -> bool:
        return self.cut.archive_end is not None

    @property
    def nothing(self) -> bool:
        return self.read and not self.cut.lost_transactions


def believed_cut(attempt: Attempt) -> CutKnown | None:
    """What was read around the stop, unless the server has stopped somewhere else.

    Then it is of other WAL, or of another backup, than what was replayed.
    """
    cut, stop = attempt.cut, attempt.view.stop
    if cut is None or stop is None:
        return cut
    said = attempt.finished[1].last_transaction if attempt.finished else ""
    last = server_time(said or attempt.view.last_transaction)
    unproved = stop.what != "commit" and stop_time(stop) is None and last is None
    return cut if unproved or agrees(cut, stop, last) else None


def took(tale: Tale) -> Took | None:
    """None when the run did not come to its target in the end."""
    if tale.last.finished is None:
        return None
    proved = tale.last.finished[0]
    at_work = sum((_end_of(one) - one.begun).total_seconds() for one in tale.attempts)
    cut = believed_cut(tale.last)
    accident = cut.first_lost_time if cut is not None and cut.lost_transactions else None
    return Took(tale.begun, tale.last.stopped, proved, at_work, len(tale.attempts), accident)


def lost(tale: Tale) -> Lost | None:
    """None when the WAL behind the target was not read before the run, or was other WAL."""
    cut = believed_cut(tale.last)
    if cut is None:
        return None
    if cut.archive_end is not None and not cut.lost_transactions:
        return Lost(cut, 0.0)
    if cut.first_lost_time is None or cut.archive_end is None:
        return Lost(cut, None)
    return Lost(cut, max(0.0, (cut.archive_end - cut.first_lost_time).total_seconds()))


def _end_of(attempt: Attempt) -> datetime:
    told = attempt.finished or attempt.failed
    return told[0] if told else attempt.ended
