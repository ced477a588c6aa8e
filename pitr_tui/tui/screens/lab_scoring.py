"""Scoring, as a job of the pane that is shown."""

from __future__ import annotations

from collections.abc import Callable

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab.record import Lab
from pitr_tui.lab.result import Score
from pitr_tui.recovery.state import RunState
from pitr_tui.tui.lab_session import OpenLab
from pitr_tui.tui.screens.lab_dialogs import ScoreDialog
from pitr_tui.tui.screens.opening import ReachPlaces
from pitr_tui.tui.screens.pane import Pane

_GROUP = "score"


def score_on(pane: Pane, open_lab: OpenLab, scored: Callable[[], None]) -> None:
    """Score the run of the screen, or the newest one that can be; show it."""
    session, lab = pane.session, open_lab.lab
    run, record = session.run, session.record
    reached = run is not None and run.finished is not None and session.lab is open_lab
    name = record.name if record is not None and reached else None

    def done(score: Score) -> None:
        open_lab.score = score
        scored()
        pane.app.push_screen(ScoreDialog(lab.scenario.title, score))

    def failed(error: PitrError) -> None:
        paused = run is not None and run.state is RunState.PAUSED and run.promoted is None
        if isinstance(error, RefusedError) and paused and "promote" in error.hint:
            hint = "open it for writing: p at the step verify. Then S again"
            error = RefusedError(error.what, error.why, hint)
        pane.show_problem(error)

    pane.run_job(
        lambda emit, cancel: _score(lab, name, ReachPlaces(session.reach)),
        on_done=done,
        on_failed=failed,
        busy="asking the database for every row",
        cancel_hint="",
        group=_GROUP,
    )


def _score(lab: Lab, run_name: str | None, places: ReachPlaces) -> Score:
    from pitr_tui.lab.score import score

    return score(lab, run_name, places)
