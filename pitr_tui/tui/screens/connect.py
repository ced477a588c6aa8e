"""Step 1: which primary it is about, or that there is none any more."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from pitr_tui.errors import PitrError
from pitr_tui.recovery.events import Status
from pitr_tui.servers.primary import Primary, PrimaryFacts
from pitr_tui.servers.running import RunningServer, find_running
from pitr_tui.servers.sql import Database, parse_conninfo
from pitr_tui.tui import way
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.literal import Part, assemble, literal
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.facts import Fact, Facts
from pitr_tui.wording import duration_text, size_text

_CLOCK_SLACK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Found:
    """A server on this machine, with what it said or why it said nothing."""

    server: RunningServer
    answer: PrimaryFacts | PitrError | None


def _rank(found: Found) -> tuple[int, int]:
    """Primaries first, then standbys, then what does not answer; each by its port."""
    standby = isinstance(found.answer, PrimaryFacts) and found.answer.in_recovery
    return (2 if isinstance(found.answer, PitrError) else int(standby), found.server.port)


def look_around(emit: Emit[Found], cancel: threading.Event) -> None:
    """Find the running servers, then ask each who it is."""
    servers = find_running()
    for server in servers:
        emit(Found(server, None))
    for server in servers:
        if cancel.is_set():
            return
        try:
            emit(Found(server, Primary(server.database).facts()))
        except PitrError as error:
            emit(Found(server, error))


class ConnectPane(StepPane):
    """Servers found by itself, a connection string, or none."""

    step = WizardStep.CONNECT
    first_focus = "#servers"
    help_text = """
The primary is the server that lost data. pitr looks at it to learn its version, its
system identifier and its clock, and later to see how it archives its WAL. Nothing is
changed in this step; every look is a short SQL connection of its own.

The list has every PostgreSQL server that runs on this machine. For another one type a
connection string: host=... port=... user=... dbname=..., or postgresql://... The
password is never typed here: libpq takes it from PGPASSWORD or from a password file
(PGPASSFILE, ~/.pgpass).

If the primary is down or gone, say so: a base backup and the WAL archive are all that a
recovery needs. Only turning archiving on and taking backups need the primary.

