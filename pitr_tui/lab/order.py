"""From what a person asks for to an order that a lab can be begun with."""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.lab.play import StartOrder
from pitr_tui.lab.record import Lab
from pitr_tui.lab.scenario import Scenario
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.installation import (
    Installation,
    embedded_installation,
    find_installations,
)
from pitr_tui.servers.osuser import OsUser, server_user

_SEEDS = 10_000  # to draw from: short enough to be told on the telephone
_LARGEST_SEED = 2**31 - 1
_FASTEST = 1000.0
_SLOWEST = 0.001


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for; None is our choice. An empty `image` is any that fits."""

    version: PostgresVersion | None = None
    seed: int | None = None
    directory: Path | None = None
    rate: float | None = None
    image: str | None = None


def order_for(scenario: Scenario, wanted: Wanted) -> StartOrder:
    """Nothing is made by it. Raises UsageError, RefusedError where it cannot be had."""
    _require_sensible(wanted)
    user = server_user()
    image: str | None = None
    if wanted.image is None:
        installation = _installed(wanted.version, user)
    else:
        from pitr_tui.lab.container_ground import programs_in

        image, installation = programs_in(wanted.image or None, wanted.version)
    return StartOrder(
        scenario=scenario,
        seed=secrets.randbelow(_SEEDS) if wanted.seed is None else wanted.seed,
        installation=installation,
        user=user,
        directory=wanted.directory or _new_directory(),
        rate=wanted.rate,
        image=image,
    )


def order_again(lab: Lab) -> StartOrder:
    """The same accident in the same place, which is free when that lab has ended.

    Raises RefusedError when its programs are not there any more: then it had better not end.
    """
    if lab.image is None and not Installation(lab.bindir, lab.version).has("initdb"):
        raise RefusedError(
            f"the PostgreSQL {lab.version} that made this lab is not there any more",
            f"{lab.bindir} has no initdb",
            "`pitr lab stop`, then `pitr lab start` with another version",
        )
    changed = lab.primary_state == "runs" and lab.rate != lab.scenario.world.rate
    return StartOrder(
        scenario=lab.scenario,
        seed=lab.seed,
        installation=Installation(lab.bindir, lab.version),
        user=server_user(lab.os_user),
        directory=lab.directory,
        rate=lab.rate if changed else None,
        image=lab.image,
    )


def _new_directory() -> Path:
    """A name that nobody has; `play.start` makes it."""
    return Path(tempfile.gettempdir()) / f"pitr-lab-{secrets.token_hex(4)}"


def _installed(version: PostgresVersion | None, user: OsUser) -> Installation:
    """The embedded server or another one that is here; of this major version, if one is named."""
    problem: RefusedError | None = None
    try:
        embedded = embedded_installation(user)
        if version is None or embedded.version.same_major(version):
            return embedded
    except RefusedError as error:
        problem = error
    found = [one for one in find_installations() if one.has("initdb")]
    for one in found:
        if version is None or one.version.same_major(version):
            return one
    if version is None and problem is not None:
        raise problem
    major = version.major if version is not None else ""
    raise RefusedError(
        f"there is no PostgreSQL {major} here to make a primary with",
        f"found: {', '.join(str(one.version) for one in found) or 'none at all'}",
        "name its programs' directory in PITR_BINDIRS, or say --docker",
    )


def _require_sensible(wanted: Wanted) -> None:
    """Raises UsageError for a seed or a rate that cannot be."""
    if wanted.seed is not None and not 0 <= wanted.seed <= _LARGEST_SEED:
        raise UsageError(
            f"{wanted.seed} is no seed", "", f"a whole number from 0 to {_LARGEST_SEED}"
        )
    slow = wanted.rate is not None and 0 < wanted.rate < _SLOWEST
    if wanted.rate is not None and (slow or not 0 <= wanted.rate <= _FASTEST):
        raise UsageError(
            f"{wanted.rate:g} transactions a second cannot be",
            "",
            f"0 (the shop stands still), or a number from {_SLOWEST:g} to {_FASTEST:g}",
        )
