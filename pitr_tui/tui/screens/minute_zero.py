"""Minute zero in the wizard: a mark on a primary that lives, the WAL of one that is dead."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.errors import PitrError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery import minute_zero
from pitr_tui.recovery.collect import Collected
from pitr_tui.recovery.events import Status
from pitr_tui.recovery.minute_zero import Mark, MarkOrder
from pitr_tui.recovery.switching import switch_statements
from pitr_tui.servers.primary import Primary
from pitr_tui.tui import way
from pitr_tui.tui.reach import Place
from pitr_tui.tui.screens import collecting
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Moment, Session
from pitr_tui.tui.widgets.facts import Fact, Facts


class MinuteZero(StepPane):
    """The two keys of the first step for what should be done before anything else."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "m,f4",
            "mark",
            "Mark now",
            id="mark",
            tooltip="set a restore point on the primary now (asks first)",
        ),
        Binding(
            "c,f9",
            "rescue",
            "Collect",
            id="rescue",
            tooltip="make an archive with the WAL that the dead primary still has (asks first)",
        ),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._mark: Mark | None = None
        self._marked = 0  # the system identifier of the primary that was marked
        self._arrival = Fact("", "")
        self._rescued: tuple[Collected, Place] | None = None

    def dead_data_field(self) -> ComposeResult:
        """Where a dead primary's data directory is typed, and what was done at minute zero."""
        with Horizontal(classes="field", id="dead"):
            yield Static("its data", markup=False, classes="field-name")
            yield Input(placeholder="the data directory, if it is still there", id="dead-data")
        yield Facts(id="minute-zero", classes="gap-above")

    def show_minute_zero(self) -> None:
        """Draw what was done, and the field only where a directory is to be typed."""
        session = self.session
        down = session.primary_is_down and session.origin is None
        self.query_one("#dead").display = down
        field = self.query_one("#dead-data", Input)
        if down and session.dead_data is not None and not field.value:
            field.value = str(session.dead_data)
        done = self.query_one("#minute-zero", Facts)
        done.show(self._done())
        if done.display:
            self.call_after_refresh(done.scroll_visible, animate=False)
        self.refresh_bindings()

    def forget_minute_zero(self, system_identifier: int | None = None) -> None:
        """Another primary is chosen, unless it is the one that was marked."""
        if self._marked and self._marked == system_identifier:
            return
        self.session.marks.clear()
        self.session.dead_data = None
        self._mark = self._rescued = None
        self.query_one("#dead-data", Input).value = ""

    def go_without(self) -> None:
        """Take the primary for dead."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys hold only where they can do something."""
        session = self.session
        if action == "mark":
            return session.facts is not None and not session.facts.in_recovery
        if action == "rescue":
            contained = isinstance(session.origin, PostgresContainer)
            return session.primary_is_down and (session.origin is None or contained)
        return True

    def _done(self) -> list[Fact]:
        rows = []
        if self._mark is not None:
            at = f"{self._mark.time.astimezone(UTC):%H:%M:%S.%f} UTC, {self._mark.lsn}"
            rows += [Fact("restore point", self._mark.name, at, Status.OK), self._arrival]
        if self._rescued is not None:
            rows += collecting.collected_facts(*self._rescued)
        return rows

    # The primary lives.

    def action_mark(self) -> None:
        """Show exactly what would be run, and run it on a yes."""
        database = self.session.database
        if self.at_work or database is None:
            return
        primary = Primary(database)
        self.run_job(
            lambda emit, cancel: minute_zero.plan_mark(primary),
            on_done=lambda order: self._ask(primary, order),
            busy="looking where the primary is",
        )

    def _ask(self, primary: Primary, order: MarkOrder) -> None:
        clock = self.session.clock

        def decided(sure: bool | None) -> None:
            if sure:
                self.run_job(
                    lambda emit, cancel: minute_zero.set_mark(primary, order, clock),
                    on_done=lambda mark: self._take_mark(primary, order, mark),
                    busy="setting the mark",
                    cancel_hint="",
                )

        dialog = ConfirmDialog("Mark this moment on the primary?", mark_text(order), "Set it")
        self.app.push_screen(dialog, decided)

    def _take_mark(self, primary: Primary, order: MarkOrder, mark: Mark) -> None:
        self._mark, self._marked = mark, order.facts.system_identifier
        words = f"restore point {mark.name!r}, set here"
        self.session.marks.append(Moment(mark.time, words, mark.name))
        where = order.facts.version.wal_directory
        if order.not_archived:
            words = f"{order.not_archived}: the WAL stays in {where} only"
            self._arrival = Fact("", words, status=Status.WARNING)
            self.show_minute_zero()
            return
        segment = mark.segment.name
        self._arrival = Fact("", f"{segment} is on its way to the archive")
        self.show_minute_zero()

        def arrived(_: object) -> None:
            self._arrival = Fact("", f"{segment} is archived, says the primary", "", Status.OK)
            self.show_minute_zero()

        def late(error: PitrError) -> None:
            self._arrival = Fact("", f"{segment} is not archived yet", status=Status.WARNING)
            self.show_minute_zero()
            self.show_problem(error)

        self.run_job(
            lambda emit, cancel: minute_zero.wait_until_archived(primary, mark, cancel),
            on_done=arrived,
            on_failed=late,
            busy=f"waiting until {segment} is archived",
        )

    # The primary is dead.

    @on(Input.Changed, "#dead-data")
    def data_typed(self, event: Input.Changed) -> None:
        """A path that is being typed is believed once there is something."""
        text = event.value.strip()
        self.session.dead_data = Path(text) if Path(text).is_absolute() else None

    @on(Input.Submitted, "#dead-data")
    def data_given(self, event: Input.Submitted) -> None:
        """Enter in the field collects; without a directory it leads back to the list."""
        event.stop()
        text = event.value.strip()
        if text and self.session.dead_data is None:
            self.show_problem(PitrError("the data directory has to be an absolute path", text))
        elif text:
            self.action_rescue()
        else:
            self.query_one("#servers").focus()

    def action_rescue(self) -> None:
        """Ask, then collect what the dead primary has, beside the archive that is known."""
        session = self.session
        if self.at_work:
            return
        if not session.primary_is_down:
            self.go_without()
        if not collecting.can_collect(session):
            self.query_one("#dead-data").focus()
            if session.dead_data is not None:
                self.show_problem(
                    PitrError(
                        f"there is no data directory {session.dead_data} on this machine",
                        "what the dead primary had is collected from there",
                        "type where it, or a whole copy of it, lies",
                    )
                )
            return
        place = collecting.new_place(session)

        def done(found: Collected) -> None:
            self._rescued, session.collected = (found, place), place
            way.use_archive(session, place)
            self.show_minute_zero()
            self.query_one("#servers").focus()

        collecting.ask_and_collect(self, place, done)


def switch_text(version: PostgresVersion) -> str:
    """The same before the primary's segment is finished, so that what is in it can be read."""
    return (
        "This is run on the primary, with eight new hex digits in place of …:\n\n  "
        + ";\n  ".join(switch_statements(version, "pitr_switch_…"))
        + ";\n\nIt writes to the WAL alone. No data and no setting is changed. Then pitr waits "
        "until the segment is in the archive, reads it and looks again."
    )


def mark_text(order: MarkOrder) -> str:
    """What a person should read before saying yes: where it is, and the very statements."""
    now = order.position
    kept = "Then pitr waits until the segment with it is archived."
    if order.not_archived:
        where = order.facts.version.wal_directory
        kept = f"{order.not_archived}: the WAL stays in {where} only, until it is recycled there."
    return (
        f"The primary is at {now.lsn} on timeline {int(now.segment.timeline)}, "
        f"{now.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC. This is run on it:\n\n  "
        + ";\n  ".join(order.statements)
        + f";\n\nIt writes to the WAL alone: a name for this moment, an empty transaction behind "
        f"it, and the end of the segment. No data and no setting is changed. {kept}"
    )
