"""The report of a run: a page for who decides, pages for who checks, and the same as facts."""

from __future__ import annotations

from collections.abc import Iterable

from pitr_tui.recovery.events import Stamped
from pitr_tui.recovery.report.audit import audit
from pitr_tui.recovery.report.facts import facts
from pitr_tui.recovery.report.outcome import Ending, Outcome, outcome
from pitr_tui.recovery.report.summary import summary
from pitr_tui.recovery.report.tale import Tale, tale_of

__all__ = ["Ending", "Outcome", "Tale", "facts", "markdown", "outcome", "tale_of"]


def markdown(events: Iterable[Stamped]) -> str:
    """The report of a journal. Raises RefusedError when there is no run in it."""
    tale = tale_of(events)
    return "\n".join([*summary(tale), *audit(tale)]) + "\n"
