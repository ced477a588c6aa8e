"""The script that the server runs, in every shell found: 1 only for what is proved absent."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pitr_tui.recovery.feeder import (
    FEED_DIRECTORY,
    RESTORE_COMMAND,
    SCRIPT_PATH,
    WalFeeder,
    WalSource,
    restore_script,
)
from pitr_tui.servers.osuser import OsUser
from tests.unit.made import SHELLS, SYSTEM, make_archive, segment, wait_until

DELIVERED, ABSENT, STOP = 0, 1, 255
NAME = segment(2).name
HISTORY = "00000002.history"


@dataclass
class Server:
    """A data directory in which the script runs as a server would run it."""

    directory: Path
    shell: list[str]
    patience: int = 1500

    def __post_init__(self) -> None:
        for name in ("ready", "asked", "answers"):
            (self.feed / name).mkdir(parents=True)
        (self.directory / "pg_wal").mkdir()
        text = restore_script()
        assert "patience=1500 " in text
        text = text.replace("patience=1500 ", f"patience={self.patience} ")
        (self.directory / SCRIPT_PATH).write_text(text)

    @property
    def feed(self) -> Path:
        return self.directory / FEED_DIRECTORY

    @property
    def delivered(self) -> Path:
        return self.directory / "pg_wal" / "RECOVERYXLOG"

    def write(self, name: str, text: str = "") -> None:
        """A file of the feed, there all at once."""
        draft = self.directory / "draft"
        draft.write_text(text)
        draft.rename(self.feed / name)

    @contextmanager
    def asking(self, name: str = NAME) -> Iterator[subprocess.Popen[bytes]]:
        command = [*self.shell, str(SCRIPT_PATH), name, "pg_wal/RECOVERYXLOG"]
        with subprocess.Popen(command, cwd=self.directory, start_new_session=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def ask(self, name: str = NAME) -> int:
        with self.asking(name) as process:
            return process.wait(20)


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


@pytest.fixture
def server(tmp_path: Path, shell: list[str]) -> Server:
    return Server(tmp_path / "data", shell)


@pytest.fixture
def hasty(tmp_path: Path, shell: list[str]) -> Server:
    """A server whose script gives a silent feeder two rounds."""
    return Server(tmp_path / "data", shell, patience=2)


def test_the_servers_command_names_the_script() -> None:
    assert RESTORE_COMMAND.endswith(f"; exec sh {SCRIPT_PATH} %f %p")
    assert restore_script().startswith("#!/bin/sh\n")


@pytest.mark.parametrize("name", [NAME, HISTORY])
def test_what_is_ready_is_delivered_by_a_move(server: Server, name: str) -> None:
    server.write(f"ready/{name}", "wal")
    inode = (server.feed / "ready" / name).stat().st_ino
    assert server.ask(name) == DELIVERED
    assert server.delivered.read_text() == "wal"
    assert server.delivered.stat().st_ino == inode
    assert not any((server.feed / "ready").iterdir())
    assert not any((server.feed / "asked").iterdir())


def test_a_server_that_was_killed_is_not_waited_for(server: Server) -> None:
    """The process that replays waits for the script and cannot notice it by itself."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as postmaster:
        (server.directory / "postmaster.pid").write_text(f"{postmaster.pid}\n/data\n")
        with server.asking() as process:
            wait_until((server.feed / "asked" / NAME).exists)
            assert process.poll() is None
            postmaster.kill()
            postmaster.wait()
            assert process.wait(20) == STOP


def test_a_script_whose_caller_was_killed_delivers_nothing(server: Server) -> None:
    """A later server asks for the same name, and would wait for what this one took."""
    command = [*server.shell, str(SCRIPT_PATH), NAME, "pg_wal/RECOVERYXLOG"]
    calls = "import subprocess, sys; subprocess.call(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", calls, *command], cwd=server.directory, stdout=subprocess.PIPE
    ) as caller:
        wait_until((server.feed / "asked" / NAME).exists)
        caller.kill()
        caller.wait()
        assert caller.stdout is not None
        assert caller.stdout.read() == b""  # at its end nobody holds the other side
    server.write(f"ready/{NAME}", "wal")
    assert not server.delivered.exists()


def test_what_comes_later_is_waited_for(server: Server) -> None:
    with server.asking() as process:
        wait_until((server.feed / "asked" / NAME).exists)
        assert process.poll() is None
        server.write(f"ready/{NAME}", "wal")
        assert process.wait(20) == DELIVERED
    assert server.delivered.read_text() == "wal"
    assert not (server.feed / "asked" / NAME).exists()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("absent\n", ABSENT),
        ("absent", ABSENT),
        ("failed\n", STOP),
        ("", STOP),
        ("\n", STOP),
        ("absentee\n", STOP),
        ("not absent\n", STOP),
        ("abs", STOP),
    ],
)
@pytest.mark.parametrize("name", [NAME, HISTORY])
def test_only_absent_means_absent(server: Server, name: str, answer: str, code: int) -> None:
    with server.asking(name) as process:
        wait_until((server.feed / "asked" / name).exists)
        server.write(f"answers/{name}", answer)
        assert process.wait(20) == code
    assert not server.delivered.exists()
    assert not (server.feed / "answers" / name).exists()


