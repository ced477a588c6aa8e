"""What the engine says while it works: one frozen value for each thing that happened.

Events are written to the journal as JSON lines and read back from it, so their fields are
plain values, positions in the WAL, times, or tuples of text.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn, TimelineId


class Status(StrEnum):
    """How a check came out: NOTE is worth knowing and harmless, WARNING is not proven."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


class Step(StrEnum):
    """The steps of a run, in their order."""

    PLACE = "place"
    COPY = "copy"
    SETTINGS = "settings"
    START = "start"
    REPLAY = "replay"
    LOOK = "look"

    @property
    def words(self) -> str:
        return _TITLES[self]


_TITLES = {
    Step.PLACE: "prepare the destination",
    Step.COPY: "copy the base backup",
    Step.SETTINGS: "write the settings",
    Step.START: "start the secondary",
    Step.REPLAY: "replay the WAL",
    Step.LOOK: "look at the result",
}


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins. `files_and_commands` is the plan as it was shown.

    `plan` has all that is needed to make the plan again, see `plan_record`; journals of the
    first schema have none.
    """

    run: str
    version: str
    backup: str
    archive: str
    destination: str
    target: str
    action: str
    files_and_commands: str
    plan: dict[str, Any] = field(default_factory=dict)
    schema: int = 1
    pitr: str = ""


@dataclass(frozen=True, slots=True)
class RunTakenUp:
    """A run that was cut off, failed or paused goes on, from `step`, perhaps to another target."""

    step: Step
    target: str
    action: str
    files_and_commands: str
    plan: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CheckedBefore:
    """One named check of the plan, made before anything was done."""

    name: str
    status: Status
    evidence: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict over the plan, with which the person let it begin."""

    light: str
    sentence: str


@dataclass(frozen=True, slots=True)
class CutKnown:
    """What the WAL says around the place of the stop, read before the run begins.

    The transactions are those that ended last before it and first behind it; `lost_rows` tells
    what all transactions behind the cut changed, a table each. `archive_end` is the time of the
    last transaction in the archive.
    """

    last_kept_xid: int | None
    last_kept_time: datetime | None
    first_lost_xid: int | None
    first_lost_time: datetime | None
    first_lost_deed: str
    kept_transactions: int
    lost_transactions: int
    lost_rows: tuple[str, ...]
    archive_end: datetime | None


@dataclass(frozen=True, slots=True)
class PlaceTaken:
    """The destination is about to be used; `was_there` when it is an empty place of somebody's.

    `boot` names the time between two starts of this machine: behind the next one, what was
    written before may not be on the disk.
    """

    was_there: bool
    boot: str = ""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The server is about to be stopped, and unless it is `kept` the copy to be removed."""

    kept: bool


@dataclass(frozen=True, slots=True)
class StepStarted:
    step: Step


@dataclass(frozen=True, slots=True)
class StepDone:
    step: Step
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes of a base backup taken or copied; `total` is an estimate and may be 0."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class SegmentStaged:
    """The feeder has read and checked one archived file and laid it ready."""

    name: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NameAbsent:
    """The server asked for a name, and the archive was read and does not have it."""

    name: str


@dataclass(frozen=True, slots=True)
class FeedFailed:
    """The server needs a file that cannot be delivered whole; it was told to stop."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class LogArrived:
    """One line of the secondary's log, as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplayAt:
    """How far replay has come, and by the clock of the transactions; `end` is the aim."""

    lsn: Lsn
    start: Lsn
    end: Lsn | None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class CheckDone:
    """One named check with what was seen."""

    name: str
    status: Status
    evidence: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class RunFailed:
    """The run ended without the recovery that was asked for. `left` tells what remains.

    `failure` names the diagnosis, if the log gave one. With `kept` the copy is still there,
    stopped, and the run can be taken up again.
    """

    what: str
    why: str
    hint: str
    left: str
    cancelled: bool = False
    failure: str = ""
    kept: bool = False


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run ended where it should have. `connect` reaches the secondary, if it runs."""

    headline: str
    stop_reason: str
    state: str
    connect: str
    segments_restored: int
    last_transaction: str
    timeline: TimelineId | None = None


@dataclass(frozen=True, slots=True)
class Promoted:
    """The person has opened the secondary for writing."""

    timeline: TimelineId


@dataclass(frozen=True, slots=True)
class ThrownAway:
    """The person has removed the secondary with its data."""


Event = (
    RunStarted
    | RunTakenUp
    | CheckedBefore
    | Judged
    | CutKnown
    | PlaceTaken
    | GivenUp
    | StepStarted
    | StepDone
    | Progress
    | SegmentStaged
    | NameAbsent
    | FeedFailed
    | LogArrived
    | ReplayAt
    | CheckDone
    | RunFailed
    | RunFinished
    | Promoted
    | ThrownAway
)
_BY_NAME: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event with the moment at which it was told."""

    at: datetime
    event: Event


Sink = Callable[[Stamped], None]
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def to_json(stamped: Stamped) -> dict[str, Any]:
    """An event as JSON values: `at`, `event` (its name) and its fields."""
    event = stamped.event
    fields = {f.name: _plain(getattr(event, f.name)) for f in dataclasses.fields(event)}
    return {"at": stamped.at.isoformat(), "event": type(event).__name__, **fields}


def from_json(data: dict[str, Any]) -> Stamped:
    """The event that `to_json` wrote. Raises PitrError for anything else."""
    try:
        kind = _BY_NAME[data["event"]]
        hints = _hints(data["event"])
        values = {
            f.name: _typed(hints[f.name], data[f.name])
            for f in dataclasses.fields(kind)
            if f.name in data
        }
        return Stamped(datetime.fromisoformat(data["at"]), kind(**values))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, PitrError) as error:
        raise PitrError("this is not a line of a journal", f"{error!r} in {data!r}") from error


@cache
def _hints(name: str) -> dict[str, Any]:
    return get_type_hints(_BY_NAME[name])


def _plain(value: object) -> object:
    if isinstance(value, Lsn):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _typed(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if value is None:
            return None
        hint = next(part for part in get_args(hint) if part is not type(None))
    if hint is Lsn:
        return Lsn.parse(value)
    if hint is datetime:
        return datetime.fromisoformat(value)
    if get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise TypeError(f"{value!r} is not an object")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise TypeError(f"{value!r} is not a list")
        return tuple(_typed(get_args(hint)[0], one) for one in value)
    plain = (int, float) if hint is float else str if issubclass(hint, str) else int
    if not isinstance(value, plain):
        raise TypeError(f"{value!r} is not a {hint.__name__}")
    return hint(value)
