"""The question before a recovery begins, or goes on: what will be done, and what stays as it is."""

from __future__ import annotations

from pitr_tui.recovery.checks import Light
from pitr_tui.tui.screens.checked import THEN, Checked, summary_of
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.standing_words import stand_words
from pitr_tui.tui.session import Session, Standing


def question(session: Session, checked: Checked, standing: Standing | None) -> ConfirmDialog:
    """Ask for the yes; with `standing` to a plan that goes on with that copy."""
    judgement, plan = checked.judgement, checked.plan
    proven = judgement.light is Light.GREEN
    text = [*([f"Not everything is proven: {judgement.sentence}", ""] * (not proven))]
    if standing is None:
        text += ["A secondary is made in a new place:", f"  {plan.secondary.destination}"]
    else:
        text.append(f"  {stand_words(standing, checked.reached)}")
    facts = summary_of(plan)
    text += ["", *(f"{fact.name:<12}{fact.value}" for fact in facts), f"{'then':<12}"]
    text[-1] += THEN[plan.action]
    text += ["", "The primary, the backup and the archive are only read."]
    if standing is not None:
        text[-1] = (
            "Nothing is copied: the secondary is stopped, told where to stop now, and started. "
            "It never comes back to where it stands."
        )
        return ConfirmDialog("Go on with this copy?", "\n".join(text), "Go on")
    text += _stays(session)
    return ConfirmDialog("Start the recovery?", "\n".join(text), "Start")


def _stays(session: Session) -> list[str]:
    """What becomes of the recovery before this one."""
    before, run = session.standing, session.run
    if before is not None:
        kept = f"{stand_words(before)}: it stays as it is"
        return ["", kept, f"and can be gone on with: pitr resume {before.record.name}"]
    if run is not None and run.finished is not None:
        return ["", "The secondary of the recovery before this one is left as it is."]
    return []
