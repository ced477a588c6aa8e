"""`pitr archive status` and `pitr archive enable`."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pitr_tui.cli.confirm import interrupted_means, require_yes
from pitr_tui.cli.connection import primary_of, server_of
from pitr_tui.cli.output import Output
from pitr_tui.cli.signals import cancelling
from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.recovery import archiving
from pitr_tui.recovery.archiving import ArchivingChange, ArchivingProof, ArchivingStatus
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.primary import Primary, Setting
from pitr_tui.wording import count_text, duration_text

if TYPE_CHECKING:
    from pitr_tui.recovery.container_archiving import ArchivePlace, ContainerChange
    from pitr_tui.recovery.receiver_status import ReceiverStatus

_REFUSED = RefusedError.exit_code
_LOG_LINES = 400
_UNCHANGED = "nothing was changed"


def status(parsed: argparse.Namespace, output: Output) -> int:
    """Show how the primary archives; exit code 3 when that would not allow a recovery.

    A receiver that has all of the WAL is as good as an archive_command.
    """
    primary = primary_of(parsed)
    found = archiving.archiving_status(primary)
    server = server_of(parsed)
    receiver = _receiver(server)
    received = receiver is not None and receiver.follows
    why_not = found.problems_beside_receiver if received else found.problems
    problems = [*why_not, *_kept(primary, found, server, received)]
    replication = _replication(server)
    if replication["refused"]:
        problems.append(f"a backup client is not let in: {replication['refused']}")
    output.fact(
        {
            "event": "ArchivingStatus",
            **_facts(found),
            **replication,
            "receiver": _receiver_facts(receiver),
            "problems": problems,
        }
    )
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
    fixed = [one for one in found.in_the_way if found.settings[one].fixed_by_command_line]
    if fixed and server and not received:
        output.say(f"  ! to change {', '.join(fixed)}, change {_starter(server)}")
    if receiver and server:
        _say_receiver(receiver, server, output)
    if not found.problems:
        output.say("  ✓ archiving is on")
    return _REFUSED if found.problems and not received else 0


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
    directory = Path(parsed.to).absolute()
    restart = None
    with interrupted_means(_UNCHANGED):
        primary = primary_of(parsed)
        found = archiving.archiving_status(primary)
        change = archiving.propose(primary, found, directory)
        if change.settings:
            output.fact({"event": "ArchivingChange", **_change(change)})
            _say_change(output, change, change.diff)
            if not parsed.yes:
                require_yes("Change it?", output)
            archiving.prepare_archive_directory(found, directory)
            if change.restart and not parsed.no_restart:
                restart = archiving.prepare_restart(found.facts, primary.database)
    cancel = threading.Event()
    with cancelling(cancel):  # a server that was asked to stop is started again in any case
        if change.settings:
            archiving.apply(primary, change, restart)
        return archiving.prove(primary, directory, cancel)


def _enable_in(
    server: ContainerServer, parsed: argparse.Namespace, output: Output
) -> ArchivingProof:
    from pitr_tui.recovery import container_archiving

    with interrupted_means(_UNCHANGED):
        primary = primary_of(parsed)
        found = archiving.archiving_status(primary)
        chosen = PurePosixPath(parsed.to) if parsed.to else None
        directory = container_archiving.archive_directory(server.container, chosen)
        change = container_archiving.propose(server, found, directory)
        place = container_archiving.open_archive(server, directory)
    with place.files.tree.helper:
        with interrupted_means(_UNCHANGED):
            container_archiving.require_same_cluster(place, found)
            if change.needed:
                _announce(server, place, change, output)
                if not parsed.yes:
                    require_yes("Change it?", output)
        copies: tuple[str, ...] = ()
        with interrupted_means(_UNCHANGED, _left(change)):
            if change.needed:
                copies = container_archiving.apply(server, change, not parsed.no_restart)
        cancel = threading.Event()
        with cancelling(cancel):
            if change.needed:
                output.fact({"event": "FilesKept", "copies": copies})
            for copy in copies:
                output.say(f"The file as it was is kept as {copy}.")
            return archiving.prove(primary, place.files, cancel, log=lambda: server.log(_LOG_LINES))


def _announce(
    server: ContainerServer, place: ArchivePlace, change: ContainerChange, output: Output
) -> None:
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
    output.say(f"The archive is {place.command_directory} of {server.name}, that is {place.files}.")
    _say_change(output, change.settings, change.diff)
    for line in change.command_lines:
        output.say(f"In the container root will run: {line}")


def _left(change: ContainerChange) -> str:
    """What an interrupt of the change does not undo."""
    ran = "; ".join(change.command_lines)
    return f"the settings are as they were; this may have run: {ran}" if ran else ""


def _say_change(output: Output, change: ArchivingChange, diff: str) -> None:
    output.say(diff)
    if change.replaced.get("archive_command"):
        output.say(f"This replaces the command {change.replaced['archive_command']!r}.")
    if change.restart:
        output.say(f"The primary will be restarted: {', '.join(change.restart)} needs that.")


def _kept(
    primary: Primary, found: ArchivingStatus, server: ContainerServer | None, received: bool
) -> Sequence[str]:
    """What a server keeps that archives nothing: said where we may see it."""
    if not found.on or found.has_command:
        return ()
    try:
        count = primary.kept_segments(found.facts)
    except PitrError:
        return ()
    directory = found.facts.version.wal_directory
    text = f"{count_text(count, 'segment')} stay in {directory} and are never removed: "
    if received:
        return (f"{text}only a command, or archive_mode off, ends that",)
    if server is None:
        return (f"{text}'pitr archive enable' gives a command, 'pitr archive collect' takes them",)
    which = f"--docker {server.name}"
    if _may_archive(server):
        enable = f"'pitr archive enable {which}' gives a command"
    else:
        enable = f"no archive is mounted, so 'pitr archive receive start {which}' has to take over"
    return (f"{text}{enable}, 'pitr archive collect {which}' takes what is there by now",)


def _receiver(server: ContainerServer | None) -> ReceiverStatus | None:
    """The receiver of a container's server, running or not; None when there is none."""
    if server is None:
        return None
    from pitr_tui.recovery.receiver import Receiver, default_volume
    from pitr_tui.recovery.receiver_status import as_it_is, receiver_status

    try:
        return receiver_status(as_it_is(Receiver(server, default_volume(server.name))))
    except RefusedError:
        return None


def _say_receiver(receiver: ReceiverStatus, server: ContainerServer, output: Output) -> None:
    if receiver.follows:
        place = f"{receiver.name} ({receiver.state}) into volume:{receiver.volume}"
        output.say(f"  ✓ archived by the receiver {place}")
        return
    output.say(f"  ! the receiver {receiver.name} does not follow:")
    for problem in receiver.problems:
        output.say(f"    {problem}")
    action = receiver.action or "status"
    output.say(f"    try: pitr archive receive {action} --docker {server.name}")


def _receiver_facts(receiver: ReceiverStatus | None) -> dict[str, object] | None:
    if receiver is None:
        return None
    return {
        "name": receiver.name,
        "state": receiver.state,
        "volume": receiver.volume,
        "lag_bytes": receiver.lag,
        "follows": receiver.follows,
        "problems": receiver.problems,
    }


def _may_archive(server: ContainerServer) -> bool:
    from pitr_tui.recovery.container_archiving import may_archive

    return may_archive(server.container)


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
