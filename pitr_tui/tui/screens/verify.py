"""Step 7: is this the database that was wanted? Evidence, contents, and what becomes of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import DataTable, Input, Static

from pitr_tui.errors import PitrError
from pitr_tui.recovery.aftercare import promote
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.recovery.verify import Answer, ServerState, ask
from pitr_tui.servers.container_secondary import ContainerSecondary
from pitr_tui.tui import way
from pitr_tui.tui.contents import Contents, gather
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.messages import StepWanted
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.screens.typed import TypedConfirmDialog
from pitr_tui.tui.screens.where import name_of, secondary_service, write_new
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.data_tables import AnswerTable, ContentsTable
from pitr_tui.tui.widgets.facts import Facts, check_fact
from pitr_tui.tui.widgets.run_head import as_of, badge
from pitr_tui.wording import count_text

_ROWS_SHOWN = 200


class VerifyPane(StepPane):
    """Shows the verdict and the contents of the secondary; keeps, promotes or removes it."""

    step = WizardStep.VERIFY
    title = "Verify"
    first_focus = "#tables"
    help_text = """\
The secondary has stopped where it was to. Above are the sentence that PostgreSQL said to that
and the checks; below are its tables with their exact number of rows, beside the primary's.

Ask it anything with a query: it runs in a read-only transaction, in the database of the table
that is highlighted. Unlogged tables are empty after every recovery.

Paused, it stays as it is for as long as you like. Promoted, it opens for writing on a timeline
of its own and there is no way back to the pause. Thrown away, it is stopped and removed.

"w" writes a secondary in a container down as a service of a compose file: of one of its own,
or of the compose file's service beside the primary.

