"""Step 7: is this the database that was wanted? Evidence, contents, and what becomes of it."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import DataTable, Input, Static

from pitr_tui.recovery.check_file import OwnCheck, expectation, rows_words
from pitr_tui.recovery.contents import Contents, gather
from pitr_tui.recovery.events import CheckDone, RunFinished, Status
from pitr_tui.recovery.own_checks import remember
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.recovery.verify import Answer, ask, system_identifier
from pitr_tui.tui import way
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.messages import StepWanted
from pitr_tui.tui.screens.naming import NameDialog
from pitr_tui.tui.screens.verify_fate import SecondaryFate
from pitr_tui.tui.screens.verify_look import Seen, SeenKind, look_at
from pitr_tui.tui.screens.verify_words import evidence_facts, latest, todo_facts, verdict
from pitr_tui.tui.session import Session, WizardStep
from pitr_tui.tui.widgets.data_tables import AnswerTable, ContentsTable
from pitr_tui.tui.widgets.facts import Facts, check_fact
from pitr_tui.wording import count_text

_ROWS_SHOWN = 200


class VerifyPane(SecondaryFate):
    """Shows the verdict and the contents of the secondary; keeps, promotes or removes it."""

    step = WizardStep.VERIFY
    title = "Verify"
    first_focus = "#tables"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash,ctrl+f", "query", "Query", tooltip="a read-only query to the secondary"),
        Binding(
            "k,f4",
            "remember",
            "Keep as check…",
            show=False,  # the line below the answer names it
            tooltip="ask this after every recovery",
        ),
        Binding(
            "e,f3",
            "evidence",
            "Evidence",
            show=False,  # so does the line that stands for what is folded
            tooltip="every check with what was seen, or less",
        ),
        Binding("c,f7", "copy_command", "Copy psql", show=False),
        Binding("f5,ctrl+r", "look", "Look again", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._tables = ContentsTable()
        self._answer = AnswerTable()
        self._contents: dict[str, Contents] = {}
        self._looked_at: RunFinished | None = None
        self._seen: list[Seen] = []
        self._unfolded = self._gone = False
        self._answered: OwnCheck | None = None

    def body(self) -> ComposeResult:
        yield Static("", markup=False, classes="verdict", id="verdict")
        yield Facts(id="evidence")
        yield Static("your own checks", markup=False, classes="muted", id="own-title")
        yield Facts(id="own")
        yield Static("", markup=False, classes="muted", id="care-title")
        yield Facts(id="care")
        yield self._tables
        with Horizontal(classes="field gap-above", id="ask"):
            yield Static("query", markup=False, classes="field-name")
            yield Input(placeholder="SELECT … (read-only)", id="query")
        yield self._answer
        yield Static("", markup=False, classes="muted", id="answer-note")
        yield Static("", markup=False, classes="muted gap-above", id="connect")

    # What is.

    def enter(self) -> None:
        finished = self.session.run.finished if self.session.run is not None else None
        if finished is None or finished is not self._looked_at:
            self._looked_at = finished
            self._seen, self._gone = [], False
            self._forget_answer()
            self.action_look()
        self._draw()

    def action_look(self) -> None:
        """Check the secondary, list its tables and count their rows, here and in the primary."""
        session, server, run = self.session, self.session.secondary, self.session.run
        self._contents, self._seen = {}, []
        self._tables.show(self._contents.values())
        if server is None or run is None or self._gone or not self._readable:
            return
        primary = None if session.primary_is_down else session.database
        self.run_job(
            lambda emit, cancel: look_at(server, run, emit, cancel),
            on_events=self._take_seen,
            on_done=lambda _: None,
            group="checks",
        )
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

    def _take_seen(self, events: list[Seen]) -> None:
        self._seen += events
        self._draw()

    # What is shown.

    def _draw(self) -> None:
        run, server = self.session.run, self.session.secondary
        headline, connect = self.query_one("#verdict", Static), self.query_one("#connect", Static)
        asked = run is not None and server is not None and self._readable
        self._tables.display = self.query_one("#ask").display = asked
        self._draw_checks(run)
        if run is None or server is None:
            words = "The secondary was thrown away." if self._gone else "Nothing is recovered yet."
            headline.update(literal(words))
            connect.update("")
            return
        headline.update(verdict(run, self._ours))
        command = server.psql_command(self._tables.database)
        keep = "\nkeep it  w writes it down as a compose service" if self.contained else ""
        shown = assemble("connect  ", (command, "$text-accent"), keep)
        connect.update(shown if self._readable else keep.strip())

    def _draw_checks(self, run: RunView | None) -> None:
        told = run.checks if run is not None else []
        checks = latest(told, self._ours)
        self.query_one("#evidence", Facts).show(evidence_facts(checks, self._unfolded))
        own = [check_fact(check) for check in self._of(SeenKind.OWN)]
        self.query_one("#own-title").display = bool(own)
        self.query_one("#own", Facts).show(own)
        title = self.query_one("#care-title", Static)
        care = todo_facts(self._of(SeenKind.TODO), self._unfolded)
        title.display = bool(care)
        title.update(
            literal("to do, now that it is open" + " (e shows how)" * (not self._unfolded))
        )
        self.query_one("#care", Facts).show(care)

    def _of(self, kind: SeenKind) -> list[CheckDone]:
        return [one.check for one in self._seen if one.kind is kind]

    @property
    def _ours(self) -> list[CheckDone]:
        return self._of(SeenKind.OURS)

    def action_evidence(self) -> None:
        """Show every check with what was seen, or what came out well in one line."""
        self._unfolded = not self._unfolded
        self._draw()

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
        name = self._tables.database
        self._forget_answer()

        def answered(answer: Answer) -> None:
            if answer.columns and not answer.more:
                expected = expectation(tuple(answer.rows))
                self._answered = OwnCheck(statement, statement, expected, name)
            self._show_answer(answer)

        self.run_job(
            lambda emit, cancel: ask(server.database.named(name), statement, _ROWS_SHOWN),
            on_done=answered,
            busy="asking the secondary",
            group="query",
        )

    def _show_answer(self, answer: Answer) -> None:
        self._answer.show(answer)
        said = count_text(len(answer.rows), "row") + (" and more" if answer.more else "")
        keep = "   k (f4) keeps it as a check" if self._answered is not None else ""
        self.query_one("#answer-note", Static).update(literal(said + keep))
        self._answer.scroll_visible(animate=False)
        self.refresh_bindings()

    def _forget_answer(self) -> None:
        self._answered = None
        self._answer.show(None)
        self.query_one("#answer-note", Static).update("")
        self.show_problem(None)

    def action_remember(self) -> None:
        """Ask for a name, then keep the query and its answer for the next recovery."""
        server, answered = self.session.secondary, self._answered
        if server is None or answered is None:
            return

        def named(name: str | None) -> None:
            if name:
                check = OwnCheck(name, answered.sql, answered.expect, answered.database)
                self.run_job(
                    lambda emit, cancel: remember(check, system_identifier(server.database)),
                    on_done=lambda _: self._remembered(check),
                    group="remember",
                )

        told = answered.expected
        self.app.push_screen(
            NameDialog(
                "Keep this query as a check?",
                f"{answered.sql}\n\nin {answered.database}, expected: {told}\n\n"
                "It is asked again after every recovery of this cluster.",
                " ".join(answered.sql.split()),
                "Keep",
            ),
            named,
        )

    def _remembered(self, check: OwnCheck) -> None:
        self.notify(f"Kept: {check.name}", markup=False)
        own = SeenKind.OWN
        rest = [s for s in self._seen if s.kind is not own or s.check.name != check.name]
        known = check.expect if isinstance(check.expect, tuple) else ((check.expect,),)
        done = CheckDone(check.name, Status.OK, rows_words(known))
        self._seen = [*rest, Seen(done, own)]
        self._draw()

    # What becomes of it.

    def opened(self) -> None:
        """Everything is looked at again: what was locked can be read now."""
        self.action_look()
        self._draw()

    def thrown_away(self) -> None:
        self._gone, self._looked_at = True, None
        self._contents, self._seen = {}, []
        self._forget_answer()
        self._tables.show(self._contents.values())
        self._draw()

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
        if self.session.run is not None and self.session.run.promoted is not None:
            return "nothing more to do here: above is what to do with an open secondary"
        return "nothing more to do: the secondary stays as it is until you decide"

    def proceed(self) -> None:
        if self._gone:
            self.post_message(StepWanted(way.nearest(self.session, WizardStep.TARGET)))

    def back(self) -> bool:
        """Escape leaves the query first."""
        focused = self.screen.focused
        if focused is not None and focused.id == "query":
            self._tables.focus()
            return True
        return super().back()

    def on_descendant_focus(self) -> None:
        self.changed()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys hold only while they mean something."""
        there = self.session.secondary is not None
        if action == "remember":
            return there and self._answered is not None
        if action == "evidence":
            return there
        if action in ("query", "copy_command", "look"):
            return there and self._readable
        return super().check_action(action, parameters)
