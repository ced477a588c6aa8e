"""`pitr archive status` and `pitr archive enable`."""

from __future__ import annotations

import argparse
import sys

from pitr_tui.cli.connection import primary_of
from pitr_tui.cli.output import Output
from pitr_tui.errors import CancelledError, RefusedError
from pitr_tui.recovery import archiving
from pitr_tui.recovery.archiving import ArchivingChange, ArchivingStatus
from pitr_tui.wording import duration_text

_REFUSED = RefusedError.exit_code


def status(parsed: argparse.Namespace, output: Output) -> int:
    """Show how the primary archives; exit code 3 when that would not allow a recovery."""
    found = archiving.archiving_status(primary_of(parsed))
    output.fact({"event": "ArchivingStatus", **_facts(found)})
    output.say(f"PostgreSQL {found.facts.version}, system {found.facts.system_identifier}")
    for setting in found.settings.values():
        output.say(f"  {setting.name:<18} {setting.value or '(empty)'}   [{setting.source}]")
    archiver = found.archiver
    if archiver.last_archived:
        output.say(f"  last archived      {archiver.last_archived} {archiver.last_archived_time}")
    for problem in found.problems:
        output.say(f"  ! {problem}")
    if not found.problems:
        output.say("  ✓ archiving is on")
    return _REFUSED if found.problems else 0


def enable(parsed: argparse.Namespace, output: Output) -> int:
    """Turn archiving on after showing the change, and prove it with one segment."""
    primary = primary_of(parsed)
    directory = parsed.to.absolute()
    found = archiving.archiving_status(primary)
    change = archiving.propose(primary, found, directory)
    if change.settings:
        output.fact({"event": "ArchivingChange", **_change(change)})
        output.say(change.diff)
        if change.replaced.get("archive_command"):
            output.say(f"This replaces the command {change.replaced['archive_command']!r}.")
        if change.restart:
            output.say(f"The primary will be restarted: {', '.join(change.restart)} needs that.")
        if not parsed.yes:
            _confirm(output)
        archiving.prepare_archive_directory(found, directory)
        restart = None
        if change.restart and not parsed.no_restart:
            restart = archiving.prepare_restart(found.facts, primary.database)
        archiving.apply(primary, change, restart)
    proof = archiving.prove(primary, directory)
    output.fact({"event": "ArchivingProved", "segment": proof.segment, "seconds": proof.seconds})
    output.say(f"✓ segment {proof.segment} was archived, whole, in {duration_text(proof.seconds)}")
    return 0


def _confirm(output: Output) -> None:
    if output.as_json or not sys.stdin.isatty():
        raise RefusedError(
            "nothing was changed", "the change was not confirmed", "say --yes to accept it"
        )
    if input("Change it? [y/N] ").strip().lower() not in ("y", "yes"):
        raise CancelledError("nothing was changed")


def _facts(found: ArchivingStatus) -> dict[str, object]:
    return {
        "version": str(found.facts.version),
        "system_identifier": found.facts.system_identifier,
        "archiving": found.on and found.has_command,
        "problems": found.problems,
        "settings": {
            name: {"value": one.value, "source": one.source, "file": one.source_file}
            for name, one in found.settings.items()
        },
        "last_archived": found.archiver.last_archived,
        "last_failed": found.archiver.last_failed,
    }


def _change(change: ArchivingChange) -> dict[str, object]:
    return {
        "settings": change.settings,
        "replaced": change.replaced,
        "restart": change.restart,
        "diff": change.diff,
    }
