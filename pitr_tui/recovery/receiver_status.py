"""How a receiver does: whether it runs, how far behind it is, and what its archive holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pitr_tui.containers.engine import engine_errors
from pitr_tui.containers.labels import SLOT_LABEL
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.quote import visible
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.receiver import ARCHIVE, IDLE, Receiver, archive_listing, find_sidecar
from pitr_tui.repositories.archive import ArchiveListing
from pitr_tui.wording import size_text

if TYPE_CHECKING:
    from docker.models.containers import Container

REMOVED = "removed"
_LOG_LINES = 20
_SLOT = """
SELECT s.active, s.restart_lsn::text, r.{flush}::text, {health}
  FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
 WHERE s.slot_name = %s
"""


@dataclass(frozen=True, slots=True)
class SlotState:
    """A slot as the primary sees it.

    `kept_from` is the oldest WAL that it holds back, `flushed` what its receiver has on disk.
    """

    active: bool
    kept_from: Lsn | None
    flushed: Lsn | None
    lost: bool


@dataclass(frozen=True, slots=True)
class ReceiverStatus:
    """One receiver. What the primary would have to tell is None when it does not answer.

    `lag` is what the archive lacks, `kept` what the slot keeps on the primary's disk, in bytes.
    """

    name: str
    state: str
    volume: str
    slot_name: str
    slot: SlotState | None
    lag: int | None
    kept: int | None
    listing: ArchiveListing | None
    log: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def follows(self) -> bool:
        """Whether the archive gets all that the primary writes."""
        return not self.problems

    @property
    def action(self) -> str:
        """What `pitr archive receive` has to be told so that it follows again, if that is known."""
        return "start" if self.state in (*IDLE, REMOVED) else ""

    @property
    def last_segment(self) -> str | None:
        """The newest whole segment."""
        segments = self.listing.segments if self.listing else ()
        return segments[-1].name if segments else None

    @property
    def partial(self) -> str | None:
        """The segment that is being written."""
        begun = self.listing.partial if self.listing else ()
        return f"{begun[-1].name}.partial" if begun else None


def receiver_status(receiver: Receiver) -> ReceiverStatus:
    """Look at sidecar, slot and archive; a primary that is down is told as a problem.

    Raises RefusedError when there is neither sidecar nor slot, EngineError.
    """
    sidecar = find_sidecar(receiver)
    problems: list[str] = []
    slot, now = None, None
    try:
        version = receiver.primary.facts().version
        slot, now = slot_state(receiver, version), current_lsn(receiver, version)
    except PitrError as error:
        problems.append(f"the primary does not answer: {error.why or error.what}")
    if sidecar is None and slot is None:
        raise RefusedError(
            f"{receiver.server.name} has no receiver",
            problems[0]
            if problems
            else f"there is neither {receiver.name} nor a slot {receiver.slot}",
            "`pitr archive receive start` starts one",
        )
    state = str(sidecar.status) if sidecar else REMOVED
    reached = slot and (slot.flushed or slot.kept_from)
    lag = max(0, now - reached) if now is not None and reached else None
    kept = max(0, now - slot.kept_from) if now is not None and slot and slot.kept_from else None
    problems += _problems(state, slot, now, kept)
    return ReceiverStatus(
        name=receiver.name,
        state=state,
        volume=receiver.volume,
        slot_name=receiver.slot,
        slot=slot,
        lag=lag,
        kept=kept,
        listing=archive_listing(receiver),
        log=sidecar_log(sidecar) if sidecar else (),
        problems=tuple(problems),
    )


def as_it_is(receiver: Receiver) -> Receiver:
    """The receiver with the volume and the slot that its sidecar has, when there is one."""
    try:
        sidecar = find_sidecar(receiver)
    except RefusedError:
        sidecar = None  # whoever wants to do something to another's container hears of it then
    if sidecar is None:
        return receiver
    tags = sidecar.attrs["Config"].get("Labels") or {}
    volumes = [
        one["Name"]
        for one in sidecar.attrs.get("Mounts") or ()
        if one.get("Destination") == str(ARCHIVE) and one.get("Name")
    ]
    volume = volumes[0] if volumes else receiver.volume
    return Receiver(receiver.server, volume, tags.get(SLOT_LABEL) or receiver.slot)


def slot_state(receiver: Receiver, version: PostgresVersion) -> SlotState | None:
    """The receiver's slot, or None when there is none. Raises PitrError."""
    health = "s.wal_status = 'lost'" if version.tells_slot_health else "false"
    query = _SLOT.format(flush=version.flush_lsn_column, health=health)
    for active, kept_from, flushed, lost in receiver.server.database.rows(query, [receiver.slot]):
        return SlotState(active, _lsn(kept_from), _lsn(flushed), bool(lost))
    return None


def current_lsn(receiver: Receiver, version: PostgresVersion) -> Lsn:
    """Where the primary writes now. Raises PitrError."""
    function = version.current_lsn_function
    row = receiver.server.database.row(f"SELECT {function}()::text")  # noqa: S608 - a fixed name
    return Lsn.parse(row[0])


def sidecar_log(container: Container) -> tuple[str, ...]:
    """The end of what the receiver wrote. Raises EngineError."""
    with engine_errors("the receiver's log cannot be read"):
        text = container.logs(tail=_LOG_LINES).decode("utf-8", "replace")
    return tuple(visible(line) for line in text.splitlines())


def _problems(state: str, slot: SlotState | None, now: Lsn | None, kept: int | None) -> list[str]:
    """Why the archive does not follow the primary, and what that does to the primary."""
    found = []
    if state != "running":
        found.append(f"the receiver is {state}")
    if slot is None:
        if now is not None:
            found.append("the slot is gone: WAL may be missing from the archive")
    elif slot.lost:
        found.append("the primary has removed WAL that the receiver had not: there is a gap")
    elif not slot.active:
        amount = f" ({size_text(kept)} by now)" if kept is not None else ""
        found.append(
            "nobody receives through the slot, and the primary keeps all WAL for it"
            f"{amount}: left alone, that fills its disk"
        )
    return found


def _lsn(text: str | None) -> Lsn | None:
    return Lsn.parse(text) if text else None
