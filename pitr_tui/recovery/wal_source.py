"""Where a server's own WAL lies, dead or alive, in a container or on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path, PurePosixPath

from pitr_tui.containers.files import walk_tree
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.control import CONTROL_PATH, ControlHead
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.collect import WalFile, WalSource
from pitr_tui.recovery.switching import switch_wal
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.primary import Primary
from pitr_tui.servers.process import running_pid


def wal_of_container(server: ContainerServer) -> WalSource:
    """The WAL of a container's server. A live one is asked to finish its segment, if it may be.

    Raises RefusedError for a standby and for WAL that serves no recovery, PitrError.
    """
    data = server.container.data_directory
    try:
        control = ControlHead.parse(server.read(data / CONTROL_PATH))
    except FileNotFoundError as error:
        raise PitrError(
            f"the container {server.name} has no cluster", f"there is no {data / CONTROL_PATH}"
        ) from error
    major = _major(control)
    # The dot makes the engine follow a link to a directory elsewhere.
    directory = data / PostgresVersion.parse(major).wal_directory

    def files() -> Iterator[WalFile]:
        for member, content in walk_tree(server.engine, server.container.id, f"{directory}/."):
            name = PurePosixPath(member.name).name
            if content is not None and PurePosixPath(member.name).parent.name != "archive_status":
                yield WalFile(name, member.size, content)

    def names() -> set[str]:
        ran = server.run(["ls", f"{directory}/"])
        if ran.code != 0:
            raise PitrError(f"{directory} of {server.name} cannot be listed", ran.stderr.strip())
        return set(ran.stdout.decode("utf-8", "replace").split())

    source = WalSource(f"the container {server.name}", control.system_identifier, major, files)
    if not server.is_running():
        return source
    current, switched = _finished(Primary(server.database))
    return replace(source, current=current, names=names, switched=switched)


def wal_of_directory(data: Path, primary: Primary | None = None) -> WalSource:
    """The WAL of a data directory on this machine; `primary` is its server when it runs.

    Raises RefusedError for a directory whose server runs and was not named, PitrError.
    """
    try:
        control = ControlHead.parse((data / CONTROL_PATH).read_bytes())
    except OSError as error:
        raise PitrError(
            f"{data} cannot be read as a data directory",
            f"{error.filename}: {error.strerror}",
            "name the directory that has PG_VERSION in it",
        ) from error
    if primary is None and running_pid(data) is not None:
        raise RefusedError(
            f"the server in {data} runs",
            "a live server is asked to finish its segment first",
            "name its connection with -d instead",
        )
    major = _major(control)
    directory = data / PostgresVersion.parse(major).wal_directory

    def files() -> Iterator[WalFile]:
        with _reading(directory):
            paths = sorted(path for path in directory.iterdir() if path.is_file())
        for path in paths:
            try:
                content = path.open("rb")
            except FileNotFoundError:
                yield WalFile(path.name, -1, BytesIO())
                continue
            except OSError as error:
                raise _unreadable(error) from error
            with content:
                yield WalFile(path.name, os.fstat(content.fileno()).st_size, content)

    def names() -> set[str]:
        with _reading(directory):
            return {path.name for path in directory.iterdir()}

    source = WalSource(str(data), control.system_identifier, major, files)
    if primary is None:
        return source
    current, switched = _finished(primary)
    return replace(source, current=current, names=names, switched=switched)


@contextmanager
def _reading(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not error.filename:
            error.filename = str(directory)
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> PitrError:
    return PitrError(
        f"the server's WAL cannot be read: {error.filename}",
        str(error.strerror),
        "run pitr as the server's user, or as root, where the WAL lies",
    )


def _finished(primary: Primary) -> tuple[WalSegment, bool]:
    """The segment that a live server writes, after it was asked to finish the one before."""
    facts = primary.facts()
    if facts.in_recovery:
        raise RefusedError(
            "this server is a standby",
            "it receives its WAL from another server",
            "collect from the primary, or stop this one first",
        )
    level = primary.database.row("SELECT current_setting('wal_level')")[0]
    if level == "minimal":
        raise RefusedError(
            "the WAL of this server cannot be replayed on a backup",
            "wal_level is minimal: a recovery needs replica or logical",
            "set wal_level = replica, restart, and take a new backup; WAL that was written before "
            "it was minimal can be collected once the server is stopped",
        )
    if facts.superuser:
        switch_wal(primary, facts)
    return primary.current_segment(facts), facts.superuser


def _major(control: ControlHead) -> str:
    if control.major is None:
        raise RefusedError(
            "this cluster is of a PostgreSQL that pitr does not know",
            f"its catalog version is {control.catalog_version}",
        )
    return control.major