Without the screen: pitr archive status --json
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+r", "look", "Look again", id="look", tooltip="search for servers again"),
    ]

    def body(self) -> ComposeResult:
        if self.session.story is not None:
            yield Static(literal(self.session.story.text.strip()), classes="story")
        yield Static("Which server lost data?", markup=False, classes="question")
        yield OptionList(id="servers")
        with Horizontal(classes="field gap-above"):
            yield Static("or connect to", markup=False, classes="field-name")
            yield Input(
                placeholder="host=… port=… user=… dbname=…   or postgresql://…", id="conninfo"
            )
        yield Static(
            "The password comes from PGPASSWORD or a password file (~/.pgpass).",
            markup=False,
            classes="muted",
        )
        yield Facts(id="facts", classes="gap-above")

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._found: dict[str, Found] = {}
        self._seconds_ahead = 0.0
        self._touched = False  # the person has moved in the list: its cursor is theirs now

    def on_mount(self) -> None:
        self._show_servers()

    def enter(self) -> None:
        session = self.session
        self._show_facts()
        self.action_look()
        if session.database is not None and session.facts is None and not session.primary_is_down:
            self.connect(session.database)

    def action_look(self) -> None:
        """Search this machine for servers."""
        self.run_job(look_around, on_done=lambda _: None, on_events=self._take, group="look")

    def connect(self, database: Database) -> None:
        """Ask a server who it is; when it answers, it is the primary."""

        def connected(facts: PrimaryFacts) -> None:
            session = self.session
            if session.facts is None or (
                facts.system_identifier != session.facts.system_identifier
            ):
                session.archiving = None
                way.forget_plan(session)
            session.database, session.facts = database, facts
            self._seconds_ahead = (facts.clock - session.clock()).total_seconds()
            session.primary_is_down = False
            self._show_servers(to_connected=True)
            self._show_facts()

        self.run_job(
            lambda emit, cancel: Primary(database).facts(),
            on_done=connected,
            on_failed=self._not_connected,
            busy=f"connecting to {database}",
            group="connect",
        )

    def next_action(self) -> str:
        if self.at_work:
            return ""
        if self.query_one("#conninfo", Input).has_focus:
            return "connect with this string"
        chosen = self._highlighted()
        if chosen is None and self._on_down():
            down = self.session.primary_is_down
            return super().next_action() if down else "go on without the primary"
        if chosen is not None and not self._is_connected(chosen.server):
            return f"connect to the server on port {chosen.server.port}"
        return super().next_action() if self.ready() is None else "choose a server"

    @on(OptionList.OptionSelected)
    def option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter on a server connects; on the connected one it goes on."""
        event.stop()
        if self.at_work:  # one connection after the other: the rows may have moved just now
            return
        if event.option_id == "down":
            if not self.session.primary_is_down:
                self._go_without()
            self.proceed()
            return
        found = self._found.get(event.option_id or "")
        if found is None:
            self.query_one("#conninfo").focus()
        elif self._is_connected(found.server):
            self.proceed()
        else:
            self.connect(found.server.database)

    @on(OptionList.OptionHighlighted)
    def option_highlighted(self) -> None:
        self._touched = True
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

    def _go_without(self) -> None:
        session = self.session
        session.primary_is_down = True
        session.facts = session.archiving = None
        self.show_problem(None)
        self._show_servers()
        self._show_facts()

    def _not_connected(self, error: PitrError) -> None:
        self.show_problem(error)
        if self.session.facts is None:
            self._show_facts()

    def _take(self, news: list[Found]) -> None:
        for found in news:
            self._found[str(found.server.data_directory)] = found
        self._show_servers()

    def _highlighted(self) -> Found | None:
        option = self.query_one("#servers", OptionList).highlighted_option
        return self._found.get(option.id or "") if option is not None else None

    def _on_down(self) -> bool:
        option = self.query_one("#servers", OptionList).highlighted_option
        return option is not None and option.id == "down"

    def _is_connected(self, server: RunningServer) -> bool:
        session = self.session
        if session.facts is None or session.database is None:
            return False
        theirs = session.database.parameters
        return session.facts.data_directory == server.data_directory or (
            str(theirs.get("port", "5432")) == str(server.port)
            and theirs.get("host") == server.database.parameters.get("host")
        )

    def _show_servers(self, to_connected: bool = False) -> None:
        listing = self.query_one("#servers", OptionList)
        before = listing.highlighted_option
        wanted = before.id if before is not None else None
        options = [
            Option(self._server_row(found), id=key)
            for key, found in sorted(self._found.items(), key=lambda pair: _rank(pair[1]))
        ]
        connected = next(
            (key for key, one in self._found.items() if self._is_connected(one.server)), None
        )
        if to_connected or not self._touched:
            wanted = "down" if self.session.primary_is_down else connected
        mark = "✓" if self.session.primary_is_down else " "
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

    def _server_row(self, found: Found) -> Content:
        server = found.server
        parts: list[Part] = [
            "✓ " if self._is_connected(server) else "  ",
            f"port {server.port:<6}",
        ]
        match found.answer:
            case PrimaryFacts() as facts:
                role = "standby" if facts.in_recovery else "primary"
                parts.append(f"{role} {facts.version!s:<6}")
                parts.append(f"{size_text(facts.total_bytes):>9}  ")
            case PitrError():
                parts.append(("no connection  ", "$text-warning"))
            case None:
                parts.append(("asking …  ", "$foreground-muted"))
        parts.append(str(server.data_directory))
        return assemble(*parts)

    def _show_facts(self) -> None:
        facts, database = self.session.facts, self.session.database
        shown = self.query_one("#facts", Facts)
        if facts is None or database is None:
            note = []
            if self.session.primary_is_down:
                note = [
                    Fact(
                        "no primary",
                        "a recovery is possible from backup and archive; archiving cannot be "
                        "turned on and no backup can be taken",
                        status=Status.WARNING,
                    )
                ]
            shown.show(note)
            return
        shown.show(self._facts_of(facts, database))

    def _facts_of(self, facts: PrimaryFacts, database: Database) -> list[Fact]:
        ahead = self._seconds_ahead
        side = "ahead of" if ahead > 0 else "behind"
        off = f"{duration_text(abs(ahead))} {side} the clock here"
        wrong = abs(ahead) > _CLOCK_SLACK_SECONDS
        rows = [
            Fact("connected to", _place_of(database), status=Status.OK),
            Fact("version", f"PostgreSQL {facts.version}", f"timeline {int(facts.timeline)}"),
            Fact("system identifier", str(facts.system_identifier)),
            Fact("data directory", str(facts.data_directory or "hidden from this user")),
            Fact("size", size_text(facts.total_bytes), "all databases"),
            Fact(
                "clock",
                f"{facts.clock:%Y-%m-%d %H:%M:%S %z}  ({facts.time_zone})",
                off if wrong else "",
                Status.WARNING if wrong else None,
            ),
        ]
        if facts.in_recovery:
            words = "in recovery: a standby; archiving and backups belong to its primary"
            rows.append(Fact("state", words, status=Status.WARNING))
        else:
            rows.append(Fact("state", "open for writing"))
        if not facts.superuser:
            words = "not a superuser: archiving can be looked at, not changed"
            rows.append(Fact("rights", words, status=Status.WARNING))
        return rows


def _place_of(database: Database) -> str:
    """Host, port, user and database in one short line."""
    given = database.parameters
    host = given.get("host") or "the default socket"
    return (
        f"{host}, port {given.get('port', '5432')}, "
        f"as {given.get('user', 'the default user')}, database {given['dbname']}"
    )
