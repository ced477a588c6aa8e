"""The frame around the steps, driven by keys, without any server."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from textual.content import Content
from textual.widgets import Footer, OptionList, Static

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.primary import PrimaryFacts
from pitr_tui.servers.sql import Database
from pitr_tui.tui.app import DARK, LIGHT, PitrApp
from pitr_tui.tui.reach import Reach
from pitr_tui.tui.screens import connect, connect_found
from pitr_tui.tui.screens.connect_found import Behind
from pitr_tui.tui.screens.dialogs import ConfirmDialog, CrashDialog, TextDialog
from pitr_tui.tui.screens.lesson import LessonDialog
from pitr_tui.tui.session import Session, Story
from pitr_tui.tui.widgets.problem import Problem
from pitr_tui.tui.widgets.stepper import NAMES, Stepper
from tests.tui.scenes import LARGE, SMALL, opened, paste, screen_text, until

NOW = datetime(2026, 11, 22, 14, 52, 7, tzinfo=UTC)
NASTY = "[/] [local] [b]x[/b] \x1b[31mred [/var/lib/pg]"


def clock() -> datetime:
    return NOW


def facts(data_directory: str = "/var/lib/pg") -> PrimaryFacts:
    return PrimaryFacts(
        version=PostgresVersion.parse("18.6"),
        system_identifier=7711009236814082698,
        in_recovery=False,
        clock=NOW,
        time_zone="Europe/Berlin",
        segment_size=16 << 20,
        data_directory=Path(data_directory),
        superuser=True,
        timeline=TimelineId(1),
        total_bytes=25 << 20,
    )


class FakePrimary:
    """Answers at once with what the test has laid ready."""

    answer: PrimaryFacts | PitrError = facts()

    def __init__(self, database: Database) -> None:
        self.database = database

    def facts(self) -> PrimaryFacts:
        if isinstance(self.answer, PitrError):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect_found, "find_running", lambda: ())
    monkeypatch.setattr(connect_found, "Primary", FakePrimary)
    monkeypatch.setattr(connect, "Primary", FakePrimary)
    monkeypatch.setattr(connect, "look_behind", lambda reach, compose: Behind("Docker 29.1"))
    monkeypatch.setattr(FakePrimary, "answer", facts())


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_frame_fits_and_names_everything(size: tuple[int, int]) -> None:
    async with PitrApp(Session(clock=clock)).run_test(size=size) as pilot:
        app = await opened(pilot)
        text = screen_text(app)
        rows = text.splitlines()
        assert "no primary yet" in rows[0]
        assert rows[0].endswith("14:52:07 UTC")
        for number, name in enumerate(("connect", "archive", "backups", "target", "check"), 1):
            assert f"{number} {name}" in rows[1]
        assert "7 verify" in rows[1]
        assert "Which server lost data?" in text
        assert rows[-2].startswith(" ▸ enter:")
        assert app.wizard.query_one(Footer).virtual_size.width <= size[0]


def test_the_stepper_fits_into_80_columns_when_all_is_done() -> None:
    shown: list[str] = []
    stepper = Stepper()
    stepper.update = lambda content="", **_: shown.append(str(content))  # type: ignore[method-assign]
    for current in NAMES:
        stepper.show(current, set(NAMES[:-1]), set(NAMES))
        assert len(shown[-1]) <= 80
        assert f"▐{NAMES.index(current) + 1} " in shown[-1]


async def test_a_preset_primary_is_asked_at_once() -> None:
    database = Database({"host": "/run/pg", "port": "5433"})
    session = Session(clock=clock, database=database)
    async with PitrApp(session).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        await until(pilot, lambda: session.facts is not None)
        await until(pilot, lambda: "7711009236814082698" in screen_text(app))
        text = screen_text(app)
        assert "local:5433 ▸ 18.6 ▸ primary: seen " in text
        assert "open for writing" in text
        assert "1 connect ✓" in text


async def test_a_dead_primary_is_told_calmly(monkeypatch: pytest.MonkeyPatch) -> None:
    error = PitrError("cannot connect", "connection refused", "is the server running there?")
    monkeypatch.setattr(FakePrimary, "answer", error)
    session = Session(clock=clock, database=Database({}))
    async with PitrApp(session).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        await until(pilot, lambda: app.wizard.query_one(Problem).display)
        text = screen_text(app)
        assert "✗ cannot connect" in text
        assert "connection refused" in text
        assert "try: is the server running there?" in text
        assert session.facts is None


async def test_without_the_primary_one_goes_on_to_the_archive(tmp_path: Path) -> None:
    session = Session(clock=clock)
    async with PitrApp(session).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        await pilot.press("end", "enter")
        await until(pilot, lambda: app.wizard.current == "archive")
        assert session.primary_is_down
        assert "primary: down" in screen_text(app)
        await paste(pilot, str(tmp_path))
        await pilot.press("enter")
        await until(pilot, lambda: session.archive_directory == tmp_path)
        assert "no WAL segments yet" in screen_text(app)


async def test_a_step_that_cannot_be_entered_says_why() -> None:
    async with PitrApp(Session(clock=clock)).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        await pilot.press("5")
        await until(pilot, lambda: app.wizard.query_one(Problem).display)
        assert app.wizard.current == "connect"
        assert "5 check: not yet" in screen_text(app)
        assert "no primary is connected" in screen_text(app)


async def test_steps_are_reached_by_number_by_click_and_back_by_escape(tmp_path: Path) -> None:
    session = Session(clock=clock, primary_is_down=True, archive_directory=tmp_path)
    async with PitrApp(session).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        await pilot.press("2")
        await until(pilot, lambda: app.wizard.current == "archive")
        await pilot.press("escape")
        await until(pilot, lambda: app.wizard.current == "connect")
        await pilot.click(Stepper, offset=(26, 0))
        await until(pilot, lambda: app.wizard.current == "backups")
        await pilot.press("ctrl+b")
        await until(pilot, lambda: app.wizard.current == "archive")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: app.wizard.current == "backups")


async def test_digits_go_into_a_field_and_not_to_a_step() -> None:
    async with PitrApp(Session(clock=clock)).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        app.wizard.query_one("#conninfo").focus()
        await pilot.press("1", "2", "?", "q")
        assert app.wizard.query_one("#conninfo").value == "12?q"  # type: ignore[attr-defined]
        assert len(app.screen_stack) == 1


async def test_a_typed_password_is_refused_and_cleared() -> None:
    session = Session(clock=clock)
    async with PitrApp(session).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        app.wizard.query_one("#conninfo").focus()
        await paste(pilot, "host=x password=hunter2")
        await pilot.press("enter")
        await until(pilot, lambda: app.wizard.query_one(Problem).display)
        text = screen_text(app)
        assert "hunter2" not in text
        assert "~/.pgpass" in text
        assert session.database is None


async def test_help_has_the_keys_that_hold() -> None:
    async with PitrApp(Session(clock=clock)).run_test(size=LARGE) as pilot:
        app = await opened(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, LessonDialog))
        await pilot.pause()
        text = screen_text(app)
        assert "The primary is the server that lost data" in text
        await pilot.press("end")
        await pilot.pause()
        text = screen_text(app)
        assert "ctrl+n" in text
        assert "f5, ctrl+r" in text
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)


async def test_light_and_dark() -> None:
    async with PitrApp(Session(clock=clock)).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        assert app.theme == DARK
        await pilot.press("ctrl+t")
        assert app.theme == LIGHT
        await pilot.press("ctrl+t")
        assert app.theme == DARK


async def test_outside_text_is_shown_and_never_interpreted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakePrimary, "answer", facts(f"/x/{NASTY}"))
    session = Session(clock=clock, database=Database({}), story=Story(NASTY))
    async with PitrApp(session).run_test(size=LARGE) as pilot:
        app = await opened(pilot)
        await until(pilot, lambda: session.facts is not None)
        app.wizard.panes["connect"].show_problem(PitrError(NASTY, NASTY, NASTY))
        app.wizard.say(NASTY)
        app.push_screen(ConfirmDialog(NASTY, NASTY, NASTY, f"+{NASTY}\n-{NASTY}"))
        await pilot.pause()
        text = screen_text(app)
        assert "[local] [b]x[/b] ␛[31mred [/var/lib/pg]" in text
        assert "\x1b" not in text
        await pilot.press("escape")
        await pilot.pause()
        assert "␛[31mred" in screen_text(app)


async def test_an_unforeseen_exception_is_shown_and_the_app_lives() -> None:
    async with PitrApp(Session(clock=clock)).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        pane = app.wizard.panes["connect"]
        pane.run_job(lambda emit, cancel: 1 / 0, on_done=lambda _: None, busy="dividing")
        await until(pilot, lambda: isinstance(app.screen, CrashDialog))
        await pilot.pause()
        text = screen_text(app)
        assert "ZeroDivisionError" in text
        assert "dividing" in text
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) == 1)


async def test_escape_cancels_a_job_before_it_leads_back() -> None:
    async with PitrApp(Session(clock=clock)).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        pane = app.wizard.panes["connect"]
        failed: list[PitrError] = []

        def job(emit: object, cancel: threading.Event) -> None:
            assert cancel.wait(10)
            raise PitrError("stopped")

        pane.run_job(job, on_done=lambda _: None, on_failed=failed.append, busy="waiting")
        await until(pilot, lambda: "esc cancels" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: failed)
        assert "waiting" not in screen_text(app)


async def test_quitting_asks_while_a_job_runs_and_lets_it_tidy_up() -> None:
    tidied = threading.Event()

    def job(emit: object, cancel: threading.Event) -> None:
        cancel.wait(10)
        tidied.set()

    app = PitrApp(Session(clock=clock))
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        app.wizard.panes["connect"].run_job(job, on_done=lambda _: None, busy="waiting")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("enter")  # Cancel has the focus
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert not tidied.is_set()
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmDialog))
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.return_value is not None)
    assert tidied.is_set()
    assert app.return_value == 0


async def test_quitting_does_not_wait_for_an_engine_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()

    def hanging(reach: Reach, compose: Path | None) -> Behind:
        answered.wait(60)
        return Behind("Docker 29.1")

    monkeypatch.setattr(connect, "look_behind", hanging)
    app = PitrApp(Session(clock=clock))
    try:
        async with app.run_test(size=SMALL) as pilot:
            await opened(pilot)
            await until(pilot, lambda: "asking the engine" in screen_text(app))
            await pilot.press("ctrl+q")
            await until(pilot, lambda: app.return_value is not None)
    finally:
        answered.set()
    assert app.return_value == 0


async def test_a_container_that_was_named_and_is_not_there_is_told() -> None:
    async with PitrApp(Session(clock=clock, container="shop")).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        await until(pilot, lambda: app.wizard.query_one(Problem).display)
        assert "there is no PostgreSQL container 'shop'" in screen_text(app)


async def test_quitting_works_over_a_dialog_too() -> None:
    for dialog in (ConfirmDialog("Throw it away?", "Really.", "Yes"), TextDialog("A", Content())):
        app = PitrApp(Session(clock=clock))
        async with app.run_test(size=SMALL) as pilot:
            await opened(pilot)
            await app.push_screen(dialog)
            await pilot.press("ctrl+q")
        assert app.return_value == 0


async def test_quitting_with_nothing_at_work_asks_nothing() -> None:
    app = PitrApp(Session(clock=clock))
    async with app.run_test(size=SMALL) as pilot:
        await opened(pilot)
        await pilot.press("ctrl+q")
    assert app.return_value == 0


async def test_the_palette_has_the_steps(tmp_path: Path) -> None:
    session = Session(clock=clock, primary_is_down=True, archive_directory=tmp_path)
    async with PitrApp(session).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        commands = {command.title for command in app.get_system_commands(app.screen)}
        assert {"3 backups", "5 check", "Help", "Quit"} <= commands
        await pilot.press("ctrl+p")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await paste(pilot, "3 backups")
        await pilot.press("enter")
        await until(pilot, lambda: app.wizard.current == "backups")


async def test_a_server_that_appears_is_highlighted_and_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pitr_tui.servers.running import RunningServer

    server = RunningServer(Path("/var/lib/pg"), 1, 5433, "/run/pg", "")
    monkeypatch.setattr(connect_found, "find_running", lambda: (server,))
    async with PitrApp(Session(clock=clock)).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        await until(pilot, lambda: "primary 18.6" in screen_text(app))
        assert app.wizard.query_one("#servers", OptionList).highlighted == 0
        await pilot.press("enter")
        await until(pilot, lambda: app.session.facts is not None)
        assert "enter: go on to archive" in str(app.wizard.query_one("#next-line", Static).render())


async def test_a_hasty_enter_does_not_leave_the_preset_primary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows move while servers answer: enter must not hit another one than was meant."""
    from pitr_tui.servers.running import RunningServer

    go_on = threading.Event()
    others = tuple(
        RunningServer(Path(f"/other/{port}"), port, port, "/run/other", "") for port in (1, 2)
    )

    def slow(self: FakePrimary) -> PrimaryFacts:
        if "/run/other" in str(self.database):
            raise PitrError("no connection")
        assert go_on.wait(10)
        return facts()

    monkeypatch.setattr(connect_found, "find_running", lambda: others)
    monkeypatch.setattr(FakePrimary, "facts", slow)
    session = Session(clock=clock, database=Database({"host": "/run/pg"}))
    async with PitrApp(session).run_test(size=SMALL) as pilot:
        app = await opened(pilot)
        await until(pilot, lambda: "no connection" in screen_text(app))
        await pilot.press("enter", "enter")
        go_on.set()
        await until(pilot, lambda: session.facts is not None)
        assert session.database is not None
        assert session.database.parameters["host"] == "/run/pg"
        assert app.wizard.current == "connect"
