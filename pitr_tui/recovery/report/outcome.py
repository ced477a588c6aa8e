"""How a run ended, in a few words, and which command goes on from there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pitr_tui.recovery.state import RunState, RunView


class Ending(StrEnum):
    """What became of a run. REACHED is at the target, as it was proved when the run finished."""

    REACHED = "reached"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CUT_OFF = "cut off"
    GOING_ON = "running"
    PROMOTED = "promoted"
    THROWN_AWAY = "thrown away"

    @property
    def sign(self) -> str:
        """One character for a list."""
        return _SIGNS[self]


_SIGNS = {
    Ending.REACHED: "✓",
    Ending.PROMOTED: "✓",
    Ending.FAILED: "✗",
    Ending.CANCELLED: "■",
    Ending.CUT_OFF: "!",
    Ending.GOING_ON: "▸",
    Ending.THROWN_AWAY: "·",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`words` fit into 31 cells; `detail` has the rest, if there is one.

    `resumable`: the record has what it takes to take the run up again. `commands` are the
    subcommands that mean something now.
    """

    ending: Ending
    words: str
    detail: str = ""
    resumable: bool = False
    commands: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.words}: {self.detail}" if self.detail else self.words


def outcome(view: RunView, live: bool = False) -> Outcome:
    """What a run came to. `live` says that a process is at it; a journal does not tell that."""
    planned = view.started is not None and bool(view.started.plan)
    step = view.step.words if view.step else ""
    if view.thrown_away:
        return Outcome(Ending.THROWN_AWAY, "thrown away")
    if view.promoted is not None:
        return _promoted(f"promoted, timeline {view.promoted.timeline}", planned)
    if live and view.failed is None:
        return Outcome(Ending.GOING_ON, "running now", step)
    if view.finished is not None:
        if view.finished.state == RunState.PROMOTED:
            return _promoted(view.finished.state, planned)
        ways = ("verify", "promote", "resume", "discard") if planned else ()
        return Outcome(Ending.REACHED, view.finished.state, "", planned, ways)
    resumable = planned and (view.failed is None or view.failed.kept)
    again = ", can be resumed" if resumable else ""
    commands = ("resume", "discard") if resumable else ()
    if view.failed is None:
        detail = f"it was to {step}" if step else ""
        return Outcome(Ending.CUT_OFF, f"cut off{again}", detail, resumable, commands)
    if view.failed.cancelled:
        detail = f"it was to {step}" if step else ""
        return Outcome(Ending.CANCELLED, f"cancelled{again}", detail, resumable, commands)
    return Outcome(Ending.FAILED, f"failed{again}", view.failed.what, resumable, commands)


def _promoted(words: str, planned: bool) -> Outcome:
    return Outcome(Ending.PROMOTED, words, "", False, ("verify", "discard") if planned else ())
