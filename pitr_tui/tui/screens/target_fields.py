"""The two fields of the target step: what somebody types who knows, and the filter of the list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, tzinfo

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.postgres.moment import doubts_about
from pitr_tui.postgres.target import AtTime, RecoveryTarget, require_known_by
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.tui.literal import lines, literal
from pitr_tui.tui.screens import aim
from pitr_tui.tui.screens.zones import Zone
from pitr_tui.tui.wanted import AtEnd, Wanted
from pitr_tui.tui.widgets.row_filter import EXAMPLES, RowFilter, read_filter
from pitr_tui.wal.chronicle import Chronicle


class TargetField(Vertical):
    """Takes a time, a transaction, a position or a name, and says how it was understood.

    `wrong` tells why it was not.
    """

    def __init__(self) -> None:
        super().__init__(classes="target-field")
        self.wrong: PitrError | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(classes="field"):
            yield Static("stop at", markup=False, classes="field-name")
            yield Input(placeholder=aim.EXAMPLES, id="value")
        yield Static("", markup=False, classes="echo", id="echo")

    def on_mount(self) -> None:
        self.query_one("#echo").display = False

    @property
    def text(self) -> str:
        return self.query_one(Input).value

    @property
    def in_use(self) -> bool:
        return self.query_one(Input).has_focus

    def type(self) -> None:
        self.query_one(Input).focus()

    def read(
        self,
        zone: tzinfo,
        now: datetime,
        story: Chronicle | None,
        version: PostgresVersion | None,
    ) -> RecoveryTarget | None:
        """What is typed; None when it makes no sense, for the reason that `wrong` then has."""
        names: Collection[str] = ()
        if story is not None:
            names = {one.name for one in story.marks if one.name}
        try:
            typed = aim.read_target(self.text, zone, now, names)
            typed.require_in(story)
            if version is not None:
                require_known_by(typed.target, version)
        except PitrError as error:
            self.wrong = error
            return None
        self.wrong = None
        return typed.target

    def forget(self) -> None:
        """Empty it; nobody is told."""
        self.wrong = None
        self._put("")

    def pin(self, wanted: Wanted | None, zone: tzinfo) -> None:
        """Write a moment out in full: "10 min ago" would be another one at the next look."""
        if self.text.strip() and isinstance(wanted, AtTime):
            side = "" if wanted.inclusive else "before "
            self._put(side + wanted.time.astimezone(zone).isoformat(sep=" "))

    def echo(self, wanted: Wanted | None, zones: Sequence[Zone], now: datetime) -> None:
        """Say how it was understood, and what makes one doubt that; or why it was not."""
        echo = self.query_one("#echo", Static)
        echo.display = bool(self.text.strip())
        if self.wrong is not None:
            why = ". ".join(filter(None, (self.wrong.what, self.wrong.why, self.wrong.hint)))
            echo.update(literal(f"! {why}", "$text-warning"))
        elif wanted is not None and not isinstance(wanted, AtEnd):
            rows = [literal(f"= {aim.echo(wanted, zones, now)}", "$text-muted")]
            if isinstance(wanted, AtTime):
                doubts = doubts_about(self.text, wanted.time, now)
                rows += [literal(f"! {one}", "$text-warning") for one in doubts]
            echo.update(lines(*rows))

    def _put(self, text: str) -> None:
        field = self.query_one(Input)
        if field.value != text:
            with self.prevent(Input.Changed):
                field.value = text


class FilterField(Horizontal):
    """Takes what the rows of the list have to have; it shows while there is something in it."""

    def __init__(self) -> None:
        super().__init__(classes="field", id="filter-row")

    def compose(self) -> ComposeResult:
        yield Static("filter", markup=False, classes="field-name")
        yield Input(placeholder=EXAMPLES, id="filter")

    def on_mount(self) -> None:
        self.display = False

    @property
    def text(self) -> str:
        return self.query_one(Input).value.strip()

    @property
    def in_use(self) -> bool:
        return self.query_one(Input).has_focus

    def type(self) -> None:
        self.display = True
        self.query_one(Input).focus()

    def read(self, zone: tzinfo, day: datetime) -> RowFilter:
        """What is typed; a clock time is one of that day. Raises UsageError."""
        return read_filter(self.query_one(Input).value, zone, day)

    def forget(self) -> None:
        """Empty and hide it; nobody is told."""
        with self.prevent(Input.Changed):
            self.query_one(Input).value = ""
        self.display = False
