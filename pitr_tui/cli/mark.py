"""`pitr mark`: minute zero on a primary that lives. Where it is, a restore point, its archiving."""

from __future__ import annotations

import argparse
import threading
from datetime import UTC

from pitr_tui.cli.connection import primary_of
from pitr_tui.cli.output import Output
from pitr_tui.cli.signals import cancelling
from pitr_tui.recovery.minute_zero import (
    MarkOrder,
    plan_mark,
    set_mark,
    wait_until_archived,
)


def mark(parsed: argparse.Namespace, output: Output) -> int:
    """Set the mark, tell its name at once, and then wait until its segment is archived."""
    primary = primary_of(parsed)
    order = plan_mark(primary)
    output.fact({"event": "Position", **order.position.facts()})
    _say_position(output, order)
    done = set_mark(primary, order)
    output.fact({"event": "Marked", **done.facts(), "journal": str(done.journal)})
    output.say(f"✓ restore point {done.name} at {done.lsn}")
    output.say(
        f"  everything up to {done.time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00 lies before"
    )
    output.say(f"  transaction {done.xid}, which committed behind it")
    output.say(f"  written down in {done.journal}")
    output.say(f"  as a target: pitr restore ... --target-name {done.name}")
    if order.not_archived:
        output.fact({"event": "NotArchived", "segment": done.segment.name, "why": kept(order)})
        output.say(f"! {kept(order)}")
        output.say("  'pitr archive collect' makes an archive from what lies there")
        return 0
    output.begin(f"waiting until {done.segment.name} is archived")
    cancel = threading.Event()
    with cancelling(cancel):
        seen = wait_until_archived(primary, done, cancel, parsed.timeout)
    output.fact({"event": "Archived", "segment": done.segment.name, "seen": seen.last_archived})
    output.say(f"✓ {done.segment.name} is archived, says the primary")
    return 0


def kept(order: MarkOrder) -> str:
    """What becomes of the WAL where nothing archives it."""
    where = order.facts.version.wal_directory
    return f"{order.not_archived}: the WAL stays in {where} only, until it is recycled there"


def _say_position(output: Output, order: MarkOrder) -> None:
    now, seen = order.position, order.position.archiver
    output.say(f"the primary is at {now.lsn}, timeline {int(now.segment.timeline)}")
    output.say(f"  its clock      {now.time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00")
    output.say(f"  segment        {now.segment.name}")
    output.say(f"  transactions   {now.snapshot}")
    output.say(f"  archived last  {seen.last_archived or 'nothing'}")
    if seen.failing:
        output.say(f"  ! failed last  {seen.last_failed}, {seen.failed_count} times")
    for statement in order.statements:
        output.say(f"  runs           {statement};")
