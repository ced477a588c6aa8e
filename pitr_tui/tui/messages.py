"""What the parts of the wizard tell each other, one message each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from pitr_tui.tui.screens.opening import OpenedRun
    from pitr_tui.tui.session import Session, WizardStep


@dataclass
class SessionChanged(Message):
    """A step has filled in or taken back something: header, stepper and hint are stale."""


@dataclass
class StepPassed(Message):
    """The person is through with a step and wants the next one."""

    step: WizardStep


@dataclass
class StepWanted(Message):
    """Somebody wants to see a step, by its number, a click or the palette."""

    step: WizardStep


@dataclass
class SessionOpened(Message):
    """Another way begins, on another primary, at this pane."""

    session: Session
    pane: str


@dataclass
class RunOpened(Message):
    """A run of before was read from its journal; None for the one that is on the screen."""

    run: OpenedRun | None
