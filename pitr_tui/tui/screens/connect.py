"""Step 1: which primary it is about, or that there is none any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import Status
from pitr_tui.servers.primary import Primary, PrimaryFacts
from pitr_tui.servers.sql import Database, parse_conninfo
from pitr_tui.tui import way
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.screens.connect_found import (
    Behind,
    Contained,
    Found,
    Origin,
    can_answer,
    image_of,
    key_of,
    look_around,
    look_behind,
    name_width,
    origin_facts,
    place_of,
    server_facts,
)
from pitr_tui.tui.screens.minute_zero import MinuteZero
from pitr_tui.tui.screens.past_runs import PastRuns
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.facts import Fact, Facts

Row = Found | Contained


class ConnectPane(PastRuns, MinuteZero):
    """Servers and containers found by itself, a connection string, or none."""

    step = WizardStep.CONNECT
    first_focus = "#servers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+r", "look", "Look again", id="look", tooltip="search for servers again"),
        Binding("L,ctrl+l", "screen.cards", "Lab", id="practise", tooltip="practise in the lab"),
    ]

    def body(self) -> ComposeResult:
        if self.session.story is not None:
            yield Static(literal(self.session.story.text.strip()), classes="story")
        yield from self.runs_line()
        practise = "" if self.session.lab is not None else "   (L: none did, practise in the lab)"
        yield Static(
            assemble(("Which server lost data?", "bold"), (practise, "not bold $text-muted")),
            classes="question",
        )
        yield OptionList(id="servers")
        with Horizontal(classes="field gap-above"):
            yield Static("or connect to", markup=False, classes="field-name")
            yield Input(
                placeholder="host=… user=… dbname=…  (password: PGPASSWORD, ~/.pgpass)",
                id="conninfo",
            )
        yield from self.dead_data_field()
        yield Facts(id="facts", classes="gap-above")
        yield Facts(id="behind", classes="gap-above")

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._found: dict[str, Row] = {}
        self._behind: Behind | None = None
        self._seconds_ahead = 0.0
        self._touched = False  # the person has moved in the list: its cursor is theirs now

    def on_mount(self) -> None:
        self._show_servers()

    def enter(self) -> None:
        session = self.session
        self._show_facts()
        self.action_look()
        self.look_at_runs()
        if session.database is not None and session.facts is None and not session.primary_is_down:
            self.connect(session.database)

    def action_look(self) -> None:
        """Search this machine, the Docker engine and the compose file for servers."""
        self.run_job(look_around, on_done=lambda _: None, on_events=self._take, group="look")
        reach, compose = self.session.reach, self.session.compose
        self.run_job(
            lambda emit, cancel: look_behind(reach, compose),
            on_done=self._take_behind,
            group="behind",
            awaited=False,
        )

    def connect(self, database: Database) -> None:
        """Ask a server who it is; when it answers, it is the primary."""
        self._connect(lambda: database, f"connecting to {database}", None)

    def choose(self, origin: Origin) -> None:
        """Take a container for the primary: ask its server, or go on without if it is down."""
        if not can_answer(origin):
            self._go_without(origin)
            return
        assert isinstance(origin, PostgresContainer)  # noqa: S101 - only those can answer
        reach = self.session.reach
        words = f"connecting to the server in the container {origin.name}"
        self._connect(lambda: reach.server(origin).database, words, origin)

    def _connect(self, reached: Callable[[], Database], busy: str, origin: Origin | None) -> None:
        def connected(answer: tuple[Database, PrimaryFacts]) -> None:
            database, facts = answer
            session, before = self.session, self.session.facts
            if before is None or facts.system_identifier != before.system_identifier:
                way.forget_primary(session)
                self.forget_minute_zero(facts.system_identifier)
            session.database, session.facts, session.origin = database, facts, origin
            self._seconds_ahead = (facts.clock - session.clock()).total_seconds()
            session.primary_is_down = False
            self._show_servers(to_connected=True)
            self._show_facts()

        def ask(emit: object, cancel: object) -> tuple[Database, PrimaryFacts]:
            database = reached()
            return database, Primary(database).facts()

        self.run_job(
            ask, on_done=connected, on_failed=self._not_connected, busy=busy, group="connect"
        )

    def next_action(self) -> str:
        if self.at_work:
            return ""
        if self.query_one("#conninfo", Input).has_focus:
            return "connect with this string"
        if self.query_one("#dead-data", Input).has_focus:
            return "collect the WAL of this directory (asks first)"
        chosen = self._highlighted()
        if chosen is None and self._on_down():
            down = self.session.primary_is_down and self.session.origin is None
            return super().next_action() if down else "go on without the primary"
        if chosen is None or self._is_chosen(chosen):
            return super().next_action() if self.ready() is None else "choose a server"
        if isinstance(chosen, Found):
            return f"connect to the server on port {chosen.server.port}"
        if can_answer(chosen.origin):
            return f"connect to the server in {chosen.name}"
        return f"go on without the server: it was {chosen.name}"

    @on(OptionList.OptionSelected)
    def option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter on a server connects; on the connected one it goes on."""
        event.stop()
        if self.at_work:  # one connection after the other: the rows may have moved just now
            return
        if event.option_id == "down":
            if not self.session.primary_is_down or self.session.origin is not None:
                self._go_without(None)
            self.proceed()
            return
        chosen = self._found.get(event.option_id or "")
        if chosen is None:
            self.query_one("#conninfo").focus()
        elif self._is_chosen(chosen):
            self.proceed()
        elif isinstance(chosen, Found):
            self.connect(chosen.server.database)
        else:
            self.choose(chosen.origin)

    @on(OptionList.OptionHighlighted)
    def option_highlighted(self) -> None:
        self._touched = True
        self.refresh_bindings()
        self.changed()

    @on(Input.Submitted, "#conninfo")
    def conninfo_typed(self, event: Input.Submitted) -> None:
        """Connect with what was typed; a password in it is refused before it is used."""
        text = event.value.strip()
        if not text:
            self.query_one("#servers").focus()
            return

        def parsed(parameters: dict[str, str]) -> None:
            if "password" not in parameters:
                self.connect(Database(parameters))
                return
            event.input.value = ""
            self.show_problem(
                PitrError(
                    "a password does not belong on the screen",
                    "the connection string has one; it was not used and is cleared",
                    "set PGPASSWORD, or write it to ~/.pgpass, and start pitr again",
                )
            )

        self.run_job(lambda emit, cancel: parse_conninfo(text), on_done=parsed, group="parse")

    def on_descendant_focus(self) -> None:
        self.changed()

    def go_without(self) -> None:
        self._go_without(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The row of a dead primary is enough to collect what that one still has."""
        down = action == "rescue" and self.is_mounted and self._on_down()
        return down or super().check_action(action, parameters)

    def _go_without(self, origin: Origin | None) -> None:
        session = self.session
        if session.origin != origin:
            way.forget_primary(session)
            self.forget_minute_zero()
        elif session.facts is not None:
            session.dead_data = session.facts.data_directory
        session.primary_is_down, session.origin = True, origin
        session.database = session.facts = session.archiving = None
        if origin is not None:
            session.reach.use_image(image_of(origin))
        self.show_problem(None)
        self._show_servers()
        self._show_facts()

    def _not_connected(self, error: PitrError) -> None:
        self.show_problem(error)
        if self.session.facts is None:
            self._show_facts()

    def _take(self, news: list[Found]) -> None:
        for found in news:
            self._found[found.key] = found
        self._show_servers()

    def _take_behind(self, behind: Behind) -> None:
        self._behind, self.session.project = behind, behind.project
        for key in [key for key, row in self._found.items() if isinstance(row, Contained)]:
            del self._found[key]
        for row in behind.rows():
            self._found[row.key] = row
        self._show_servers()
        self._show_facts()
        self._choose_named(behind)

    def _choose_named(self, behind: Behind) -> None:
        """Connect to the container that was named on the command line, once."""
        session, name = self.session, self.session.container
        session.container = ""
        if not name or session.origin is not None or session.facts is not None:
            return
        for row in behind.rows():
            if name == row.name or getattr(row.origin, "id", "").startswith(name):
                self.choose(row.origin)
                return
        self.show_problem(
            behind.refusal
            or PitrError(f"there is no PostgreSQL container {name!r}", "", "choose one of the list")
        )

    def _highlighted(self) -> Row | None:
        option = self.query_one("#servers", OptionList).highlighted_option
        return self._found.get(option.id or "") if option is not None else None

    def _on_down(self) -> bool:
        option = self.query_one("#servers", OptionList).highlighted_option
        return option is not None and option.id == "down"

    def _is_chosen(self, row: Row) -> bool:
        """Whether this is the primary: connected, or known to be down."""
        session = self.session
        if isinstance(row, Contained):
            known = session.origin is not None and key_of(session.origin) == row.key
            return known and (session.facts is not None or session.primary_is_down)
        if session.facts is None or session.database is None or session.origin is not None:
            return False
        server, theirs = row.server, session.database.parameters
        return session.facts.data_directory == server.data_directory or (
            str(theirs.get("port", "5432")) == str(server.port)
            and theirs.get("host") == server.database.parameters.get("host")
        )

    def _show_servers(self, to_connected: bool = False) -> None:
        listing = self.query_one("#servers", OptionList)
        before = listing.highlighted_option
        wanted = before.id if before is not None else None
        width = name_width(row.name for row in self._found.values())
        options = [
            Option(self._row(row, width), id=key)
            for key, row in sorted(self._found.items(), key=lambda pair: pair[1].rank)
        ]
        chosen = next((key for key, row in self._found.items() if self._is_chosen(row)), None)
        gone = self.session.primary_is_down and self.session.origin is None
        if to_connected or not self._touched:
            wanted = "down" if gone or (chosen is None and self._only_standbys()) else chosen
        mark = "✓" if gone else " "
        options.append(
            Option(
                literal(f"{mark} the primary is down or gone: backup and archive only"), id="down"
            )
        )
        ids = [option.id for option in options]
        with self.prevent(OptionList.OptionHighlighted):
            listing.clear_options()
            listing.add_options(options)
            listing.highlighted = ids.index(wanted) if wanted in ids else 0
        self.changed()

    def _only_standbys(self) -> bool:
        """Whether nothing that was found can be the primary that is looked for."""
        found = [row for row in self._found.values() if isinstance(row, Found)]
        return (
            bool(found)
            and len(found) == len(self._found)
            and not any(row.is_primary or row.answer is None for row in found)
        )

    def _row(self, row: Row, width: int) -> Content:
        mark = "✓ " if self._is_chosen(row) else "  "
        name = row.name if len(row.name) <= width else row.name[: width - 1] + "…"
        return assemble(mark, f"{name:<{width}}  ", *row.parts())

    def _show_facts(self) -> None:
        session = self.session
        self.show_minute_zero()
        shown = self.query_one("#facts", Facts)
        asking = [Fact("Docker", "asking the engine …")]
        self.query_one("#behind", Facts).show(self._behind.facts() if self._behind else asking)
        if session.facts is not None and session.database is not None:
            place = place_of(session.database, session.origin)
            shown.show(server_facts(session.facts, place, self._seconds_ahead))
        elif session.primary_is_down and session.origin is not None:
            shown.show(origin_facts(session.origin))
        elif session.primary_is_down:
            words = (
                "a recovery is possible from backup and archive; archiving cannot be "
                "turned on and no backup can be taken"
            )
            shown.show([Fact("no primary", words, status=Status.WARNING)])
        else:
            shown.show([])
