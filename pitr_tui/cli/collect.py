"""`pitr archive collect`: an archive from the WAL that a primary still has, dead or alive."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pitr_tui.cli.connection import primary_of, server_of
from pitr_tui.cli.output import Output
from pitr_tui.cli.signals import cancelling
from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.recovery.collect import Collected, WalSource
from pitr_tui.recovery.collect import collect as collect_wal
from pitr_tui.recovery.collect_beside import Beside, require_apart
from pitr_tui.recovery.collect_place import new_directory, new_volume
from pitr_tui.recovery.wal_source import wal_of_container, wal_of_directory
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.storage.location import LocationKind, engine_location
from pitr_tui.storage.path import WritePath
from pitr_tui.wording import count_text, size_text


def collect(parsed: argparse.Namespace, output: Output) -> int:
    """Copy what is usable, and say what was left out and which gaps there are."""
    server = server_of(parsed)
    if server and parsed.source:
        raise UsageError("--from is a directory of this machine", "", "leave it out with --docker")
    beside = _beside(parsed)
    with _place(server, parsed.to) as target:
        source = _source(server, parsed, beside)
        if source.current:
            asked = "was asked to finish its segment" if source.switched else "is alive"
            output.say(f"{source.description} {asked}; it goes on with {source.current.name}")
        cancel = threading.Event()
        with cancelling(cancel):
            found = collect_wal(
                source, target, lambda done: output.progress("WAL", done, 0, "byte"), cancel, beside
            )
        output.fact({"event": "WalCollected", "archive": str(target), **_facts(source, found)})
        if beside is not None:
            _say_joined(output, str(target), beside, found)
        else:
            _say(output, str(target), found)
        _say_gaps(output, source, found)
        if beside is not None:
            output.say(f"  the links hold as long as {beside.directory} stays where it is")
    return 0


def _beside(parsed: argparse.Namespace) -> Beside | None:
    """The archive of --with. Raises RefusedError for a new one in a place that must not change."""
    if engine_location(parsed.to) is None:
        kept = [place for place in (parsed.source, parsed.beside) if place is not None]
        require_apart(Path(parsed.to).absolute(), kept)
    if parsed.beside is None:
        return None
    if engine_location(parsed.to) is not None or engine_location(str(parsed.beside)) is not None:
        raise UsageError(
            "--with joins directories of this machine",
            "the new archive has links to the files of the old one, which lead nowhere in a volume",
            "collect into a directory; or leave out --with, and copy both into one place",
        )
    return Beside(parsed.beside)


def _source(
    server: ContainerServer | None, parsed: argparse.Namespace, beside: Beside | None
) -> WalSource:
    """Where the WAL lies. Looks at the archive beside it before a live primary is asked."""
    if server:
        return wal_of_container(server)
    if parsed.source:
        return wal_of_directory(parsed.source)
    primary = primary_of(parsed)
    facts = primary.facts()
    if beside is not None:
        beside.require_cluster(facts.system_identifier)
    data = facts.data_directory
    if data is None or not data.exists():
        raise RefusedError(
            "the primary's data directory is not on this machine",
            f"it is {data}" if data else "only a superuser is told where it is",
            "run pitr where the server runs, or name its container with --docker",
        )
    return wal_of_directory(data, primary)


@contextmanager
def _place(server: ContainerServer | None, text: str) -> Iterator[WritePath]:
    """The new, empty archive; it is taken away again when nothing comes into it."""
    location = engine_location(text)
    if location is None:
        with new_directory(Path(text).absolute()) as directory:
            yield directory
        return
    if server is None or location.kind is not LocationKind.VOLUME or location.path.parts:
        raise UsageError(
            f"WAL cannot be collected into {text}",
            "it is a directory of this machine, or a volume beside the container of --docker",
            "name a new directory, or volume:NAME with --docker",
        )
    with new_volume(server, location) as volume:
        yield volume


def _say(output: Output, place: str, found: Collected) -> None:
    segments = count_text(found.segments + bool(found.unfinished), "segment")
    amount = f"{segments}, {size_text(found.total_bytes)}"
    output.say(f"✓ {amount} in {place}")
    for run in found.ranges:
        words = f"  {run.first.name}"
        output.say(words if run.count == 1 else f"{words} … {run.last.name}")


def _say_joined(output: Output, place: str, beside: Beside, found: Collected) -> None:
    output.say(f"✓ {count_text(found.linked, 'file')} of {beside.directory} linked in {place}")
    segments = count_text(len(found.added), "segment")
    output.say(f"✓ {segments} that only the server has, {size_text(found.total_bytes)}")
    for name in found.added:
        output.say(f"  {name}")
    if found.archived:
        output.say(f"  {count_text(found.archived, 'segment')} of the server archived as they are")
    for one in found.differences:
        kept = "the server's was taken" if one.taken else "the archive's was kept"
        output.say(f"  ! {one.name} differs: {one.words}; {kept}")


def _say_gaps(output: Output, source: WalSource, found: Collected) -> None:
    if found.unfinished:
        output.say(
            f"  and {found.unfinished} as far as it was written: the server had not finished it"
        )
    for before, after in found.gaps:
        lost = after.number - before.number - 1
        output.say(f"  ! a gap: {count_text(lost, 'segment')} missing after {before.name}")
    for why, count in found.left_out.items():
        output.say(f"  left out: {count_text(count, 'segment')} {why}")
    if source.current and not source.switched:
        output.say("  ! only a superuser can finish a segment: the newest changes are not in it")


def _facts(source: WalSource, found: Collected) -> dict[str, object]:
    ranges = found.ranges
    return {
        "segments": found.segments,
        "first": ranges[0].first.name if ranges else None,
        "last": ranges[-1].last.name if ranges else None,
        "ranges": [[run.first.name, run.last.name] for run in ranges],
        "gaps": [[before.name, after.name] for before, after in found.gaps],
        "histories": found.histories,
        "unfinished": found.unfinished,
        "left_out": found.left_out,
        "bytes": found.total_bytes,
        "added": found.added,
        "linked": found.linked,
        "archived": found.archived,
        "differences": [
            {"name": one.name, "taken": one.taken, "words": one.words} for one in found.differences
        ],
        "switched": source.switched,
    }
