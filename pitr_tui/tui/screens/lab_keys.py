"""What the wizard's frame can do for who practises: hints, the score, the coach and the cards.

The lab's own modules are imported when a key needs them: who recovers in earnest never does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from pitr_tui.tui.widgets.coach import CoachPanel

if TYPE_CHECKING:
    from pitr_tui.tui.screens.pane import Pane
    from pitr_tui.tui.session import Session

CARDS = "lab"  # the pane with the cards, which is no step


class LabKeys(Screen[None]):
    """The part of the wizard that knows of labs."""

    session: Session
    panes: dict[str, Pane]
    current: str
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("L,ctrl+l", "cards", "Lab", id="cards", show=False, tooltip="practise in the lab"),
        Binding("H,ctrl+g", "hint", "Hint", id="hint", show=False, tooltip="the next one counts"),
        Binding(
            "S,ctrl+s", "score", "Score", id="score", show=False, tooltip="how well it was done"
        ),
        Binding("C,ctrl+o", "coach", "Coach", id="coach", show=False, tooltip="hide it, show it"),
    ]

    def refresh_frame(self, bare: bool = False) -> None:
        """Draw the frame anew."""
        raise NotImplementedError

    async def show(self, name: str) -> None:
        """Show a pane."""
        raise NotImplementedError

    async def action_cards(self) -> None:
        """The scenarios of the lab; nothing of what stands on the screen is given up yet."""
        await self.show(CARDS)

    def action_coach(self) -> None:
        """Hide the coach, or show it again."""
        lab = self.session.lab
        if lab is not None:
            lab.hidden = not lab.hidden
            if lab.hidden:
                self.notify("The coach is hidden. C shows it again.", markup=False, timeout=3)
            self.refresh_frame()

    def action_hint(self) -> None:
        """The story and the hints so far; the next one after a question, because it is counted."""
        from pitr_tui.tui.screens.lab_dialogs import HintDialog

        lab, pane = self.session.lab, self.panes.get(self.current)
        if lab is None or pane is None or not self.is_current:
            return

        def decided(wanted: bool | None) -> None:
            if wanted:
                from pitr_tui.lab.diary import Hint, take_hint

                def taken(hint: Hint) -> None:
                    lab.hints[hint.number - 1 :] = [hint.text]
                    self.refresh_frame()
                    self.action_hint()

                pane.run_job(lambda emit, cancel: take_hint(lab.lab), on_done=taken, group="hint")

        self.app.push_screen(HintDialog(lab), decided)

    def action_score(self) -> None:
        """Ask the database how well it was done, and show it."""
        from pitr_tui.tui.screens.lab_scoring import score_on

        lab, pane = self.session.lab, self.panes.get(self.current)
        if lab is not None and pane is not None and self.is_current:
            score_on(pane, lab, self.refresh_frame)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of the lab hold only in one; the cards can be had where a way begins, too."""
        if action in ("hint", "score", "coach"):
            return self.session.lab is not None and self.current != CARDS
        if action == "cards":
            return self.current == "connect" or self.session.lab is not None
        return super().check_action(action, parameters)

    def lab_commands(self) -> Iterator[SystemCommand]:
        """The same for the palette, where the cards can be reached from every step."""
        if self.current != CARDS:
            yield SystemCommand("Practise in the lab", "choose an accident", self.action_cards)
        if self.session.lab is not None:
            yield SystemCommand("Next hint of the lab", "asks: it is counted", self.action_hint)
            yield SystemCommand("Score the lab", "how well it was done", self.action_score)
            yield SystemCommand("Coach", "hide it, or show it", self.action_coach)

    def lab_says(self) -> str:
        """What the line above the footer says instead of what enter does, where that is less."""
        lab, secondary = self.session.lab, self.session.secondary
        if lab is None or secondary is None or self.current != "verify":
            return ""
        if self.focused is not None and self.focused.id == "query":
            return ""  # there enter asks
        from pitr_tui.tui.screens.lab_words import what_now

        return what_now(lab)

    def show_coach(self) -> None:
        """Draw the coach for the step that is shown."""
        panel = self.query_one(CoachPanel)
        lab = self.session.lab
        if lab is None or lab.hidden or self.current == CARDS:
            panel.show(None)
            return
        from pitr_tui.tui.screens.lab_words import coached

        panel.show(coached(self.session, lab, self.current))