Without the screen: psql, as the command at the bottom shows.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash,ctrl+f", "query", "Query", tooltip="a read-only query to the secondary"),
        Binding("p,f8", "promote", "Promote…", tooltip="open the secondary for writing"),
        Binding("D,f9", "throw_away", "Throw away…", tooltip="stop and remove the secondary"),
        Binding("c,f7", "copy_command", "Copy psql", show=False),
        Binding(
            "w,f6",
            "keep",
            "Compose…",
            show=False,
            tooltip="write the container down as a service of a compose file",
        ),
        Binding("f5,ctrl+r", "look", "Count again", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._tables = ContentsTable()
        self._answer = AnswerTable()
        self._contents: dict[str, Contents] = {}
        self._looked_at: RunView | None = None
        self._promoted: ServerState | None = None
        self._gone = False

    def body(self) -> ComposeResult:
        yield Static("", markup=False, classes="verdict", id="verdict")
        yield Facts(id="evidence")
        yield self._tables
        with Horizontal(classes="field gap-above", id="ask"):
            yield Static("query", markup=False, classes="field-name")
            yield Input(placeholder="SELECT … (read-only)", id="query")
        yield self._answer
        yield Static("", markup=False, classes="muted", id="answer-note")
        yield Static("", markup=False, classes="muted gap-above", id="connect")

    # What is.

    def enter(self) -> None:
        if self.session.run is not self._looked_at:
            self._looked_at = self.session.run
            self._promoted, self._gone = None, False
            self._forget_answer()
            self.action_look()
        self._draw()

    def action_look(self) -> None:
        """List the tables and count their rows, here and in the primary."""
        session, server = self.session, self.session.secondary
        self._contents = {}
        self._tables.show(self._contents.values())
        if server is None or self._gone or not self._readable:
            return
        primary = None if session.primary_is_down else session.database
        self.run_job(
            lambda emit, cancel: gather(server.database, primary, emit, cancel),
            on_events=self._take,
            on_done=lambda _: None,
            busy="counting rows",
            cancel_hint="esc stops counting",
            group="contents",
        )

    @property
    def _readable(self) -> bool:
        run = self.session.run
        return run is not None and run.state is not RunState.SHUT_DOWN

    def _take(self, events: list[Contents]) -> None:
        self._contents |= {contents.database: contents for contents in events}
        self._tables.show(self._contents.values())

    # What is shown.

    def _draw(self) -> None:
        run, server = self.session.run, self.session.secondary
        verdict, connect = self.query_one("#verdict", Static), self.query_one("#connect", Static)
        asked = run is not None and server is not None and self._readable
        self._tables.display = self.query_one("#ask").display = asked
        if run is None or server is None:
            words = "The secondary was thrown away." if self._gone else "Nothing is recovered yet."
            verdict.update(literal(words))
            connect.update("")
            self.query_one("#evidence", Facts).show([])
            return
        state = RunState.PROMOTED if self._promoted is not None else run.state
        sentence = f" This is the database {as_of(run)}."
        if self._promoted is not None:
            sentence += f" It is open for writing, on timeline {self._promoted.timeline}."
        elif run.state is RunState.SHUT_DOWN:
            sentence += " The secondary is shut down; started again, it stops there again."
        verdict.update(assemble(badge(state), sentence))
        checks = list(run.checks)
        if self._promoted is not None:
            checks.append(CheckDone("promoted", Status.OK, "it answers that it is not in recovery"))
        self.query_one("#evidence", Facts).show([check_fact(check) for check in checks])
        command = server.psql_command(self._tables.database)
        keep = "\nkeep it  w writes it down as a compose service" if self._contained() else ""
        shown = assemble("connect  ", (command, "$text-accent"), keep)
        connect.update(shown if self._readable else keep.strip())

    def _contained(self) -> bool:
        return isinstance(self.session.secondary, ContainerSecondary)

    @on(DataTable.RowSelected)
    def _go_on(self) -> None:
        """The enter key, which a table would keep for itself."""
        self.proceed()

    @on(ContentsTable.RowHighlighted, "#tables")
    def _other_database(self) -> None:
        self._draw()

    # Asking it.

    def action_query(self) -> None:
        self.query_one("#query").focus()

    @on(Input.Submitted, "#query")
    def _ask(self, event: Input.Submitted) -> None:
        event.stop()
        server, statement = self.session.secondary, event.value
        if server is None:
            return
        database = server.database.named(self._tables.database)
        self._forget_answer()
        self.run_job(
            lambda emit, cancel: ask(database, statement, _ROWS_SHOWN),
            on_done=self._show_answer,
            busy="asking the secondary",
            group="query",
        )

    def _show_answer(self, answer: Answer) -> None:
        self._answer.show(answer)
        said = count_text(len(answer.rows), "row") + (" and more" if answer.more else "")
        self.query_one("#answer-note", Static).update(literal(said))
        self._answer.scroll_visible(animate=False)

    def _forget_answer(self) -> None:
        self._answer.show(None)
        self.query_one("#answer-note", Static).update("")
        self.show_problem(None)

    # What becomes of it.

    def action_promote(self) -> None:
        """Ask for the destination's name, then end the pause and wait until it is open."""
        server = self.session.secondary
        if server is None:
            return
        place = server.destination

        def decided(sure: bool | None) -> None:
            if sure:
                self.run_job(
                    lambda emit, cancel: promote(server),
                    on_done=self._opened,
                    busy="opening the secondary for writing",
                    cancel_hint="",
                    group="fate",
                )

        self.app.push_screen(
            TypedConfirmDialog(
                "Promote the secondary?",
                f"{place}\n\n"
                "It opens for writing, on a new timeline, and cannot go back to the pause. "
                "It archives nothing, and the primary is not touched.",
                name_of(server),
                "Promote",
            ),
            decided,
        )

    def _opened(self, state: ServerState) -> None:
        self._promoted = state
        self._draw()
        self.refresh_bindings()

    def action_throw_away(self) -> None:
        """Ask for the destination's name, then stop the secondary and remove its data."""
        server = self.session.secondary
        if server is None:
            return
        place = server.destination

        def decided(sure: bool | None) -> None:
            if sure:
                self.run_job(
                    lambda emit, cancel: server.throw_away(),
                    on_done=lambda _: self._thrown_away(),
                    busy="removing the secondary",
                    cancel_hint="",
                    group="fate",
                )

        self.app.push_screen(
            TypedConfirmDialog(
                "Throw the secondary away?",
                f"{place}\n\n"
                "It is stopped, and its data are removed with everything in them. "
                "The backup, the WAL archive and the primary stay as they are.",
                name_of(server),
                "Throw away",
            ),
            decided,
        )

    def _thrown_away(self) -> None:
        self._gone = True
        self._contents = {}
        self.session.secondary = self.session.run = None
        self._looked_at = None
        way.forget_plan(self.session)
        self._forget_answer()
        self._tables.show(self._contents.values())
        self._draw()
        self.refresh_bindings()
        self.changed()
        self.take_focus()

    def action_keep(self) -> None:
        """Show the secondary as a service of a compose file, and write it if that is wanted."""
        session, server = self.session, self.session.secondary
        if server is None or not isinstance(server, ContainerSecondary):
            return
        service, project = secondary_service(session), session.project
        name = service.name if service is not None else ""
        beside = project.path.parent if project is not None else Path.cwd()
        file = beside / f"compose.{server.name}.yml"
        how = "It has one service, which runs on the recovered data."
        if name and project is not None:
            how = f"With it the service {name} runs on the recovered data:\n"
            how += f"docker compose -f {project.path.name} -f {file.name} up -d {name}"

        def decided(text: str, sure: bool | None) -> None:
            if sure:
                self.run_job(
                    lambda emit, cancel: write_new(file, text),
                    on_done=lambda _: self.notify(f"Written: {file}", markup=False),
                    group="keep",
                )

        def show(text: str) -> None:
            words = f"{file}\n\n{how}\nStop the secondary first: only one server may have its data."
            dialog = ConfirmDialog("Write a compose file?", f"{words}\n\n{text}", "Write it")
            self.app.push_screen(dialog, partial(decided, text))

        self.run_job(lambda emit, cancel: server.recipe.compose(name), on_done=show, group="keep")

    def action_copy_command(self) -> None:
        if self.session.secondary is not None:
            self.app.copy_to_clipboard(self.session.secondary.psql_command(self._tables.database))
            self.notify("The psql command is in the clipboard.", markup=False)

    # The frame.

    def ready(self) -> str | None:
        return None

    def next_action(self) -> str:
        if self._gone:
            return "choose another target"
        focused = self.screen.focused if self.is_attached else None
        if focused is not None and focused.id == "query":
            return f"ask {self._tables.database}"
        return "nothing more to do: the secondary stays as it is until you decide"

    def proceed(self) -> None:
        if self._gone:
            self.post_message(StepWanted(WizardStep.TARGET))

    def back(self) -> bool:
        """Escape leaves the query first; opening and removing are not cut short."""
        focused = self.screen.focused
        if focused is not None and focused.id == "query":
            self._tables.focus()
            return True
        if self._jobs.get("fate") is not None:
            self.show_problem(PitrError("this is not cut short: wait for its end"))
            return True
        return super().back()

    def on_descendant_focus(self) -> None:
        self.changed()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys hold only while there is a secondary that they can act on."""
        there = self.session.secondary is not None
        run = self.session.run
        if action == "promote":
            paused = run is not None and run.state is RunState.PAUSED
            return there and paused and self._promoted is None
        if action in ("query", "copy_command", "look"):
            return there and self._readable
        if action == "throw_away":
            return there
        if action == "keep":
            return self._contained()
        return True
