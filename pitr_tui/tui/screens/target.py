"""Step 4: where the recovery stops, chosen from a list or typed, and told back in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import (
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
    TargetAction,
    require_known_by,
)
from pitr_tui.recovery.events import Status
from pitr_tui.repositories.backups import Backup
from pitr_tui.tui import way
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.screens import aim
from pitr_tui.tui.screens.catalogue import Catalogue, doubt_about, open_catalogue
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.choice import Choice
from pitr_tui.tui.widgets.facts import Fact, Facts

_SIDES = (("after", "just after it"), ("before", "just before it"))
_ACTIONS = (
    (TargetAction.PAUSE.value, "pause there, so that I can look"),
    (TargetAction.PROMOTE.value, "promote"),
    (TargetAction.SHUTDOWN.value, "shut down"),
)
_ONLY_PROMOTE = ((TargetAction.PROMOTE.value, "promote (the end of the WAL always does)"),)


class TargetInput(Input):
    """A field in which up and down move in the list above it."""

    @dataclass
    class Moved(Message):
        """One kind up or down."""

        by: int

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move_kind(-1)", "Kind above", show=False),
        Binding("down", "move_kind(1)", "Kind", key_display="↑↓", tooltip="another kind of target"),
    ]

    def action_move_kind(self, by: int) -> None:
        self.post_message(self.Moved(by))


class TargetPane(StepPane):
    """A list of ways to name the target, a field that answers while one types, two choices."""

    step = WizardStep.TARGET
    first_focus = "#value"
    help_text = """
PostgreSQL replays the WAL and stops at the recovery target (recovery_target_time, _xid,
_lsn, _name, or recovery_target = immediate). Transactions that committed before it are
there, those that committed after it are not. "just before" and "just after" set
recovery_target_inclusive.

A time is compared with the commit times in the WAL, by the primary's clock. Write it with
its zone; without one the server's zone counts, which the screen names. 14:35 means today.
The server needs a later transaction in the archive to know that it has reached a time.

A backup can only reach what lies after its own end. The newest backup before the target
is chosen by itself, because it needs the least replay.

At the target: "pause" keeps the secondary readable and still in recovery, so that you can
look and, if it was too early, go further. "promote" opens it for writing on a new
timeline. recovery_target_action is the setting.

