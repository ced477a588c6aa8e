"""Archiving on a primary that has none: shown, confirmed, made, proved; and refused cleanly."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.conf import settings_block
from pitr_tui.recovery import archiving
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.local import LocalServer, socket_settings
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.primary import Primary
from tests.integration.conftest import installed
from tests.integration.test_cli import lines, pitr
from tests.integration.world import World

pytestmark = pytest.mark.integration


@pytest.fixture(params=["11", "18"])
def server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    """A running primary as initdb leaves it, in a directory with an awkward name."""
    world = World(installed(request.param))
    directory = world.directory / "it's 100% $HOME"
    directory.mkdir()
    user = server_user()
    user.own(directory)
    server = LocalServer(
        world.installation,
        directory / "data",
        user,
        world.directory / "s",
        5432,
        world.directory / "log",
    )
    server.initialize()
    user.make_directory(server.socket_directory)
    settings = settings_block(socket_settings(server.socket_directory, 5432))
    user.write_file(server.data_directory / "postgresql.auto.conf", settings)
    server.start()
    server.wait_until_open()
    yield server
    server.stop()
    shutil.rmtree(world.directory)


def dsn(server: LocalServer) -> str:
    return f"host={server.socket_directory} user=postgres"


def enable(server: LocalServer, to: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return pitr("archive", "enable", "-d", dsn(server), "--to", to, *options, "--json")


def test_archiving_is_turned_on_and_proved(server: LocalServer) -> None:
    archive = server.data_directory.parent / "archive of it"
    before = (server.data_directory / "postgresql.auto.conf").read_text()

    status = pitr("archive", "status", "-d", dsn(server), "--json")
    assert status.returncode == 3
    assert "archive_mode is off" in lines(status)[0]["problems"]

    assert enable(server, archive).returncode == 3  # nobody said yes
    assert enable(server, archive, "--yes", "--no-restart").returncode == 3
    assert (server.data_directory / "postgresql.auto.conf").read_text() == before

    done = enable(server, archive, "--yes")
    assert done.returncode == 0, done.stdout
    change, proof = lines(done)
    assert "archive_mode" in change["restart"]
    assert "+archive_mode = 'on'" in change["diff"]
    assert WalArchive(archive).find(proof["segment"]) is not None

    assert pitr("archive", "status", "-d", dsn(server)).returncode == 0
    again = enable(server, archive)
    assert [line["event"] for line in lines(again)] == ["ArchivingProved"]


def test_archive_of_another_cluster_is_refused(server: LocalServer) -> None:
    archive = server.data_directory.parent / "theirs"
    archive.mkdir(mode=0o755)
    source = server.data_directory / server.version.wal_directory / "000000010000000000000001"
    data = bytearray(source.read_bytes())
    data[24:32] = bytes(byte ^ 0xFF for byte in data[24:32])
    (archive / source.name).write_bytes(data)
    done = enable(server, archive, "--yes")
    assert done.returncode == 3
    assert "another cluster" in lines(done)[-1]["what"]


def test_archiver_that_fails_is_told(server: LocalServer) -> None:
    archive = server.data_directory.parent / "broken"
    assert enable(server, archive, "--yes").returncode == 0
    shutil.rmtree(archive)
    primary = Primary(server.database)
    archive.mkdir()
    archive.chmod(0o555)
    server.database.rows("CREATE TABLE something ()")
    segment = primary.current_segment(primary.facts())
    begun = archive / f"{segment.name}.partial"  # a receiver's, and no proof of anything
    begun.write_bytes((server.data_directory / "pg_wal" / segment.name).read_bytes())
    with pytest.raises(PitrError, match="did not arrive"):
        archiving.prove(primary, archive, timeout=5)
    assert any("archiver fails" in one for one in archiving.archiving_status(primary).problems)


def test_mode_on_without_a_command_is_a_problem(server: LocalServer) -> None:
    server.database.rows("ALTER SYSTEM SET archive_mode = 'on'")
    server.stop()
    server.start()
    server.wait_until_open()
    status = archiving.archiving_status(Primary(server.database))
    assert any("WAL piles up" in problem for problem in status.problems)


def test_setting_of_the_command_line_is_refused(server: LocalServer) -> None:
    server.stop()
    started = subprocess.Popen(
        [*server.start_command(), "-c", "archive_mode=off"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=server.data_directory,
        start_new_session=True,
        **server.user.process_options(),
    )
    while not (server.data_directory / "postmaster.pid").exists():
        assert started.poll() is None
        time.sleep(0.01)
    try:
        server.wait_until_open()
        primary = Primary(server.database)
        with pytest.raises(RefusedError, match="cannot be changed in a file"):
            archiving.propose(primary, archiving.archiving_status(primary), Path("/srv/archive"))
    finally:
        server.stop()
        started.wait(30)
