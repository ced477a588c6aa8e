"""Step 5: the plan with its checks, and the confirmation that starts it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widgets import Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import Latest, TargetAction
from pitr_tui.recovery import archiving
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.preflight import preflight
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.installation import installation_for
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.primary import Primary
from pitr_tui.tui import way
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.screens.dialogs import ConfirmDialog, TextDialog
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.facts import Fact, Facts, check_fact
from pitr_tui.wording import count_text

_TYPING_PAUSE = 0.4
_HIGHEST_PORT = 65535
_ORDER = (Status.FAILURE, Status.WARNING, Status.OK)
_THEN = {
    TargetAction.PAUSE: "pause there, readable, until you decide",
    TargetAction.PROMOTE: "open for writing on a new timeline",
    TargetAction.SHUTDOWN: "shut down",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A plan with what its checks found, and its text."""

    plan: RecoveryPlan
    checks: tuple[CheckDone, ...]
    text: str

    @property
    def worst(self) -> Status:
        found = {check.status for check in self.checks}
        return next(status for status in _ORDER if status in found)


def check_plan(session: Session, destination: Path, port: int | None, now: datetime) -> Checked:
    """Make the plan of a session and check it. Reads disks; raises PitrError without a plan."""
    backup, archive = session.backup, session.archive_directory
    if backup is None or archive is None:
        raise PitrError("there is no plan yet", "a backup and an archive have to be chosen first")
    latest = isinstance(session.target, Latest)
    plan = RecoveryPlan(
        backup=backup,
        archive=WalArchive(archive),
        destination=destination,
        target=session.target,
        action=TargetAction.PROMOTE if latest else session.action,
        installation=installation_for(backup.version),
        user=server_user(),
        port=port,
    )
    return Checked(plan, preflight(plan, now), plan.render())


