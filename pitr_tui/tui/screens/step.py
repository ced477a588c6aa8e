"""What every step of the wizard has in common: what is missing, and what comes behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from pitr_tui.errors import PitrError
from pitr_tui.tui import way
from pitr_tui.tui.messages import StepPassed
from pitr_tui.tui.screens.pane import Pane
from pitr_tui.tui.session import Session, WizardStep

if TYPE_CHECKING:
    from pitr_tui.recovery.teaching import Seen


class StepPane(Pane):
    """One step. Subclasses give `step`."""

    step: ClassVar[WizardStep]
    title: ClassVar[str] = ""

    def __init__(self, session: Session) -> None:
        super().__init__(session, self.step.value)

    def for_lesson(self) -> Callable[[Seen], Seen]:
        """What adds to a lesson's material what only this step knows, off the event loop."""
        return lambda seen: seen

    def ready(self) -> str | None:
        """Why one cannot go on from here yet, in words that follow "not yet:"; or None."""
        return way.missing_in(self.session, self.step)

    def next_action(self) -> str:
        """What the enter key does now, as one short phrase for the line above the footer."""
        follower = way.following(self.step)
        return f"go on to {follower.value}" if follower else ""

    def proceed(self) -> None:
        """The enter key: the one next action. Goes on, or says why it does not."""
        reason = self.ready()
        if reason is None:
            self.post_message(StepPassed(self.step))
        else:
            self.show_problem(PitrError(f"not yet: {reason}"))

    def skip(self) -> None:
        """Ctrl+n: on to the next step if nothing is missing, without what enter would do first."""
        StepPane.proceed(self)