def test_an_answer_of_yesterday_does_not_count(hasty: Server) -> None:
    hasty.write(f"answers/{NAME}", "absent\n")
    assert hasty.ask() == STOP


@pytest.mark.parametrize("heartbeat", [None, "1.5\n"])
def test_a_silent_feeder_stops_the_server(hasty: Server, heartbeat: str | None) -> None:
    if heartbeat:
        hasty.write("heartbeat", heartbeat)
    assert hasty.ask() == STOP
    assert not hasty.delivered.exists()


def test_a_feeder_that_lives_is_waited_for(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", SHELLS[0], patience=40)
    with server.asking() as process:
        wait_until((server.feed / "asked" / NAME).exists)
        for beat in range(50):  # each lasts as long as one look of the script
            server.write("heartbeat", f"{beat}\n")
            wait_one_look(process)
        assert process.poll() is None
        server.write(f"answers/{NAME}", "absent\n")
        assert process.wait(20) == ABSENT


def wait_one_look(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(0.02)
    except subprocess.TimeoutExpired:
        return


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_server(server: Server, number: signal.Signals) -> None:
    with server.asking() as process:
        wait_until((server.feed / "asked" / NAME).exists)
        process.send_signal(number)
        assert process.wait(20) == STOP


@pytest.mark.parametrize("gone", ["", "asked"])
def test_a_place_that_cannot_be_written_stops_the_server(server: Server, gone: str) -> None:
    """Any other code than 255 would promote it, and a shell has codes of its own."""
    shutil.rmtree(server.feed / gone)
    assert server.ask() == STOP


def test_a_destination_that_is_gone_stops_the_server(server: Server) -> None:
    server.write(f"ready/{NAME}", "wal")
    (server.directory / "pg_wal").rmdir()
    assert server.ask() == STOP


class TestClosed:
    """pitr has gone: what lies ready is all there is, and only what is known is absent."""

    def test_what_lies_ready_is_copied_and_stays(self, server: Server) -> None:
        server.write("closed")
        for name in (NAME, HISTORY):
            server.write(f"ready/{name}", name)
            for _ in range(2):
                assert server.ask(name) == DELIVERED
                assert server.delivered.read_text() == name

    def test_another_history_is_absent(self, server: Server) -> None:
        server.write("closed")
        assert server.ask(HISTORY) == ABSENT

    def test_another_segment_stops_the_server(self, server: Server) -> None:
        server.write("closed")
        assert server.ask() == STOP
        assert not any((server.feed / "asked").iterdir())

    def test_a_segment_that_the_server_has_is_left_to_it(self, server: Server) -> None:
        server.write("closed")
        (server.directory / "pg_wal" / NAME).write_text("wal")
        assert server.ask() == ABSENT

    def test_a_segment_that_was_proved_absent_is_absent(self, server: Server) -> None:
        server.write("closed", f"{segment(3).name}\n{NAME}\n")
        assert server.ask() == ABSENT
        assert server.ask(segment(4).name) == STOP

    def test_a_name_is_not_a_pattern(self, server: Server) -> None:
        server.write("closed", f"{NAME}\n")
        assert server.ask(NAME.replace("0", ".")) == STOP
        assert server.ask(NAME[:-1]) == STOP

    def test_a_destination_that_is_gone_stops_the_server(self, server: Server) -> None:
        server.write("closed")
        server.write(f"ready/{NAME}")
        (server.directory / "pg_wal").rmdir()
        assert server.ask() == STOP


def test_feeder_and_script_understand_each_other(tmp_path: Path, shell: list[str]) -> None:
    archive = make_archive(tmp_path / "archive", segment(2), segment(3))
    server = Server(tmp_path / "data", shell)
    shutil.rmtree(server.feed)
    source = WalSource(archive, SYSTEM, "18", segment(2), archive.history(segment(2).timeline))
    feeder = WalFeeder(source, server.feed, OsUser.current())
    feeder.prepare()
    try:
        codes = {}
        for name in (HISTORY, segment(2).name, segment(3).name, segment(4).name):
            with server.asking(name) as process:
                while process.poll() is None:
                    list(feeder.tick())
                codes[name] = process.returncode
        assert list(codes.values()) == [ABSENT, DELIVERED, DELIVERED, ABSENT]
        feeder.finish()
        assert [server.ask(name) for name in codes] == [ABSENT, DELIVERED, DELIVERED, ABSENT]
    finally:
        feeder.stop()
