"""Too late for archiving: an archive from the WAL that the primary itself still has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.recovery.collect import Collected, WalSource, collect
from pitr_tui.recovery.collect_beside import Beside, require_apart
from pitr_tui.recovery.collect_place import new_directory, new_volume
from pitr_tui.recovery.events import Progress, Status
from pitr_tui.recovery.wal_source import wal_of_container, wal_of_directory
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.primary import Primary
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.storage.path import WritePath
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.reach import Place
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session
from pitr_tui.tui.widgets.facts import Fact
from pitr_tui.wording import count_text, size_text


def can_collect(session: Session) -> bool:
    """Whether there is a server, dead or alive, whose own WAL can be reached."""
    if session.origin is not None:
        return isinstance(session.origin, PostgresContainer)
    data = _data_of(session)
    return data is not None and data.exists()


def new_place(session: Session) -> Place:
    """Where the collected WAL would go: a new volume, or a directory beside the data.

    Beside an archive that is a directory the new one is a directory too: it links to the other.
    """
    stamp = f"{session.clock():%Y%m%d-%H%M%S}"
    archive = session.archive_directory
    if session.origin is not None and not isinstance(archive, Path):
        return EngineLocation(LocationKind.VOLUME, f"pitr-collected-{session.origin.name}-{stamp}")
    data = _data_of(session)
    near = data if session.origin is None else archive
    parent = near.parent if isinstance(near, Path) else Path.home()
    return parent / f"pitr-collected-{stamp}"


def joined_archive(session: Session, place: Place) -> Path | None:
    """The archive beside which the WAL would be collected: one of this machine that has WAL."""
    archive = session.archive_directory
    if not isinstance(archive, Path) or not isinstance(place, Path) or not archive.is_dir():
        return None
    listing = WalArchive(archive).listing()
    return archive if listing.segments or listing.partial else None


def question(session: Session, place: Place) -> str:
    """What a person should read before saying yes."""
    alive = "It is asked to finish its segment first, so that the newest changes are in it."
    if session.primary_is_down:
        alive = "It does not run: its last segment is taken as far as it was written."
    taken = (
        "All WAL that still lies in the primary's own directory is copied into it, apart from "
        f"what its names do not fit. {alive}"
    )
    changed = "Nothing is changed at the primary."
    archive = joined_archive(session, place)
    if archive is not None:
        taken = (
            f"Every file of {archive} appears in it as a link. The segments that only "
            f"the primary itself still has are copied to them. {alive}"
        )
        changed = "Nothing is changed at the primary, and nothing in that archive."
    return f"A new archive is made:\n  {place}\n\n{taken}\n\n{changed}"


def ask_and_collect(pane: StepPane, place: Place, done: Callable[[Collected], None]) -> None:
    """Show what will be made, and after a yes make it, as a job of the step."""
    session = pane.session

    def work(emit: Emit[Progress], cancel: threading.Event) -> Collected:
        return collect_into(session, place, emit, cancel)

    def decided(sure: bool | None) -> None:
        if sure:
            pane.run_job(work, on_done=done, busy="collecting WAL")

    def ask(text: str) -> None:
        dialog = ConfirmDialog("Collect the WAL that is still there?", text, "Collect")
        pane.app.push_screen(dialog, decided)

    pane.run_job(lambda emit, cancel: question(session, place), on_done=ask)


def collect_into(
    session: Session, place: Place, emit: Emit[Progress], cancel: threading.Event
) -> Collected:
    """Make the archive. Raises PitrError; then nothing of it is left."""
    archive = joined_archive(session, place)
    beside = Beside(archive) if archive is not None else None
    if isinstance(place, Path):
        kept = (_data_of(session) if session.origin is None else None, archive)
        require_apart(place, [one for one in kept if one is not None])
    with _made(session, place) as target:
        source = _source(session)
        return collect(source, target, lambda done: emit(Progress(done, 0)), cancel, beside)


def collected_facts(found: Collected, place: Place) -> list[Fact]:
    """What was taken and where it is, and what was left out."""
    taken = f"{count_text(len(found.added), 'segment')}, {size_text(found.total_bytes)}"
    rows = [Fact("collected", taken, f"in {place}", Status.OK)]
    if found.linked:
        rows.append(Fact("", f"with {count_text(found.linked, 'file')} of the archive, as links"))
    if found.unfinished:
        rows.append(Fact("", f"{found.unfinished} as far as it was written"))
    for one in found.differences:
        kept = "the primary's was taken" if one.taken else "the archive's was kept"
        rows.append(Fact("differs", one.name, f"{one.words}; {kept}", Status.WARNING))
    rows += [Fact("left out", count_text(n, "segment"), why) for why, n in found.left_out.items()]
    return rows


def _data_of(session: Session) -> Path | None:
    """The data directory of a primary of this machine, running or not."""
    if session.facts is not None:
        return session.facts.data_directory
    return session.dead_data if session.primary_is_down else None


def dead_data_of(session: Session) -> Path | None:
    """The data directory of a primary of this machine that is down and still has it."""
    data = _data_of(session) if session.primary_is_down and session.origin is None else None
    return data if data is not None and data.is_dir() else None


def _source(session: Session) -> WalSource:
    origin = session.origin
    if isinstance(origin, PostgresContainer):
        return wal_of_container(session.reach.server(origin))
    data = _data_of(session)
    if data is None:
        raise RefusedError("there is no primary whose WAL could be collected")
    primary = Primary(session.database) if session.database is not None else None
    return wal_of_directory(data, primary)


@contextmanager
def _made(session: Session, place: Place) -> Iterator[WritePath]:
    if isinstance(place, Path):
        with new_directory(place) as directory:
            yield directory
        return
    if not isinstance(session.origin, PostgresContainer):
        raise PitrError(f"WAL cannot be collected into {place}", "it has no container beside it")
    with new_volume(session.reach.server(session.origin), place) as volume:
        yield volume
