"""Which server has a trainee's answer, or what to do so that one has."""

from __future__ import annotations

from dataclasses import dataclass

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab.record import Lab, is_of, runs_of
from pitr_tui.lab.scenario import Answer
from pitr_tui.recovery.fate import require_own
from pitr_tui.recovery.plan_record import Places, secondary_from
from pitr_tui.recovery.runs import RunRecord, run_named
from pitr_tui.recovery.state import RunView
from pitr_tui.servers.sql import Database

_BEGIN = "recover one of its backups; a hint helps (`pitr lab hint`, H in the wizard)"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server to be scored, and the run that led to it, if there was one."""

    where: Database
    run: RunRecord | None


def candidate(lab: Lab, run_name: str | None, places: Places) -> Candidate:
    """The primary, or the secondary of a run: the named one, or the newest that came to its target.

    Raises RefusedError with what is to be done first, PitrError.
    """
    if lab.scenario.answer is Answer.PRIMARY:
        return Candidate(_primary(lab), _newest_reached(lab))
    record = _named(lab, run_name) if run_name is not None else _newest(lab)
    view = record.view()
    _require_reached(record, view)
    secondary = secondary_from(view.plan, places)
    require_own(record, view, secondary)
    if not secondary.is_running():
        raise RefusedError(
            f"the secondary of the run {record.name} does not run",
            "the score asks its database for every row",
            f"`pitr resume {record.name}` starts it again",
        )
    return Candidate(secondary.database, record)


def _primary(lab: Lab) -> Database:
    if not lab.server.is_running():
        raise RefusedError(
            "the primary does not run",
            "this scenario's answer stands on the primary, with the lost rows brought back into it",
            f"start {_place_of_primary(lab)}, then score again",
        )
    return lab.server.database


def _place_of_primary(lab: Lab) -> str:
    if lab.image is None:
        return f"the server in {lab.server.data_directory}"
    from pitr_tui.lab.container_ground import container_name

    return f"its container (docker start {container_name(lab.directory)})"


def _named(lab: Lab, name: str) -> RunRecord:
    record = run_named(name)
    if not is_of(record, lab):
        raise RefusedError(
            f"the run {record.name} is not of the lab that runs",
            f"it did not recover a backup of {lab.name}",
            "`pitr runs` lists the runs",
        )
    return record


def _newest(lab: Lab) -> RunRecord:
    """The newest run that can be scored; when none can, the newest one, to tell why."""
    runs = runs_of(lab)
    if not runs:
        raise RefusedError("nothing of this lab was recovered yet", "", _BEGIN)
    return _newest_reached(lab) or runs[0]


def _newest_reached(lab: Lab) -> RunRecord | None:
    return next((record for record in runs_of(lab) if _has_reached(record)), None)


def _has_reached(record: RunRecord) -> bool:
    try:
        view = record.view()
    except PitrError:
        return False
    return view.finished is not None and not view.thrown_away


def _require_reached(record: RunRecord, view: RunView) -> None:
    """Raises RefusedError for a run that left no answer."""
    if view.thrown_away:
        raise RefusedError(
            f"the secondary of the run {record.name} was thrown away",
            "there is no database any more that could be asked",
            "recover once more",
        )
    if view.finished is not None:
        return
    if record.is_live():
        raise RefusedError(f"the run {record.name} is still going on", "", "wait for its end")
    if view.failed is not None and not view.failed.kept:
        raise RefusedError(
            f"the run {record.name} has recovered nothing", view.failed.what, "recover once more"
        )
    raise RefusedError(
        f"the run {record.name} has not come to its target",
        view.failed.what if view.failed is not None else "it was cut off",
        f"`pitr resume {record.name}` goes on with it, or recover once more",
    )