Without the screen: pitr restore --target-time … | --target-xid … | --target-lsn … |
--target-name … | --immediate | --latest   [--exclusive] [--action pause]
"""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._kind = "time"
        self._texts: dict[str, str] = {}
        self._catalogue: Catalogue | None = None
        self._wrong: PitrError | None = None
        self._complete = False

    def body(self) -> ComposeResult:
        yield Static("", markup=False, classes="question", id="headline")
        yield OptionList(id="kinds")
        with Horizontal(classes="field gap-above", id="field-row"):
            yield Static("", markup=False, classes="field-name", id="field-name")
            yield TargetInput(id="value")
        with Horizontal(classes="field", id="side-row"):
            yield Static("stop", markup=False, classes="field-name")
            yield Choice(_SIDES, id="side")
        with Horizontal(classes="field"):
            yield Static("then", markup=False, classes="field-name")
            yield Choice(_ACTIONS, id="action")
        yield Facts(id="echo", classes="gap-above")

    # What is.

    def on_mount(self) -> None:
        listing = self.query_one("#kinds", OptionList)
        story = self.session.story
        zone, _ = self._zone()
        for number, moment in enumerate(story.moments if story else ()):
            row = assemble(
                (f"{moment.time.astimezone(zone):%H:%M:%S.%f}", "bold"), "  ", moment.what
            )
            listing.add_option(Option(row, id=f"moment-{number}"))
        listing.add_options([Option(literal(words), id=kind) for kind, words in aim.KINDS.items()])
        listing.highlighted = 0
        self.query_one("#action", Choice).offer(_ACTIONS, self.session.action.value)

    def enter(self) -> None:
        _, name = self._zone()
        owner = "the server's zone" if self.session.facts is not None else "no server to ask"
        self.query_one("#headline", Static).update(
            assemble(
                "Where shall it stop?   ",
                (f"times are in {name}, {owner}", "not bold $foreground-muted"),
            )
        )
        self._judge()
        session = self.session
        place, archive = session.backup_directory, session.archive_directory
        if place is not None:
            self.run_job(
                lambda emit, cancel: open_catalogue(session.reach, place, archive),
                on_done=self._take,
                group="catalogue",
            )

    def _take(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._judge()

    def _zone(self) -> tuple[tzinfo, str]:
        facts = self.session.facts
        return aim.server_zone(facts.time_zone if facts else None)

    def _usable(self) -> list[Backup]:
        if self._catalogue is None:
            return [self.session.backup] if self.session.backup else []
        facts = self.session.facts
        system = facts.system_identifier if facts else None
        return [
            one
            for one in self._catalogue.usable
            if not doubt_about(one, self._catalogue.listing, system)
        ]

    # What the person does.

    @on(OptionList.OptionHighlighted, "#kinds")
    def kind_chosen(self, event: OptionList.OptionHighlighted) -> None:
        """Show the field of this kind, with what was typed for it before."""
        option = event.option_id or "time"
        story = self.session.story
        if option.startswith("moment-") and story is not None:
            zone, _ = self._zone()
            moment = story.moments[int(option.removeprefix("moment-"))].time
            self._kind = "time"
            self._texts["time"] = moment.astimezone(zone).isoformat(sep=" ")
            self.query_one("#side", Choice).offer(_SIDES, "after")
        else:
            if option != self._kind:
                side = "before" if option in ("xid", "lsn") else "after"
                self.query_one("#side", Choice).offer(_SIDES, side)
            self._kind = option
        field = self.query_one("#value", Input)
        with self.prevent(Input.Changed):
            field.value = self._texts.get(self._kind, "")
        field.placeholder = aim.EXAMPLES.get(self._kind, "")
        self.query_one("#field-name", Static).update(
            {"time": "time", "xid": "transaction", "lsn": "WAL position"}.get(self._kind, "name")
        )
        was_here = field.has_focus or self.query_one("#kinds").has_focus
        self.query_one("#field-row").display = self._kind in aim.EXAMPLES
        self.query_one("#side-row").display = self._kind in aim.HAS_SIDES
        if was_here:
            self.take_focus()
        self._judge()

    @on(OptionList.OptionSelected, "#kinds")
    def kind_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click: on with it when it is complete, else to the field."""
        event.stop()
        if self._complete and self.query_one("#kinds").has_focus:
            self.proceed()
        else:
            self.take_focus()

    @on(Input.Changed, "#value")
    def typed(self, event: Input.Changed) -> None:
        self._texts[self._kind] = event.value
        self._judge()

    @on(Input.Submitted, "#value")
    def given(self) -> None:
        self.proceed()

    @on(Choice.Changed)
    def choice_changed(self, event: Choice.Changed) -> None:
        if event.choice.id == "action":
            self.session.action = TargetAction(event.value)
            way.forget_plan(self.session)
        self._judge()

    def on_descendant_focus(self) -> None:
        self.changed()

    def take_focus(self) -> None:
        """To the field, where one can type at once; the arrows choose from the list anyway."""
        self.query_one("#value" if self._kind in aim.EXAMPLES else "#kinds").focus()

    @on(TargetInput.Moved)
    def kind_moved(self, event: TargetInput.Moved) -> None:
        """Move in the list while the field has the focus."""
        listing = self.query_one("#kinds", OptionList)
        if listing.highlighted is not None:
            listing.highlighted = (listing.highlighted + event.by) % listing.option_count

    # What follows from it.

    def ready(self) -> str | None:
        if self._complete:
            return None
        return self._wrong.what if self._wrong is not None else "the target is not complete"

    def next_action(self) -> str:
        if self._complete:
            return "check whether that can be reached"
        if self.query_one("#value", Input).has_focus:
            return "" if self._texts.get(self._kind) else "type the target"
        return "type it" if self._kind in aim.EXAMPLES else ""

    def proceed(self) -> None:
        if not self._complete and self._wrong is not None:
            self.show_problem(self._wrong)
            return
        self._pin_time()
        super().proceed()

    def skip(self) -> None:
        self._pin_time()
        super().skip()

    def _pin_time(self) -> None:
        """Write the moment out in full: "10 min ago" would be another one at the next look."""
        target = self.session.target
        if self._complete and isinstance(target, AtTime):
            zone, _ = self._zone()
            self._texts["time"] = target.time.astimezone(zone).isoformat(sep=" ")
            with self.prevent(Input.Changed):
                self.query_one("#value", Input).value = self._texts["time"]

    def _judge(self) -> None:
        """Read the field, write the target into the session if it is whole, and tell it back."""
        session = self.session
        zone, _ = self._zone()
        now = session.clock()
        inclusive = self.query_one("#side", Choice).value == "after"
        text = self._texts.get(self._kind, "")
        self._wrong, target = None, None
        self.show_problem(None)
        rows: list[Fact] = []
        if self._kind not in aim.EXAMPLES or text.strip():
            try:
                target = aim.read_target(self._kind, text, inclusive, zone, now)
                if session.backup is not None:
                    require_known_by(target, session.backup.version)
            except PitrError as error:
                self._wrong, target = error, None
                words = f"{error.what}: {error.why}" if error.why else error.what
                rows = [Fact("", words, error.hint, Status.WARNING)]
        self._offer_actions(target)
        self._complete = False
        if target is not None:
            rows = self._echo(target, zone, now)
        if self._complete and target is not None:
            self._set(target)
        else:
            session.passed.discard(WizardStep.TARGET)
        self.query_one("#echo", Facts).show(rows)
        self.changed()

    def _offer_actions(self, target: RecoveryTarget | None) -> None:
        choice = self.query_one("#action", Choice)
        if isinstance(target, Latest):
            choice.offer(_ONLY_PROMOTE, TargetAction.PROMOTE.value)
        else:
            choice.offer(_ACTIONS, self.session.action.value)

    def _set(self, target: RecoveryTarget) -> None:
        if target != self.session.target:
            self.session.target = target
            way.forget_plan(self.session)

    def _echo(self, target: RecoveryTarget, zone: tzinfo, now: datetime) -> list[Fact]:
        rows: list[Fact] = []
        future = isinstance(target, AtTime) and target.time > now
        if isinstance(target, AtTime):
            far = aim.distance(target.time, now)
            utc = f"{target.time.astimezone(UTC):%a %d %b %Y  %H:%M:%S.%f} UTC"
            rows.append(Fact("that is", utc, far, Status.FAILURE if future else None))
            if zone is not UTC:
                local = f"{target.time.astimezone(zone):%a %d %b %Y  %H:%M:%S.%f %z}"
                rows.append(Fact("", local, self._zone()[1]))
            if future:
                self._wrong = PitrError(
                    "the target lies in the future",
                    far,
                    "are day and month, or the time zone, as you mean them?",
                )
        keep, lose = aim.keep_and_lose(target, zone)
        rows += [Fact("keep", keep), Fact("lose", lose)]
        backup = self._fitting_backup(target)
        rows.append(self._backup_fact(backup, target, zone))
        self._complete = backup is not None and not future
        return rows

    def _fitting_backup(self, target: RecoveryTarget) -> Backup | None:
        """The backup of step 3 while it can reach the target, else the newest that can."""
        session = self.session
        usable = self._usable()
        newest = usable[-1] if usable else None
        chosen = session.backup
        if chosen is not None and aim.reaches(chosen, target):
            by_hand = newest is not None and chosen.path != newest.path
            if by_hand or isinstance(target, Immediate | AtXid) or newest is None:
                return chosen
        best = aim.newest_before(usable, target)
        if best is not None and best != chosen:
            session.backup = best
            way.forget_plan(session)
        return best

    def _backup_fact(self, backup: Backup | None, target: RecoveryTarget, zone: tzinfo) -> Fact:
        if backup is None:
            usable = self._usable()
            ends = [end for end in map(aim.ended_at, usable) if end is not None]
            words = "the target lies before the end of every usable backup"
            if ends:
                words += f"; the oldest ended at {min(ends).astimezone(zone):%Y-%m-%d %H:%M:%S %z}"
            self._wrong = PitrError(words, "", "choose a later target, or find an older backup")
            return Fact("backup", words, status=Status.FAILURE)
        ended = aim.ended_at(backup)
        when = f"ended {ended.astimezone(zone):%Y-%m-%d %H:%M:%S %z}" if ended else "end unknown"
        if isinstance(target, AtTime) and ended is not None:
            when += f", {aim.distance(ended, target.time).removesuffix(' ago')} before the target"
        return Fact("backup", backup.name, when, Status.OK)
