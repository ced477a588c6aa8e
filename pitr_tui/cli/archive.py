"""`pitr archive status` and `pitr archive enable`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pitr_tui.cli.connection import primary_of, server_of
from pitr_tui.cli.output import Output
from pitr_tui.errors import CancelledError, PitrError, RefusedError, UsageError
from pitr_tui.recovery import archiving
from pitr_tui.recovery.archiving import ArchivingChange, ArchivingProof, ArchivingStatus
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.primary import Primary, Setting
from pitr_tui.wording import count_text, duration_text

_REFUSED = RefusedError.exit_code
_LOG_LINES = 400


def status(parsed: argparse.Namespace, output: Output) -> int:
    """Show how the primary archives; exit code 3 when that would not allow a recovery."""
    primary = primary_of(parsed)
    found = archiving.archiving_status(primary)
    problems = [*found.problems, *_kept(primary, found)]
    server = server_of(parsed)
    replication = _replication(server)
    if replication["refused"]:
        problems.append(f"a backup client is not let in: {replication['refused']}")
    output.fact({"event": "ArchivingStatus", **_facts(found), **replication, "problems": problems})
    output.say(f"PostgreSQL {found.facts.version}, system {found.facts.system_identifier}")
    for setting in (*found.settings.values(), *found.retention.values()):
        unit = f" {setting.unit}" if setting.unit else ""
        output.say(
            f"  {setting.name:<22} {setting.value or '(empty)'}{unit}   [{_source(setting)}]"
        )
    archiver = found.archiver
    if archiver.last_archived:
        output.say(
            f"  last archived          {archiver.last_archived} {archiver.last_archived_time}"
        )
    if replication["replication"]:
        output.say("  ✓ a backup client is let in from 127.0.0.1")
    for problem in problems:
        output.say(f"  ! {problem}")
    fixed = [one.name for one in found.settings.values() if one.fixed_by_command_line]
    if fixed and server:
        output.say(f"  ! to change {', '.join(fixed)}, change {_starter(server)}")
    if not found.problems:
        output.say("  ✓ archiving is on")
    return _REFUSED if found.problems else 0


def enable(parsed: argparse.Namespace, output: Output) -> int:
    """Turn archiving on after showing the change, and prove it with one segment."""
    server = server_of(parsed)
    proof = _enable_here(parsed, output) if server is None else _enable_in(server, parsed, output)
    output.fact({"event": "ArchivingProved", "segment": proof.segment, "seconds": proof.seconds})
    output.say(f"✓ segment {proof.segment} was archived, whole, in {duration_text(proof.seconds)}")
    return 0


def _enable_here(parsed: argparse.Namespace, output: Output) -> ArchivingProof:
    if parsed.to is None:
        raise UsageError("the archive is not named", "", "name its directory with --to")
    primary = primary_of(parsed)
    directory = Path(parsed.to).absolute()
    found = archiving.archiving_status(primary)
    change = archiving.propose(primary, found, directory)
    if change.settings:
        output.fact({"event": "ArchivingChange", **_change(change)})
        _say_change(output, change, change.diff)
        if not parsed.yes:
            _confirm(output)
        archiving.prepare_archive_directory(found, directory)
        restart = None
        if change.restart and not parsed.no_restart:
            restart = archiving.prepare_restart(found.facts, primary.database)
        archiving.apply(primary, change, restart)
    return archiving.prove(primary, directory)


def _enable_in(
    server: ContainerServer, parsed: argparse.Namespace, output: Output
) -> ArchivingProof:
    from pitr_tui.recovery import container_archiving

    primary = primary_of(parsed)
    found = archiving.archiving_status(primary)
    chosen = PurePosixPath(parsed.to) if parsed.to else None
    directory = container_archiving.archive_directory(server.container, chosen)
    change = container_archiving.propose(server, found, directory)
    place = container_archiving.open_archive(server, directory)
    try:
        container_archiving.require_same_cluster(place, found)
        if change.needed:
            output.fact(
                {
                    "event": "ArchivingChange",
                    **_change(change.settings),
                    "diff": change.diff,
                    "pg_hba": change.access.rule if change.access else None,
                    "commands": change.command_lines,
                    "archive": str(place.files),
                }
            )
            output.say(f"The archive is {directory} of {server.name}, that is {place.files}.")
            _say_change(output, change.settings, change.diff)
            for line in change.command_lines:
                output.say(f"In the container root will run: {line}")
            if not parsed.yes:
                _confirm(output)
            copies = container_archiving.apply(server, change, not parsed.no_restart)
            output.fact({"event": "FilesKept", "copies": copies})
            for copy in copies:
                output.say(f"The file as it was is kept as {copy}.")
        return archiving.prove(primary, place.files, log=lambda: server.log(_LOG_LINES))
    finally:
        place.files.tree.helper.close()


def _say_change(output: Output, change: ArchivingChange, diff: str) -> None:
    output.say(diff)
    if change.replaced.get("archive_command"):
        output.say(f"This replaces the command {change.replaced['archive_command']!r}.")
    if change.restart:
        output.say(f"The primary will be restarted: {', '.join(change.restart)} needs that.")


def _confirm(output: Output) -> None:
    if output.as_json or not sys.stdin.isatty():
        raise RefusedError(
            "nothing was changed", "the change was not confirmed", "say --yes to accept it"
        )
    if input("Change it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise CancelledError("nothing was changed")


def _kept(primary: Primary, found: ArchivingStatus) -> Sequence[str]:
    """What a server keeps that archives nothing: said where we may see it."""
    if not found.on or found.has_command:
        return ()
    try:
        count = primary.kept_segments(found.facts)
    except PitrError:
        return ()
    return (
        f"{count_text(count, 'segment')} stay in {found.facts.version.wal_directory} and are never "
        "removed: turn the command on with 'pitr archive enable', or take them with "
        "'pitr archive collect'",
    )


def _replication(server: ContainerServer | None) -> dict[str, object]:
    """Whether a backup client beside the container's server is let in; unknown elsewhere."""
    if server is None:
        return {"replication": None, "refused": None}
    from pitr_tui.recovery.access import replication_refusal

    refused = replication_refusal(server.database)
    return {"replication": refused is None, "refused": refused}


def _starter(server: ContainerServer) -> str:
    from pitr_tui.recovery.container_archiving import starter

    return starter(server.container)


def _source(setting: Setting) -> str:
    fixed = ", which no file can override" if setting.fixed_by_command_line else ""
    waits = ", waits for a restart" if setting.pending_restart else ""
    return f"{setting.where}{fixed}{waits}"


def _facts(found: ArchivingStatus) -> dict[str, object]:
    return {
        "version": str(found.facts.version),
        "system_identifier": found.facts.system_identifier,
        "archiving": found.on and found.has_command,
        "settings": _settings({**found.settings, **found.retention}),
        "last_archived": found.archiver.last_archived,
        "last_failed": found.archiver.last_failed,
    }


def _settings(settings: Mapping[str, Setting]) -> dict[str, object]:
    return {
        name: {
            "value": one.value,
            "unit": one.unit,
            "source": one.source,
            "file": one.source_file,
            "line": one.source_line,
            "fixed": one.fixed_by_command_line,
        }
        for name, one in settings.items()
    }


def _change(change: ArchivingChange) -> dict[str, object]:
    return {
        "settings": change.settings,
        "replaced": change.replaced,
        "restart": change.restart,
        "diff": change.diff,
    }
