"""The recoveries of this machine that are not over: a line of the first step, and a list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from pitr_tui.postgres.quote import one_line
from pitr_tui.recovery.glance import Glance
from pitr_tui.recovery.report import Ending
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.tui.literal import assemble, lines, literal
from pitr_tui.wording import count_text

_STYLES = {
    Ending.REACHED: "$text-success",
    Ending.PROMOTED: "$text-success",
    Ending.FAILED: "$text-error",
    Ending.GOING_ON: "$text-accent",
}
_WORDS_CELLS = 31


class RunsDialog(ModalScreen[RunRecord]):
    """Gives the run that is to be opened, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "close", "Close")]

    def __init__(self, found: Sequence[Glance]) -> None:
        super().__init__()
        self._found = found

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(literal("The recoveries of this machine"), classes="dialog-title")
            yield OptionList(id="runs")
            yield Static(
                literal(
                    "\nOpening one changes nothing: it shows the run as it stands. What is told "
                    "in grey has left nothing to go on with; `pitr report NAME` tells of it."
                )
            )
            yield Static(
                "↑↓ choose   enter open it   esc close", markup=False, classes="dialog-keys"
            )

    def on_mount(self) -> None:
        listing = self.query_one(OptionList)
        for one in self._found:
            listing.add_option(
                Option(run_content(one), id=one.record.name, disabled=not one.can_be_opened)
            )
        usable = [place for place, one in enumerate(self._found) if one.can_be_opened]
        listing.highlighted = usable[0] if usable else None
        listing.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        chosen = [one.record for one in self._found if one.record.name == event.option_id]
        self.dismiss(chosen[0] if chosen else None)

    def action_close(self) -> None:
        self.dismiss(None)


def run_content(one: Glance) -> Content:
    """A run in two lines: when and how it ended, where to and how far."""
    ending = one.outcome.ending if one.outcome is not None else None
    sign = ending.sign if ending is not None else "!"
    style = _STYLES.get(ending, "$text-warning") if ending is not None else "$text-warning"
    head = f"{_begun(one):<16}  {one.words}"
    name = f"{one.record.name[-8:]:>10}"
    if one.problem is not None:
        about = ": ".join(filter(None, (one.problem.what, one.problem.why)))
    else:
        about = f"{one.destination}  {one.target}"
    if not one.can_be_opened:
        head = f"{head:<{18 + _WORDS_CELLS}}{name}"
        return lines(
            literal(f"{sign} {head}", "$text-muted"),
            literal(f"    {one_line(about)}", "$text-muted"),
        )
    return lines(
        assemble((f"{sign} ", f"bold {style}"), (f"{head:<{18 + _WORDS_CELLS}}", "bold"), name),
        literal(f"    {one_line(about)}"),
    )


def standing_line(found: Sequence[Glance]) -> Content | None:
    """What the first step says of recoveries that can go on; None where there is none."""
    open_ones = [one for one in found if one.can_go_on]
    if not open_ones:
        return None
    newest = open_ones[0]
    ending = newest.outcome.ending if newest.outcome is not None else None
    stands = {
        Ending.REACHED: f"is {newest.words}",
        Ending.FAILED: "failed, its copy is kept",
        Ending.CANCELLED: "was cancelled, its copy is kept",
    }.get(ending or Ending.CUT_OFF, "was cut off")
    more = len(open_ones) - 1
    others = f" (and {count_text(more, 'other')})" if more else ""
    told = f"The recovery of {_begun(newest)} UTC {stands}{others}"
    return assemble((" R ", "reverse"), (f" {told}", "bold"), f": {newest.destination}")


def _begun(one: Glance) -> str:
    return f"{one.begun.astimezone(UTC):%Y-%m-%d %H:%M}" if one.begun is not None else ""
