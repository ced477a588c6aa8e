"""Checks of the place where the secondary comes to be."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.errors import RefusedError
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.wording import size_text

_WAL_ROOM = 8  # segments that lie ready ahead of the replay


def destination(case: Case) -> Iterator[CheckDone]:
    """A new or empty place, apart from the primary, the backup and the archive."""
    secondary = case.plan.secondary
    secondary.require_apart(case.plan.backup.path, case.plan.archive.directory)
    state = secondary.state_of_place()
    evidence = f"{secondary.destination} ({state}), user {secondary.user.name}"
    yield CheckDone("destination", Status.OK, evidence)


def space(case: Case) -> Iterator[CheckDone]:
    """Room for the data and for the WAL that lies ready."""
    plan = case.plan
    free = plan.secondary.free_bytes()
    if plan.backup.restored_bytes is None:
        yield CheckDone(
            "space",
            Status.WARNING,
            f"{size_text(free)} free; the backup has {size_text(plan.backup.total_bytes)} "
            "compressed, what it will need is not known",
        )
        return
    needed = plan.backup.restored_bytes + _WAL_ROOM * plan.backup.segment_size
    evidence = f"{size_text(free)} free, needs {size_text(needed)}"
    if free <= needed:
        yield CheckDone("space", Status.FAILURE, evidence, "make room, or choose another place")
        return
    replayed = max(int(case.end or case.start) - case.start, 0)
    if free <= needed + replayed:
        yield CheckDone(
            "space",
            Status.NOTE,
            f"{evidence}; the data may grow, {size_text(replayed)} of WAL are replayed",
        )
    else:
        yield CheckDone("space", Status.OK, evidence)


def programs(case: Case) -> Iterator[CheckDone]:
    """The programs are of the backup's major version, with its locales and libraries."""
    plan = case.plan
    if not plan.version.same_major(plan.backup.version):
        raise RefusedError(
            f"the backup is of PostgreSQL {plan.backup.version.major}, the programs are "
            f"{plan.version}",
            "",
            f"use the programs of PostgreSQL {plan.backup.version.major}",
        )
    yield CheckDone("programs", Status.OK, plan.secondary.programs())
    missing = plan.secondary.missing_locales(plan.backup.locales)
    if missing:
        yield CheckDone(
            "locale",
            Status.FAILURE,
            f"there is no locale {' and '.join(missing)} here, and the primary's server needs it",
            "install it (`locale -a` shows what there is), or recover into a container",
        )
    for name, sentence in plan.secondary.warnings():
        yield CheckDone(name, Status.WARNING, sentence)


def harm(case: Case) -> Iterator[CheckDone]:
    """What the secondary's own settings keep it from."""
    exposure = case.plan.secondary.exposure()
    yield CheckDone(
        "harms nobody",
        Status.OK,
        f"archiving, replication and its workers off, {exposure}",
    )
