"""Step 4: where to stop. What happened as a picture and as a list, the cut, what it costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.postgres.target import AtTime
from pitr_tui.postgres.timestamp import from_moment, moment
from pitr_tui.repositories.backups import Backup
from pitr_tui.tui import way
from pitr_tui.tui.screens import reading
from pitr_tui.tui.screens.catalogue import Catalogue, open_catalogue
from pitr_tui.tui.screens.choose_backup import ChooseBackupDialog
from pitr_tui.tui.screens.decision import Decision, Ground, Sure, decide, ground_of
from pitr_tui.tui.screens.dialogs import TextDialog
from pitr_tui.tui.screens.target_fields import FilterField, TargetField
from pitr_tui.tui.screens.target_words import headline, panel, stop_words
from pitr_tui.tui.screens.transaction_look import entry_content, pick_content
from pitr_tui.tui.screens.wal_pane import WalPane
from pitr_tui.tui.screens.zones import Zone, choices, my_zone
from pitr_tui.tui.session import Moment, Session, WizardStep
from pitr_tui.tui.wanted import Wanted, aim_of, other_side, wanted_at_cut
from pitr_tui.tui.widgets.cut_panel import CutPanel
from pitr_tui.tui.widgets.moment_rows import WIDE, Clock, unread
from pitr_tui.tui.widgets.moments import MomentList
from pitr_tui.tui.widgets.row_filter import EXAMPLES as FILTERS
from pitr_tui.tui.widgets.row_filter import RowFilter
from pitr_tui.tui.widgets.timeline import Picture, TimelineView
from pitr_tui.tui.widgets.virtual_list import VirtualList


class TargetPane(WalPane):
    """The timeline, the list below it, what one keeps and loses, and a field for those who know."""

    step = WizardStep.TARGET
    first_focus = "#moments"
    scrolls = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t,f2", "type", "Type", id="type", tooltip="type a time, xid, LSN or name"),
        Binding("a,f6", "after", "After", id="after", tooltip="stop just after it, or before"),
        Binding("v,f7", "view", "All", id="view", tooltip="every transaction, or the suspects"),
        Binding("f,slash,f8", "filter", "Filter", id="filter", key_display="f", tooltip=FILTERS),
        Binding("i,f9", "details", "Facts", id="details", tooltip="what the transaction did"),
        Binding("b,f3", "backups", "Backups", id="backups", tooltip="choose another backup"),
        Binding("z,f10", "zone", "Zone", id="zone", show=False, tooltip="times in another zone"),
        Binding(
            "o,f11",
            "older",
            "Older WAL",
            id="older",
            show=False,
            tooltip="read from an older backup",
        ),
        Binding(
            "c,f12", "branch", "Branch", id="branch", show=False, tooltip="follow another timeline"
        ),
        Binding("f5,ctrl+r", "look", "Read again", id="look", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._wanted: Wanted | None = None
        self._decision: Decision | None = None
        self._catalogue: Catalogue | None = None
        self._zone_number = 0
        self._forgotten = session.story_of_wal.forgotten
        self._backup_given = False  # by the step before this one
        self._touched = False  # until the person picks something, it is what the list begins with

    def body(self) -> ComposeResult:
        yield Static("", markup=False, classes="question", id="headline")
        yield TimelineView(id="timeline")
        yield Static("", markup=False, classes="list-head", id="list-head")
        yield MomentList(id="moments")
        yield CutPanel(id="panel")
        yield TargetField()
        yield FilterField()

    # What is.

    def enter(self) -> None:
        session = self.session
        if self.wal.forgotten != self._forgotten:  # another archive was chosen
            self._forgotten = self.wal.forgotten
            self._forget_text()
            self._touched, self._wanted, self._decision = False, None, None
        chosen = session.aim
        if chosen is not None and (self._decision is None or chosen != self._decision.aim):
            self._forget_text()  # it was chosen at another step
            self._touched, self._wanted = True, chosen.asked
        self._backup_given = self._decision is None or session.backup != self._decision.backup
        self._draw()
        self.read_wal()

    def action_look(self) -> None:
        """Look at the archive and read it again."""
        self.read_wal(again=True)

    def wal_told(self) -> None:
        self._draw()

    def wal_unreadable(self, error: PitrError) -> None:
        """Where the archive tells nothing the backups alone may still do."""
        super().wal_unreadable(error)
        session, place = self.session, self.session.backup_directory
        if self.wal.surveyed is None and place is not None:
            self.run_job(
                lambda emit, cancel: open_catalogue(session.reach, place, None),
                on_done=self._take_catalogue,
                on_failed=lambda _: None,
                group="catalogue",
            )

    def _take_catalogue(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._draw()

    @property
    def _zones(self) -> tuple[Zone, ...]:
        now, facts = self.session.clock(), self.session.facts
        return choices(facts.time_zone if facts else None, my_zone(now), now)

    @property
    def _zone(self) -> Zone:
        zones = self._zones
        return zones[self._zone_number % len(zones)]

    @property
    def _noted(self) -> list[Moment]:
        story = self.session.story
        return [*(story.moments if story else ()), *self.session.marks]

    @property
    def _clock(self) -> Clock:
        noted = [from_moment(one.time) for one in self._noted]
        return Clock.of(self.wal.chronicle, self._zone.zone, noted)

    @property
    def _ground(self) -> Ground:
        found = self._catalogue.usable if self._catalogue is not None else ()
        return ground_of(self.session, found)

    @property
    def _field(self) -> TargetField:
        return self.query_one(TargetField)

    @property
    def _filter(self) -> FilterField:
        return self.query_one(FilterField)

    # What the person does.

    @on(VirtualList.Moved)
    def moved_in_list(self, event: VirtualList.Moved) -> None:
        if self._field.in_use:  # a move from before must not take away what was typed since
            return
        self._touched = True
        self._forget_text()
        self._wanted = self.query_one(MomentList).wanted_at(event.row)
        self._decide()

    @on(VirtualList.Pressed)
    def pressed(self) -> None:
        self.proceed()

    @on(TimelineView.CutMoved)
    def moved_in_timeline(self, event: TimelineView.CutMoved) -> None:
        self._touched = True
        if self.wal.chronicle is None or self._field.in_use:
            return
        self._forget_text()
        self._wanted = wanted_at_cut(self.wal.chronicle, event.cut)
        self._decide(from_timeline=True)
        self._put_cursor()

    def action_after(self) -> None:
        """From just before it to just after it, and back."""
        other = other_side(self._wanted)
        if other is not None:
            self._touched, self._wanted = True, other
            self._decide()

    def action_view(self) -> None:
        """All transactions, or those worth a look; the cut stays."""
        rows = self.query_one(MomentList)
        if self.wal.chronicle is not None:
            rows.everything = not rows.everything
            self._arrange()
            rows.focus()

    def action_zone(self) -> None:
        """The next zone, where there is one that shows other times."""
        if len(self._zones) < 2:
            hint = "a time can be typed with another zone behind it: 14:35 Europe/Berlin"
            words = f"there is no other zone than {self._zone.name} to show times in"
            self.show_problem(PitrError(words, "the server's is this machine's, too", hint))
            return
        self._zone_number += 1
        if self._field.text:
            self._read_text()
        self._draw()

    def action_type(self) -> None:
        self._field.type()

    def action_filter(self) -> None:
        self._filter.type()

    def action_details(self) -> None:
        """All that is known of the row, or of the transaction behind the cut."""
        rows, story, decision = self.query_one(MomentList), self.wal.chronicle, self._decision
        entry, one = rows.entry_here(), rows.pick_here()
        if rows.cursor is None and story is not None and decision and decision.aim.cut is not None:
            entry = story.first_lost(decision.aim.cut)
        title, zone = "What the transaction did", self._zone.name
        if story is not None and entry is not None:
            content = entry_content(story, entry, self._clock, zone)
        elif one is not None:
            title, content = "What it is", pick_content(story, one, self._clock, zone)
        else:
            return
        self.app.push_screen(TextDialog(title, content))

    def action_backups(self) -> None:
        """Choose a backup oneself, or leave it to the target again."""
        decision, session = self._decision, self.session
        if decision is None or not decision.candidates:
            return

        def chosen(path: str | None) -> None:
            if path is None:
                return
            session.own_backup = next(
                (
                    one.backup
                    for one in decision.candidates
                    if isinstance(one.backup, Backup) and str(one.backup.path) == path
                ),
                None,
            )
            self._decide()

        own = session.own_backup is not None
        self.app.push_screen(
            ChooseBackupDialog(decision.candidates, decision.backup, own, self._zone), chosen
        )

    def action_older(self) -> None:
        self.read_older()

    def action_branch(self) -> None:
        self._touched = False
        self.read_other_branch()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "older":
                return self.older_backup() is not None
            case "branch":
                return self.has_branches
            case _:
                return True

    @on(Input.Changed, "#value")
    def typed(self) -> None:
        self._read_text()

    @on(Input.Submitted, "#value")
    def given(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.proceed()
        else:
            self.query_one(VirtualList).focus()

    @on(Input.Changed, "#filter")
    def filter_typed(self) -> None:
        try:
            found = self._filter.read(self._zone.zone, self._last_day())
        except PitrError as error:
            self.show_problem(error)
            return
        self.show_problem(None)
        self.query_one(MomentList).filter = found
        self._arrange()

    @on(Input.Submitted, "#filter")
    def filter_given(self) -> None:
        """Into the list, to what was found."""
        rows = self.query_one(MomentList)
        rows.focus()
        self._filter.display = bool(rows.filter)
        if len(rows.rows) and rows.cursor is None:
            rows.action_go(0)

    def back(self) -> bool:
        """Escape leaves a field before it stops the reading or goes back."""
        rows = self.query_one(MomentList)
        if self._field.in_use:
            self._forget_text()
            rows.focus()
            self._touched = rows.cursor is not None
            self._wanted = rows.wanted_at(rows.cursor or 0)
            self._decide()
            return True
        if self._filter.in_use or rows.filter:
            self._filter.forget()
            rows.filter = RowFilter()
            self._arrange()
            rows.focus()
            return True
        return super().back()

    def on_descendant_focus(self) -> None:
        self.changed()

    def _last_day(self) -> datetime:
        """The day that a clock time in the filter is one of: the one at which the WAL ends."""
        story = self.wal.chronicle
        found = moment(int(story.at[-1])) if story is not None and len(story) else None
        return found or self.session.clock()

    # What is wanted.

    def _read_text(self) -> None:
        """Read the field; while it makes no sense, what was wanted before stays in the panel."""
        session = self.session
        self.show_problem(None)
        self._touched = bool(self._field.text.strip())
        if not self._touched:
            self._field.wrong = None
            self._draw()
            return
        version = session.backup.version if session.backup is not None else None
        wanted = self._field.read(self._zone.zone, session.clock(), self.wal.chronicle, version)
        if wanted is None:
            self._show_echo()
            self._show_panel()
            session.passed.discard(WizardStep.TARGET)
            self.changed()
            return
        self._wanted = wanted
        self._decide()
        self._put_cursor()

    def _forget_text(self) -> None:
        self._field.forget()
        self.show_problem(None)

    # What follows from it.

    def _decide(self, from_timeline: bool = False) -> None:
        """Write the aim, the target and the backup into the session, and tell it back."""
        session, wanted = self.session, self._wanted
        if wanted is None:
            return
        ground, story = self._ground, self.wal.chronicle
        decision = self._decision = decide(ground, lambda since: aim_of(wanted, story, since))
        changed = decision.aim.target != session.target or (
            decision.backup is not None and decision.backup != session.backup
        )
        session.aim, session.target = decision.aim, decision.aim.target
        if decision.backup is not None:
            session.backup = decision.backup
        if changed:
            way.forget_plan(session)
        if self.ready() is not None:
            session.passed.discard(WizardStep.TARGET)
        self._show_panel()
        if not from_timeline:
            self.query_one(TimelineView).show_cut(decision.aim.cut)
        self._show_echo()
        self.changed()

    def _show_panel(self) -> None:
        """What is kept and lost; while the text makes no sense, that is not what was typed."""
        decision = self._decision
        if decision is None:
            return
        if self._field.wrong is not None:
            words = "not what is typed: the cut of before"
            decision = replace(decision, sure=Sure.UNPROVEN, words=words)
        wide = self.app.size.width >= WIDE
        rows = panel(decision, self._ground, self._clock, self._zone, wide)
        self.query_one(CutPanel).show(rows)

    def ready(self) -> str | None:
        if self._field.wrong is not None:
            return self._field.wrong.what
        decision = self._decision
        if decision is None:
            return "nothing is chosen yet"
        if decision.backup is None:
            return decision.words
        if self._is_future() and not decision.aim.reached:
            return "the target lies in the future"
        return None

    def _is_future(self) -> bool:
        wanted = self._wanted
        return isinstance(wanted, AtTime) and wanted.time > self.session.clock()

    def next_action(self) -> str:
        if self._filter.in_use:
            return "see what was found"
        reason = self.ready()
        if reason is not None or self._decision is None:
            return f"nothing yet: {reason}"
        where = stop_words(self._decision, self.wal.chronicle)
        return f"stop {where}; check whether that can be reached"

    def proceed(self) -> None:
        if self._filter.in_use:
            self.filter_given()
            return
        reason = self.ready()
        if reason is not None:
            self._show_obstacle(reason)
            return
        self._touched = True  # what enter was pressed for is meant, whatever is read later
        self._field.pin(self._wanted, self._zone.zone)
        super().proceed()

    def skip(self) -> None:
        self._touched = True
        self._field.pin(self._wanted, self._zone.zone)
        super().skip()

    def _show_obstacle(self, reason: str) -> None:
        """What is wrong with a text stands below it already."""
        if self._field.wrong is None and not self._is_future():
            hint = "choose a later target, or find an older backup"
            self.show_problem(PitrError(reason, "", hint))

    # What is shown.

    def _respect_given_backup(self) -> None:
        """One that was chosen at the step before, and is not the newest, is meant."""
        surveyed, given = self.wal.surveyed, self.session.backup
        if not self._backup_given or surveyed is None or given is None or not surveyed.usable:
            return
        self._backup_given = False
        doubts = reading.doubts(surveyed)
        good = [path for one in surveyed.usable if not doubts[path := str(one.path)]]
        newest = good[-1:] == [str(given.path)]
        self.session.own_backup = None if newest else given

    def _draw(self) -> None:
        """Everything anew, with the cursor and the cut where they were."""
        self._respect_given_backup()
        zone, wal = self._zone, self.wal
        self.query_one("#headline", Static).update(headline(zone, len(self._zones) - 1))
        news = unread(wal.chronicle, self._noted)
        noted = tuple(
            (from_moment(one.time), one.what)
            for one in self._noted
            if not one.name or one in news  # the others are in the chronicle
        )
        self.query_one(TimelineView).show(
            Picture(
                wal.surveyed,
                wal.chronicle,
                zone.zone,
                zone.name,
                self.session.backup,
                self._ground.followed,
                noted,
            )
        )
        rows = self.query_one(MomentList)
        rows.tell(wal.chronicle, self._noted, self._clock)
        if not self._touched:
            self._wanted = rows.first_wanted()
        self._decide()
        self._arrange()
        self.refresh_bindings()

    def _arrange(self) -> None:
        """The list as its view and filter want it, with its head and cursor."""
        rows = self.query_one(MomentList)
        rows.make_rows()
        self.query_one("#list-head", Static).update(rows.head(self._filter.text))
        self._put_cursor()

    def _put_cursor(self) -> None:
        cut = self._decision.aim.cut if self._decision is not None else None
        self.query_one(MomentList).put_on(self._wanted, cut)

    def _show_echo(self) -> None:
        self._field.echo(self._wanted, self._zones, self.session.clock())
