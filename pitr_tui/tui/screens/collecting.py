"""Too late for archiving: an archive from the WAL that the primary itself still has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.recovery.collect import Collected, WalSource, collect
from pitr_tui.recovery.collect_place import new_directory, new_volume
from pitr_tui.recovery.events import Progress, Status
from pitr_tui.recovery.wal_source import wal_of_container, wal_of_directory
from pitr_tui.servers.primary import Primary
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.storage.path import WritePath
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.reach import Place
from pitr_tui.tui.session import Session
from pitr_tui.tui.widgets.facts import Fact
from pitr_tui.wording import count_text, size_text


def can_collect(session: Session) -> bool:
    """Whether there is a server, dead or alive, whose own WAL can be reached."""
    data = session.facts.data_directory if session.facts is not None else None
    if session.origin is not None:
        return isinstance(session.origin, PostgresContainer)
    return data is not None and data.exists()


def new_place(session: Session) -> Place:
    """Where the collected WAL would go: a new volume, or a directory beside the data."""
    stamp = f"{session.clock():%Y%m%d-%H%M%S}"
    if session.origin is not None:
        return EngineLocation(LocationKind.VOLUME, f"pitr-collected-{session.origin.name}-{stamp}")
    data = session.facts.data_directory if session.facts is not None else None
    return (data.parent if data is not None else Path.home()) / f"pitr-collected-{stamp}"


def question(session: Session, place: Place) -> str:
    """What a person should read before saying yes."""
    alive = "It is asked to finish its segment first, so that the newest changes are in it."
    if session.primary_is_down:
        alive = "It does not run: its last segment is taken as far as it was written."
    return (
        f"A new archive is made:\n  {place}\n\n"
        "All WAL that still lies in the primary's own directory is copied into it, apart from "
        f"what its names do not fit. {alive}\n\nNothing is changed at the primary."
    )


def collect_into(
    session: Session, place: Place, emit: Emit[Progress], cancel: threading.Event
) -> Collected:
    """Make the archive. Raises PitrError and OSError; then nothing of it is left."""
    with _made(session, place) as target:
        source = _source(session)
        return collect(source, target, lambda done: emit(Progress(done, 0)), cancel)


def collected_facts(found: Collected, place: Place) -> list[Fact]:
    """What was taken and where it is, and what was left out."""
    count = found.segments + bool(found.unfinished)
    taken = f"{count_text(count, 'segment')}, {size_text(found.total_bytes)}"
    rows = [Fact("collected", taken, f"in {place}", Status.OK)]
    if found.unfinished:
        rows.append(Fact("", f"{found.unfinished} as far as it was written"))
    rows += [Fact("left out", count_text(n, "segment"), why) for why, n in found.left_out.items()]
    return rows


def _source(session: Session) -> WalSource:
    origin = session.origin
    if isinstance(origin, PostgresContainer):
        return wal_of_container(session.reach.server(origin))
    data = session.facts.data_directory if session.facts is not None else None
    if data is None or session.database is None:
        raise RefusedError("there is no primary whose WAL could be collected")
    return wal_of_directory(data, Primary(session.database))


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
