"""Step 5: the plan with its checks, and the confirmation that starts it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import Latest, TargetAction
from pitr_tui.recovery.checks import Light
from pitr_tui.tui import way
from pitr_tui.tui.literal import literal
from pitr_tui.tui.messages import StepWanted
from pitr_tui.tui.screens.checked import (
    ORDER,
    Checked,
    check_onward,
    check_plan,
    is_there_already,
    passed_by,
    summary_of,
)
from pitr_tui.tui.screens.decision import aimed_again
from pitr_tui.tui.screens.destination_fields import DestinationFields
from pitr_tui.tui.screens.dialogs import TextDialog
from pitr_tui.tui.screens.going import question
from pitr_tui.tui.screens.standing_words import stand_words
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.screens.verdict_block import THERE, VerdictBlock
from pitr_tui.tui.screens.wal_switch import SWITCH, SwitchPane
from pitr_tui.tui.session import Session, Standing, WizardStep
from pitr_tui.tui.widgets.choice import Choice
from pitr_tui.tui.widgets.facts import Fact, Facts, check_fact
from pitr_tui.wal.aim import Aim

_TYPING_PAUSE = 0.4
_ACTIONS = (
    (TargetAction.PAUSE.value, "pause there"),
    (TargetAction.PROMOTE.value, "promote"),
    (TargetAction.SHUTDOWN.value, "shut down"),
)
_ONLY_PROMOTE = ((TargetAction.PROMOTE.value, "promote (the end of the WAL always does)"),)


class PlanPane(SwitchPane):
    """The verdict, where to, every check with its evidence, the plan's text, and the yes."""

    step = WizardStep.PLAN
    first_focus = ".step-body"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d,f6", "details", "Plan", id="details", tooltip="every file and command"),
        Binding(
            "e,f2",
            "edit",
            "Where to",
            id="edit",
            show=False,
            tooltip="another destination or port",
        ),
        SWITCH,
        Binding(
            "u,f4",
            "stop_there",
            "Stop there",
            id="stop_there",
            tooltip="stop at the last transaction that can be reached",
        ),
        Binding(
            "m,f8",
            "other_place",
            "Elsewhere",
            id="other_place",
            show=False,
            tooltip="into a container, or onto this machine",
        ),
        Binding("n,f9", "afresh", "New copy", id="afresh", tooltip="recover into a new place"),
        Binding("n,f9", "onward", "Go on", id="onward", tooltip="go on with the standing copy"),
        Binding("f5,ctrl+r", "look", "Check again", id="look", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._checked: Checked | None = None
        self._pause: Timer | None = None

    def body(self) -> ComposeResult:
        yield VerdictBlock()
        with Horizontal(classes="field"):
            yield Static("then", markup=False, classes="field-name")
            yield Choice(_ACTIONS, id="action")
        with Horizontal(classes="field", id="standing"):
            yield Static("go on with", markup=False, classes="field-name")
            yield Static("", markup=False, id="standing-copy")
        yield DestinationFields(self.session)
        yield Facts(id="checks")

    # What is.

    def enter(self) -> None:
        self._where.propose()
        self._arrange(self._standing)
        if isinstance(self.session.target, Latest):
            self.query_one("#action", Choice).offer(_ONLY_PROMOTE, TargetAction.PROMOTE.value)
        else:
            self.query_one("#action", Choice).offer(_ACTIONS, self.session.action.value)
        self.action_look()

    @property
    def _where(self) -> DestinationFields:
        return self.query_one(DestinationFields)

    @property
    def _standing(self) -> Standing | None:
        """The copy that is gone on with; None where a new one is made."""
        standing = self.session.standing
        whole = standing is not None and standing.is_whole
        return standing if whole and not self.session.afresh else None

    def action_look(self) -> None:
        """Look at the archive, make the plan anew and check it."""
        self._to_verdict()
        if way.run_is_going(self.session):
            self._show_verdict()
        else:
            self._checked = None
            self.read_wal()

    def _to_verdict(self) -> None:
        """It is what changes, and may be out of sight."""
        self.query_one(".step-body").scroll_home(animate=False)

    def _check(self) -> None:
        """Make the plan anew and check it, by what was seen in the archive last."""
        session = self.session
        if way.run_is_going(session):
            self._show_verdict()
            return
        self._checked = None
        way.forget_plan(session)
        now, standing = session.clock(), self._standing
        self._arrange(standing)
        try:
            where = self._where.where() if standing is None else None
        except PitrError as error:
            self._refuse(error)
            return

        def check(emit: object, cancel: object) -> Checked:
            if standing is not None:
                return check_onward(session, standing, now)
            assert where is not None  # noqa: S101 - read above
            return check_plan(session, where, now)

        self.run_job(check, on_done=self._take, on_failed=self._refuse, busy="checking")

    def _arrange(self, standing: Standing | None) -> None:
        """A new copy needs a place, and one that is there is named."""
        self._where.display = standing is None
        row = self.query_one("#standing")
        row.display = standing is not None
        if standing is not None:
            self._name_standing(stand_words(standing))

    def _name_standing(self, words: str) -> None:
        self.query_one("#standing-copy", Static).update(literal(words))

    def _take(self, checked: Checked) -> None:
        self._checked = checked
        self.session.plan, self.session.checks = checked.plan, checked.checks
        if checked.where is not None:
            self.session.destination = checked.where.place
        elif self._standing is not None:
            self._name_standing(stand_words(self._standing, checked.reached))
        worst_first = sorted(checked.checks, key=lambda check: ORDER.index(check.status))
        self.query_one("#checks", Facts).show([check_fact(check) for check in worst_first])
        self._show_verdict()

    def _refuse(self, error: PitrError) -> None:
        self._checked = None
        self.query_one("#checks", Facts).show([])
        self._show_verdict()
        self.show_problem(error)
        self.changed()

    # What can be done.

    def ready(self) -> str | None:
        if way.run_is_going(self.session):
            return None
        if self._checked is None:
            return "there is no plan that could be carried out"
        if self._checked.refused:
            return "a check failed"
        if self._is_there_already:
            return "it stands there already: choose a later target, or a new copy"
        return None

    def next_action(self) -> str:
        if self._where.in_use:
            return "check this"
        if way.run_is_going(self.session):
            return "see the running recovery"
        if self._checked is not None and self._is_there_already:
            return "choose a later target"
        if self._is_too_early:
            return "plan a new copy, into a new place; this one stays as it is"
        go = "start the recovery" if self._standing is None else "go on with this copy"
        return f"{go} (asks first)" if self.ready() is None else "check again"

    def proceed(self) -> None:
        session, checked = self.session, self._checked
        if way.run_is_going(session):
            super().proceed()
            return
        if self.at_work:
            return
        if self._is_too_early:
            self.action_afresh()
            return
        if checked is None or checked.refused:
            self.action_look()
            return
        if self._is_there_already:
            self.post_message(StepWanted(WizardStep.TARGET))
            return
        standing = self._standing

        def decided(sure: bool | None) -> None:
            if sure and self._checked is checked:
                session.plan, session.checks = checked.plan, checked.checks
                session.judgement = checked.judgement
                if standing is None:
                    way.begin_anew(session)
                else:
                    session.onward = checked.plan
                StepPane.proceed(self)

        self.app.push_screen(question(session, checked, standing), decided)

    def skip(self) -> None:
        self.proceed()  # nothing leads past the confirmation

    def action_edit(self) -> None:
        self._where.type()

    def action_other_place(self) -> None:
        """Propose a container in place of a directory of this machine, or the other way round."""
        self._where.propose_elsewhere()
        self._check()

    def action_onward(self) -> None:
        self.action_afresh()

    def action_afresh(self) -> None:
        """From the standing copy to a new one, and back."""
        self.session.afresh = not self.session.afresh
        self._where.propose()
        self._to_verdict()
        self._check()
        self.query_one(".step-body").focus()

    def action_details(self) -> None:
        """Show the plan as it will be done."""
        if self._checked is not None:
            self.app.push_screen(TextDialog("The plan", literal(self._checked.text)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys hold only while they mean something."""
        if action == "stop_there":
            return self._alternative is not None
        if action in ("afresh", "onward"):
            standing = self.session.standing
            can = standing is not None and standing.is_whole
            return can and self.session.afresh == (action == "onward")
        if action in ("edit", "other_place"):
            return self._standing is None
        return super().check_action(action, parameters)

    def switching(self) -> None:
        self._to_verdict()

    def wal_known(self) -> None:
        """More was read: what was asked for may be there now."""
        aimed_again(self.session)
        self._check()

    def wal_unreadable(self, error: PitrError) -> None:
        self._check()
        self.show_problem(error)

    def action_stop_there(self) -> None:
        """Be content with what can be reached."""
        session, alternative = self.session, self._alternative
        if alternative is not None and not way.run_is_going(session):
            session.aim, session.target = alternative, alternative.target
            self._to_verdict()
            self._check()

    @property
    def _alternative(self) -> Aim | None:
        return self._checked.judgement.alternative if self._checked is not None else None

    @on(Choice.Changed)
    def action_chosen(self, event: Choice.Changed) -> None:
        self.session.action = TargetAction(event.value)
        self._check()

    @property
    def _is_there_already(self) -> bool:
        standing, checked = self._standing, self._checked
        if standing is None or checked is None or self.session.secondary is None:
            return False
        return is_there_already(standing, checked.plan)

    @property
    def _is_too_early(self) -> bool:
        """Whether only a new copy gets to the target, because replay has passed it."""
        checked = self._checked
        return checked is not None and self._standing is not None and passed_by(checked)

    @on(Input.Changed)
    def typed(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(_TYPING_PAUSE, self._check)

    @on(Input.Submitted)
    def given(self) -> None:
        self._check()
        self.query_one(".step-body").focus()

    def on_descendant_focus(self) -> None:
        self.changed()

    # What is shown.

    def _show_verdict(self) -> None:
        block, checked = self.query_one(VerdictBlock), self._checked
        self.refresh_bindings()
        if way.run_is_going(self.session):
            block.tell("● this recovery is running", "$text-accent")
        elif checked is None:
            block.tell("● there is no plan yet", "$text-warning")
            block.sum_up([])
        else:
            if self._is_there_already:
                block.tell(THERE, "$text-success")
            else:
                block.judge(checked.judgement)
            block.offer(self._ways_out(checked))
            block.sum_up([*summary_of(checked.plan), *self._left_standing()])

    def _ways_out(self, checked: Checked) -> Iterator[tuple[str, str]]:
        """Keys for what else one can do, in words."""
        if self._alternative is not None:
            yield "u", "stop there"
        if checked.judgement.light is Light.AMBER and self.check_action("switch", ()):
            yield "s", "switch the WAL on the primary and look again"
        if self._standing is not None and (checked.refused or self._is_there_already):
            yield "n", "make a new copy; this one stays as it is"

    def _left_standing(self) -> list[Fact]:
        """The copy that is not gone on with, though it could be."""
        standing = self.session.standing
        if standing is None or self._standing is not None:
            return []
        return [Fact("stays as it is", stand_words(standing), "n goes on with it")]
