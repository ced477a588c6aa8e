"""`pitr restore`: check, recover, and say what came of it."""

from __future__ import annotations

import argparse
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pitr_tui.cli.check import examine, show_check, show_verdict, told_by
from pitr_tui.cli.connection import compose_service, server_of
from pitr_tui.cli.output import Output
from pitr_tui.cli.places import engine_of, image_of, read_place
from pitr_tui.cli.run_words import tell
from pitr_tui.cli.signals import cancelling
from pitr_tui.cli.targets import target_of
from pitr_tui.errors import PitrError, RefusedError, UsageError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.target import Latest, TargetAction
from pitr_tui.recovery.cancellation import Cancellation
from pitr_tui.recovery.checks import require_passed
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.run import recover
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import Backup, open_backup
from pitr_tui.servers.installation import installation_for
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.secondary import Secondary
from pitr_tui.storage.location import engine_location

if TYPE_CHECKING:
    from pitr_tui.servers.container_secondary import ContainerSecondary


def restore(parsed: argparse.Namespace, output: Output) -> int:
    """Recover a secondary into a new directory, or with --dry-run only tell how."""
    plan = plan_of(parsed)
    keep = _compose_file(parsed, plan)
    plan, judgement = examine(plan, output, quick=parsed.quick, told=told_by(parsed))
    checks = judgement.checks
    for check in checks:
        show_check(check, output)
    told = [{"name": c.name, "status": c.status, "evidence": c.evidence} for c in checks]
    output.fact({"event": "Preflight", "checks": told})
    show_verdict(judgement, output)
    if parsed.dry_run:
        output.fact({"event": "Plan", "files_and_commands": plan.render()})
        output.say()
        output.say(plan.render())
    require_passed(checks)
    if parsed.dry_run:
        return 0
    journal = Journal.create(lambda stamped: tell(stamped, output))
    cancel = Cancellation()
    try:
        with cancelling(cancel):
            recover(plan, journal, cancel, judgement)
        output.say(f"  stop it: {plan.secondary.stop_command()}")
    finally:
        journal.close()
        output.say(f"  the record of this run: {journal.directory}")
    if keep is not None:
        _write_compose(parsed, keep)
        output.say(f"  as a service: {parsed.write_compose}; first: docker rm -f {keep.name}")
    return 0


def _compose_file(parsed: argparse.Namespace, plan: RecoveryPlan) -> ContainerSecondary | None:
    """The secondary that is to be written down as a service, if that was asked for."""
    if parsed.write_compose is None:
        return None
    from pitr_tui.servers.container_secondary import ContainerSecondary

    if not isinstance(plan.secondary, ContainerSecondary):
        raise UsageError(
            "--write-compose needs a secondary in a container", "", "say --to volume:NAME"
        )
    if not parsed.write_compose.absolute().parent.is_dir():
        raise RefusedError(
            f"there is no directory {parsed.write_compose.absolute().parent}", "", "make it first"
        )
    if parsed.write_compose.exists():
        raise RefusedError(
            f"{parsed.write_compose} exists already", "nothing is overwritten", "name a new file"
        )
    return plan.secondary


def _write_compose(parsed: argparse.Namespace, secondary: ContainerSecondary) -> None:
    service = compose_service(parsed).name if parsed.compose else ""
    try:
        parsed.write_compose.write_text(secondary.recipe.compose(service))
    except OSError as error:
        raise PitrError(
            f"{parsed.write_compose} cannot be written",
            f"{error.strerror}; the secondary is recovered all the same",
        ) from error


def plan_of(parsed: argparse.Namespace) -> RecoveryPlan:
    """What the options ask for. Raises PitrError."""
    archive = WalArchive(read_place(parsed, parsed.archive))
    backup = open_backup(read_place(parsed, parsed.backup), archive)
    target = target_of(parsed)
    default = TargetAction.PROMOTE if isinstance(target, Latest) else TargetAction.PAUSE
    return RecoveryPlan(
        backup=backup,
        archive=archive,
        secondary=_secondary(parsed, backup, archive),
        target=target,
        action=TargetAction(parsed.action) if parsed.action else default,
        timeline=TimelineId.parse(parsed.timeline) if parsed.timeline else None,
    )


def _secondary(parsed: argparse.Namespace, backup: Backup, archive: WalArchive) -> Secondary:
    """A place on this machine, or a container where `--to` lies behind the engine."""
    location = engine_location(parsed.to)
    if location is None:
        return LocalSecondary(
            Path(parsed.to).absolute(),
            installation_for(backup.version, parsed.bindir),
            server_user(parsed.os_user),
            parsed.port,
            parsed.role,
        )
    from pitr_tui.servers.container_secondary import ContainerSecondary

    source = server_of(parsed) if parsed.docker else None
    return ContainerSecondary(
        engine=engine_of(parsed),
        image=image_of(parsed, location),
        name=parsed.name or PurePosixPath(location.root).name,
        place=location,
        reads=(archive.directory, backup.path),
        network=parsed.network,
        port=parsed.port,
        role=parsed.role,
        source_image=source.image if source else "",
    )
