"""What has to be done at a primary so that it archives into a place: proposed, asked, done."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.recovery import archiving, container_archiving
from pitr_tui.recovery.archiving import ArchivingChange, ArchivingProof, ArchivingStatus
from pitr_tui.recovery.container_archiving import ArchivePlace, ContainerChange
from pitr_tui.servers.primary import Primary
from pitr_tui.storage.engine_path import EnginePath
from pitr_tui.tui.reach import Place
from pitr_tui.tui.screens.mounted import inside_of
from pitr_tui.tui.screens.receiving import is_received, prove_received
from pitr_tui.tui.session import Session

if TYPE_CHECKING:
    from pathlib import PurePosixPath

_LOG_LINES = 400


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change with what a person has to know of it before saying yes."""

    place: Place
    settings: ArchivingChange
    inside: ContainerChange | None = None

    @property
    def needed(self) -> bool:
        return self.inside.needed if self.inside is not None else bool(self.settings.settings)

    @property
    def diff(self) -> str:
        return self.inside.diff if self.inside is not None else self.settings.diff

    @property
    def commands(self) -> tuple[str, ...]:
        """What root will run in the container."""
        return self.inside.command_lines if self.inside is not None else ()

    @property
    def lets_in(self) -> bool:
        """Whether a backup client has to be let in first."""
        return self.inside is not None and self.inside.access is not None

    @property
    def restart(self) -> tuple[str, ...]:
        """The settings that count from the next start only."""
        return self.settings.restart

    @property
    def title(self) -> str:
        """What is proposed, in the words above its diff."""
        files = ["postgresql.auto.conf"] if self.settings.settings else []
        files += ["pg_hba.conf"] if self.lets_in else []
        need = f"needs a RESTART ({', '.join(self.restart)})" if self.restart else "no restart"
        return f"Proposed for {' and '.join(files) or 'the directory'}, {need}:"


def propose(session: Session, place: Place) -> Proposal | None:
    """The change that makes the connected primary archive into a place; None without one.

    Raises RefusedError where no file can do that, PitrError.
    """
    status, database, origin = session.archiving, session.database, session.origin
    if session.primary_is_down or database is None or status is None:
        return None
    if isinstance(origin, PostgresContainer):
        server = session.reach.server(origin)
        change = container_archiving.propose(server, status, _inside(origin, place))
        return Proposal(place, change.settings, change)
    if not isinstance(place, Path):
        raise RefusedError(
            f"the primary cannot archive into {place}",
            "that is behind a Docker engine, and the primary is not",
            "name a directory of the primary's machine",
        )
    return Proposal(place, archiving.propose(Primary(database), status, place))


def access_alone(proposal: Proposal) -> Proposal:
    """The same without its settings: those in force work, and are left alone."""
    settings = replace(proposal.settings, settings={}, replaced={}, diff="", restart=())
    if proposal.inside is None:
        return replace(proposal, settings=settings)
    inside = replace(proposal.inside, settings=settings, commands=())
    return replace(proposal, settings=settings, inside=inside)


def question(session: Session, proposal: Proposal) -> tuple[str, str, str]:
    """Title, text and the word of the yes, for the dialog that asks before the change."""
    restart = (
        "\nTHE PRIMARY WILL BE RESTARTED: connections are cut for some seconds. "
        f"({', '.join(proposal.restart)} can only be set at a start.)"
        if proposal.restart
        else "\nNo restart: it counts at once."
    )
    place = f"The archive is {proposal.place}."
    if isinstance(proposal.place, Path) and not proposal.place.is_dir():
        place += " It will be created."
    if not proposal.settings.settings and proposal.inside is None:
        text = f"{proposal.place} is made for the primary's user. No setting changes."
        return "Make the archive directory?", text, "Make it"
    rows = [place]
    if proposal.settings.settings:
        rows.insert(
            0,
            f"On {session.database}, postgresql.auto.conf is changed by ALTER SYSTEM as shown "
            "below.",
        )
    old = proposal.settings.replaced.get("archive_command")
    rows += [f"This replaces the command {old!r}."] if old else []
    if proposal.inside is not None:
        if proposal.inside.access:
            rows.append(f"pg_hba.conf gets the line: {proposal.inside.access.rule}")
        rows += [f"In the container root will run: {line}" for line in proposal.commands]
        rows.append("A copy of each changed file is kept beside it.")
    confirm = "Change and restart" if proposal.restart else "Change"
    title = "Let a backup client in?" if proposal.lets_in else "Make the archive directory?"
    if proposal.settings.settings:
        title = "Turn archiving on?"
    return title, "\n".join([*rows, restart]), confirm


def carry_out(session: Session, proposal: Proposal) -> ArchivingStatus:
    """Do it, and ask the primary anew. Raises PitrError; then the files are as they were."""
    status, database, origin = session.archiving, session.database, session.origin
    if status is None or database is None:
        raise PitrError("there is no primary that could be changed")
    primary = Primary(database)
    if isinstance(origin, PostgresContainer) and proposal.inside is not None:
        files = session.reach.path(proposal.place)
        if isinstance(files, EnginePath):
            place = ArchivePlace(_inside(origin, proposal.place), files)
            container_archiving.require_same_cluster(place, status)
        container_archiving.apply(session.reach.server(origin), proposal.inside, True)
    else:
        change, directory = proposal.settings, proposal.settings.archive_directory
        restart = archiving.prepare_restart(status.facts, database) if change.restart else None
        archiving.prepare_archive_directory(status, directory)
        archiving.apply(primary, change, restart)
    return archiving.archiving_status(primary)


def prove(session: Session, cancel: threading.Event) -> ArchivingProof:
    """Finish a segment and watch it arrive in the session's archive. Raises PitrError."""
    database, place, origin = session.database, session.archive_directory, session.origin
    if database is None or place is None:
        raise PitrError("nothing can be proved yet: archiving is not on")
    files = session.reach.path(place)
    if not isinstance(origin, PostgresContainer):
        return archiving.prove(Primary(database), files, cancel)
    if is_received(session, place):
        return prove_received(Primary(database), files, cancel)
    server = session.reach.server(origin)
    return archiving.prove(Primary(database), files, cancel, log=lambda: server.log(_LOG_LINES))


def _inside(origin: PostgresContainer, place: Place) -> PurePosixPath:
    """The path at which the primary's container sees a place. Raises RefusedError."""
    inside = inside_of(origin, place)
    if inside is None:
        targets = ", ".join(str(mount.target) for mount in origin.mounts) or "nothing"
        raise RefusedError(
            f"the container {origin.name} cannot archive into {place}",
            f"it does not see it: mounted in it are {targets}",
            "name one of its mounts, or receive the WAL beside it, which needs none",
        )
    return inside
