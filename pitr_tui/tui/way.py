"""The way through the wizard: which step is done, which can be entered, and why not."""

from __future__ import annotations

from pitr_tui.postgres.target import Latest
from pitr_tui.recovery.events import Status
from pitr_tui.tui.reach import Place
from pitr_tui.tui.session import Session, WizardStep

STEPS = tuple(WizardStep)


def obstacle(session: Session, step: WizardStep) -> str | None:
    """Why a step cannot be entered yet, in words that follow "not yet:"; None when it can.

    A run that was started and a secondary that is there can always be looked at, whatever has
    changed before them.
    """
    if step is WizardStep.RECOVER and session.run is not None:
        return None
    if step is WizardStep.VERIFY and session.secondary is not None:
        return missing_in(session, WizardStep.RECOVER)
    for before in STEPS[: STEPS.index(step)]:
        missing = missing_in(session, before)
        if missing:
            return missing
    return None


def missing_in(session: Session, step: WizardStep) -> str | None:
    """What this step itself still lacks before the next one makes sense; None when done.

    The target has a default, and a plan is only half the word of the person: both steps are
    done when they were gone through (`Session.passed`). For the plan that is the confirmation.
    """
    match step:
        case WizardStep.CONNECT:
            if session.facts is None and not session.primary_is_down:
                return "no primary is connected; or choose “the primary is down or gone”"
        case WizardStep.ARCHIVE:
            if session.archive_directory is None:
                return "there is no WAL archive to recover from"
        case WizardStep.BACKUPS:
            if session.backup is None:
                return "no base backup is chosen"
        case WizardStep.TARGET:
            if step not in session.passed:
                return "the target is not chosen"
        case WizardStep.PLAN:
            if session.plan is None:
                return "there is no plan"
            if any(check.status is Status.FAILURE for check in session.checks):
                return "a check of the plan failed"
            if step not in session.passed:
                return "the recovery is not confirmed"
        case WizardStep.RECOVER:
            if session.run is None or session.run.finished is None:
                return "nothing is recovered yet"
        case WizardStep.VERIFY:
            pass
    return None


def nearest(session: Session, wanted: WizardStep) -> WizardStep:
    """The wanted step, or the first one before it in which something is missing."""
    before = STEPS[: STEPS.index(wanted)]
    return next((step for step in before if missing_in(session, step)), wanted)


def following(step: WizardStep) -> WizardStep | None:
    """The step behind this one."""
    place = STEPS.index(step) + 1
    return STEPS[place] if place < len(STEPS) else None


def preceding(step: WizardStep) -> WizardStep | None:
    """The step in front of this one."""
    place = STEPS.index(step)
    return STEPS[place - 1] if place else None


def run_is_going(session: Session) -> bool:
    """Whether a recovery was started and has not ended, and was not cut off either."""
    run = session.run
    if run is None or session.standing is not None:
        return False
    return run.finished is None and run.failed is None


def begin_anew(session: Session) -> None:
    """The next recovery makes a copy of its own; the one on the screen stays as it is."""
    session.run = session.record = session.secondary = session.standing = session.onward = None
    session.afresh = session.opened = False


def forget_run(session: Session) -> None:
    """The run on the screen has left nothing that one could go on with."""
    begin_anew(session)
    forget_plan(session)


def forget_plan(session: Session) -> None:
    """A value that the plan was made of has changed: it has to be made and confirmed again.

    A run that was made from it stays what it is, and so does the plan while that run goes on.
    """
    if run_is_going(session):
        return
    session.plan = None
    session.checks = ()
    session.passed.discard(WizardStep.PLAN)


def use_archive(session: Session, place: Place | None) -> None:
    """Take this archive. Of another one than before nothing holds that was read in it."""
    if place != session.archive_directory:
        session.archive_directory = place
        forget_wal(session)


def forget_wal(session: Session) -> None:
    """Forget what was read, aimed at or chosen by the archive."""
    session.story_of_wal.forget()
    session.aim = session.own_backup = session.backup = None
    session.target = Latest()
    session.passed.discard(WizardStep.TARGET)
    forget_plan(session)


def forget_primary(session: Session) -> None:
    """Another primary is chosen: what was found at the one before does not belong to it.

    Places that were named before any primary was known stay.
    """
    if session.facts is not None or session.origin is not None:
        session.archive_directory = session.backup_directory = None
        session.destination = None
        session.afresh = True  # a copy that stands belongs to the one before
        forget_wal(session)
    session.archiving = session.receiver = session.other_archive = None
    forget_plan(session)