class PlanPane(StepPane):
    """Where to, the checklist with one verdict above it, the plan's text, and the yes."""

    step = WizardStep.PLAN
    first_focus = ".step-body"
    help_text = """
The recovery makes a secondary: a new PostgreSQL server in a new directory, from a copy of
the backup. The primary, the backup and the archive are only read.

The checks say whether the target can be reached: the space, the programs of the backup's
major version, the timeline, the chain of WAL segments, the end of the backup, the target
itself. ✗ refuses the start; ! says what is not known or what to look at.

The secondary cannot harm anybody: archive_mode is off, no primary_conninfo, no logical
replication workers, its own socket, and a TCP port only if you name one (127.0.0.1).

"s" finishes the segment that the primary is writing and waits for it in the archive: do
that when the target is younger than the last archived segment.

"d" shows the plan: every file that will be written, with its text, and every command. What
it shows is what the run does. From version 12 on the settings go into
postgresql.auto.conf beside recovery.signal, before that into recovery.conf.

Without the screen: pitr restore … --dry-run
"""
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
        Binding(
            "s,f7",
            "switch",
            "Switch WAL",
            id="switch",
            tooltip="finish the primary's segment, wait until it is archived, check again",
        ),
        Binding("f5,ctrl+r", "look", "Check again", id="look", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._checked: Checked | None = None
        self._pause: Timer | None = None
        self._proposed = ""

    def body(self) -> ComposeResult:
        yield Static("", markup=False, classes="verdict", id="verdict")
        yield Facts(id="summary")
        with Horizontal(classes="field"):
            yield Static("recover into", markup=False, classes="field-name")
            yield Input(placeholder="a directory that does not exist yet", id="destination")
        with Horizontal(classes="field"):
            yield Static("port", markup=False, classes="field-name")
            yield Input(placeholder="none: reachable by its socket only", id="port")
        yield Facts(id="checks")

    # What is.

    def enter(self) -> None:
        field = self.query_one("#destination", Input)
        if field.value == self._proposed:
            self._proposed = str(self._proposal())
            with self.prevent(Input.Changed):
                field.value = self._proposed
        self.action_look()

    def _proposal(self) -> Path:
        """A new directory beside the backups; what was proposed before is kept while unused."""
        for known in (self.session.destination, Path(self._proposed or "/")):
            if known is not None and not known.exists():
                return known
        near = self.session.backup_directory or Path.home()
        return near.parent / f"recovered-{self.session.clock():%Y%m%d-%H%M%S}"

    def action_look(self) -> None:
        """Make the plan anew and check it."""
        session = self.session
        if way.run_is_going(session):
            self._show_verdict()
            return
        self._checked = None
        way.forget_plan(session)
        try:
            destination, port = self._given()
        except PitrError as error:
            self._refuse(error)
            return
        now = session.clock()
        self.run_job(
            lambda emit, cancel: check_plan(session, destination, port, now),
            on_done=self._take,
            on_failed=self._refuse,
            busy="checking",
        )

    def _given(self) -> tuple[Path, int | None]:
        text = self.query_one("#destination", Input).value.strip()
        destination = Path(text).expanduser()
        if not text or not destination.is_absolute():
            raise PitrError("the destination has to be an absolute path", text or "it is empty")
        port = self.query_one("#port", Input).value.strip()
        if not port:
            return destination, None
        if not port.isascii() or not port.isdigit() or not 0 < int(port) <= _HIGHEST_PORT:
            raise PitrError(
                f"{port!r} is not a port", "", f"1 to {_HIGHEST_PORT}, or nothing for no TCP at all"
            )
        return destination, int(port)

    def _take(self, checked: Checked) -> None:
        self._checked = checked
        self.session.plan, self.session.checks = checked.plan, checked.checks
        self.session.destination = checked.plan.destination
        worst_first = sorted(checked.checks, key=lambda check: _ORDER.index(check.status))
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
        if self._checked.worst is Status.FAILURE:
            return "a check failed"
        return None

    def next_action(self) -> str:
        focused = self.screen.focused
        if focused is not None and focused.id in ("destination", "port"):
            return "check this"
        if way.run_is_going(self.session):
            return "see the running recovery"
        return "start the recovery (asks first)" if self.ready() is None else "check again"

    def proceed(self) -> None:
        session, checked = self.session, self._checked
        if way.run_is_going(session):
            super().proceed()
            return
        if self.at_work:
            return
        if checked is None or checked.worst is Status.FAILURE:
            self.action_look()
            return
        text = [
            "A secondary is made in a new directory:",
            f"  {checked.plan.destination}",
            "",
            *(f"{fact.name:<12}{fact.value}" for fact in _summary(checked.plan)),
            "",
            "The primary, the backup and the archive are only read.",
        ]
        if session.run is not None and session.run.finished is not None:
            text += ["", "The secondary of the recovery before this one is left as it is."]

        def decided(sure: bool | None) -> None:
            if sure and self._checked is checked:
                session.plan, session.checks = checked.plan, checked.checks
                session.run = session.secondary = None
                StepPane.proceed(self)

        self.app.push_screen(
            ConfirmDialog("Start the recovery?", "\n".join(text), "Start"), decided
        )

    def skip(self) -> None:
        self.proceed()  # nothing leads past the confirmation

    def action_edit(self) -> None:
        self.query_one("#destination").focus()

    def action_details(self) -> None:
        """Show the plan as it will be done."""
        if self._checked is not None:
            self.app.push_screen(TextDialog("The plan", literal(self._checked.text)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Switching the WAL needs the primary, and a target that is not known to be archived."""
        return action != "switch" or self._archiving_primary() is not None

    def action_switch(self) -> None:
        """Bring what the primary has written last into the archive, and check again."""
        session, primary = self.session, self._archiving_primary()
        directory = session.archive_directory
        if primary is None or directory is None or self.at_work:
            return
        self.run_job(
            lambda emit, cancel: archiving.prove(primary, directory, cancel),
            on_done=lambda _: self.action_look(),
            busy="finishing a segment and waiting for it in the archive",
        )

    def _archiving_primary(self) -> Primary | None:
        session = self.session
        if session.database is None or session.primary_is_down or session.facts is None:
            return None
        return None if session.facts.in_recovery else Primary(session.database)

    @on(Input.Changed)
    def typed(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(_TYPING_PAUSE, self.action_look)

    @on(Input.Submitted)
    def given(self) -> None:
        self.action_look()
        self.query_one(".step-body").focus()

    def on_descendant_focus(self) -> None:
        self.changed()

    # What is shown.

    def _show_verdict(self) -> None:
        verdict = self.query_one("#verdict", Static)
        summary = self.query_one("#summary", Facts)
        checked = self._checked
        if way.run_is_going(self.session):
            verdict.update(literal("● this recovery is running", "$text-accent"))
            return
        if checked is None:
            verdict.update(literal("● there is no plan yet", "$text-warning"))
            summary.show([])
            return
        named = [check.name for check in checked.checks if check.status is checked.worst]
        words = {
            Status.OK: ("● can go on", "$text-success"),
            Status.WARNING: (f"● go on, with {count_text(len(named), 'warning')}", "$text-warning"),
            Status.FAILURE: (f"● refused: {', '.join(named)}", "$text-error"),
        }
        verdict.update(assemble("Can we get there?   ", words[checked.worst]))
        summary.show(_summary(checked.plan))


def _summary(plan: RecoveryPlan) -> list[Fact]:
    """What goes in, where it stops and what comes then."""
    return [
        Fact("backup", plan.backup.name, f"PostgreSQL {plan.backup.version.major}"),
        Fact("WAL archive", str(plan.archive.directory)),
        Fact("stop", str(plan.target)),
        Fact("then", _THEN[plan.action]),
    ]
