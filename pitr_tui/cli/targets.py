"""Where to stop, as the options of a command say it."""

from __future__ import annotations

import argparse

from pitr_tui.errors import UsageError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.moment import parse_moment, zone_named
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
)
from pitr_tui.recovery.events import utc_now


def has_target(parsed: argparse.Namespace) -> bool:
    """Whether a target was named; else there is a default."""
    named = (parsed.target_time, parsed.target_xid, parsed.target_lsn, parsed.target_name)
    return any(one is not None for one in named) or parsed.immediate or parsed.latest


def target_of(parsed: argparse.Namespace) -> RecoveryTarget:
    """The target that was named, or the end of the archive. Raises UsageError."""
    inclusive = not parsed.exclusive
    if parsed.target_time is not None:
        zone = zone_named(parsed.zone) if parsed.zone else None
        return AtTime(parse_moment(parsed.target_time, zone, utc_now()), inclusive)
    if parsed.target_xid is not None:
        return AtXid(parsed.target_xid, inclusive)
    if parsed.target_lsn is not None:
        return AtLsn(Lsn.parse(parsed.target_lsn), inclusive)
    if parsed.exclusive:
        raise UsageError(
            "--exclusive makes no sense here",
            "only a time, a transaction and a WAL position have a before and an after",
        )
    if parsed.target_name is not None:
        return AtName(parsed.target_name)
    return Immediate() if parsed.immediate else Latest()
