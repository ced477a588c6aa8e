"""What was found out about a secondary, as the verify step shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.content import Content

from pitr_tui.recovery.as_of import as_of
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.postflight import STOPS
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.tui.literal import assemble
from pitr_tui.tui.widgets.facts import Fact, check_fact
from pitr_tui.tui.widgets.run_head import badge

_SENTENCE = "as of"
_OF_THE_RUN = ("merged configuration", "going on alone")  # which no later look can tell
_MOST_UNFOLDED = 3  # so few are not worth a fold
_MOST_NAMED = 3
_ORDER = tuple(reversed(Status))


def verdict(run: RunView, checks: Sequence[CheckDone]) -> Content:
    """The badge, of which moment the database is, and whether one may write to it."""
    told = next((one.evidence for one in checks if one.name == _SENTENCE), "") or as_of(run)
    state = run.state
    if run.promoted is not None:
        state = RunState.PROMOTED
        told += f" It is open for writing, on timeline {run.promoted.timeline}."
    elif state is RunState.SHUT_DOWN:
        told += " The secondary is shut down; started again, it stops there again."
    return assemble(badge(state), f" {told}")


def latest(told: Sequence[CheckDone], seen: Sequence[CheckDone]) -> list[CheckDone]:
    """What was seen now, or what the run told while nobody has looked again.

    A look says all that holds now: what it does not say any more, like a lock, is gone.
    """
    if not seen:
        return list(told)
    return [*(check for check in told if check.name in _OF_THE_RUN), *seen]


def evidence_facts(checks: Sequence[CheckDone], unfolded: bool) -> list[Fact]:
    """The checks, the worst first. Folded, those that came out well are told in one line."""
    shown = [c for c in checks if c.name != _SENTENCE or c.status is not Status.OK]
    shown.sort(key=lambda check: _ORDER.index(check.status))
    good = [check for check in shown if check.status is Status.OK]
    if unfolded or len(good) <= _MOST_UNFOLDED:
        return [check_fact(check) for check in shown]
    return list(_folded(shown))


def todo_facts(todo: Sequence[CheckDone], unfolded: bool) -> list[Fact]:
    """What is to do with an open secondary; unfolded with the statements for it."""
    if unfolded:
        return [check_fact(check) for check in todo]
    return [Fact(check.name, check.evidence, status=check.status) for check in todo]


def _folded(shown: Sequence[CheckDone]) -> Iterator[Fact]:
    for check in shown:
        if check.status in (Status.FAILURE, Status.WARNING):
            yield check_fact(check)
    good = [check for check in shown if check.status is Status.OK]
    yield from (check_fact(check) for check in good if check.name in STOPS)
    others = list(dict.fromkeys(check.name for check in good if check.name not in STOPS))
    yield Fact(f"{len(others)} more checks", _names(others), "e shows all", Status.OK)
    notes = list(dict.fromkeys(check.name for check in shown if check.status is Status.NOTE))
    if notes:
        yield Fact("worth knowing", _names(notes), status=Status.NOTE)


def _names(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
