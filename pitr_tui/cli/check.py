"""`pitr check`: the verdict over a recovery, before anything is copied."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import replace

from pitr_tui.cli.output import Output
from pitr_tui.cli.signals import cancellable
from pitr_tui.cli.transaction_words import wrapped
from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.quote import one_line
from pitr_tui.recovery.checks import Evidence, Judgement, Light, fitted, judge
from pitr_tui.recovery.checks.backup import wholeness_check
from pitr_tui.recovery.events import CheckDone, Status, utc_now
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_story import read_chronicle, survey_archive
from pitr_tui.repositories.wholeness import read_whole
from pitr_tui.wal.aim import aim_at

_NAME = 15  # cells, for the names of the checks of a plan
_SIGNS = {Status.OK: "✓", Status.NOTE: "·", Status.WARNING: "!", Status.FAILURE: "✗"}
_EXIT_CODES = {Light.GREEN: 0, Light.AMBER: 1, Light.RED: RefusedError.exit_code}
_WORDS = {Light.GREEN: "GREEN, go", Light.AMBER: "AMBER, not proved", Light.RED: "RED"}


def check(parsed: argparse.Namespace, output: Output) -> int:
    """Say whether a recovery would get where it should; exit 0 green, 1 amber, 3 red."""
    from pitr_tui.cli.restore import plan_of

    plan = plan_of(parsed)
    plan, judgement = examine(plan, output, quick=parsed.quick, told=told_by(parsed))
    checks = [*judgement.checks, *(_read_through(plan) if parsed.checksums else ())]
    for one in checks:
        show_check(one, output)
        output.fact(
            {
                "event": "Check",
                "name": one.name,
                "status": one.status,
                "evidence": one.evidence,
                "hint": one.hint,
            }
        )
    light = judgement.light
    if any(one.status is Status.FAILURE for one in checks):
        light = Light.RED
    show_verdict(judgement, output, light)
    return _EXIT_CODES[light]


def told_by(parsed: argparse.Namespace) -> Evidence:
    """What a person says of a recovery that no archive can tell."""
    xid, dead = parsed.target_xid, getattr(parsed, "dead_primary", None)
    return Evidence(
        full_xid=xid if xid is not None and xid >= 1 << 32 else None,
        dead_data=dead.absolute() if dead is not None else None,
    )


def examine(
    plan: RecoveryPlan,
    output: Output,
    *,
    quick: bool,
    told: Evidence | None = None,
    reached: Lsn | None = None,
) -> tuple[RecoveryPlan, Judgement]:
    """Look at the WAL on the way of a plan, make the plan fit it, and judge that.

    `quick` looks at the heads of segments alone; `reached` is where a secondary goes on that has
    replayed a part of the way. Raises PitrError when the archive cannot be read.
    """
    evidence = gather(plan, output, quick=quick)
    if told is not None:
        evidence = replace(evidence, full_xid=told.full_xid, dead_data=told.dead_data)
    with suppress(PitrError, OSError):  # the check of what could not be looked at says so
        plan = fitted(plan, evidence)
    return plan, judge(plan, utc_now(), evidence, reached)


def gather(plan: RecoveryPlan, output: Output, *, quick: bool) -> Evidence:
    """What the archive says about a plan; as much of it as can be read."""

    def told(done: int, total: int) -> None:
        output.progress("segments", done, total, "segment")

    with cancellable() as cancel, IndexCache() as cache:
        means = Means(cache, check=cancel)
        surveyed = survey_archive(plan.archive, [plan.backup], means, told)
        if quick:
            return Evidence(surveyed, why_unread="only the heads of the segments were looked at")
        try:
            timeline = plan.history.timeline
            chronicle = read_chronicle(
                surveyed, means, backup=plan.backup, timeline=timeline, told=told
            )
        except PitrError as error:
            if isinstance(error, CancelledError):
                raise
            why = ": ".join(filter(None, (error.what, error.why)))
            return Evidence(surveyed, why_unread=f"the WAL was not read ({why})")
        aim = aim_at(chronicle, plan.target, plan.backup.stop_lsn)
    return Evidence(surveyed, chronicle, aim)


def show_check(one: CheckDone, output: Output, width: int = _NAME) -> None:
    """A check as a line for people, with the fix where one is needed.

    A name longer than `width` has a line of its own.
    """
    sign, name = f"  {_SIGNS[one.status]} ", one_line(one.name)
    indent = len(sign) + width + 1
    head = f"{sign}{name:<{width}} "
    if len(name) > width:
        output.say(sign + name)
        head = " " * indent
    first, *more = wrapped(one.evidence, indent)
    if one.hint and one.status in (Status.WARNING, Status.FAILURE):
        hint, *rest = wrapped(f"try: {one.hint}", indent)
        more += [" " * indent + hint, *rest]
    for line in (head + first, *more):
        output.say(line)


def show_verdict(judgement: Judgement, output: Output, light: Light | None = None) -> None:
    """The light with its sentence; `light` is another one where more was looked at."""
    light = light or judgement.light
    alternative, expected = judgement.alternative, judgement.estimate
    stop = dict(alternative.target.settings()) if alternative else None
    output.fact(
        {
            "event": "Verdict",
            "light": light,
            "sentence": judgement.sentence,
            "alternative": stop,
            "seconds": round(expected.seconds, 1) if expected and expected.seconds else None,
        }
    )
    for line in wrapped(f"{_WORDS[light]}: {judgement.sentence}", 2):
        output.say(line)
    if alternative is not None:
        output.say(f"  or stop {alternative.target}")
    if expected is not None:
        output.say(f"  it will take: {expected}")


def _read_through(plan: RecoveryPlan) -> list[CheckDone]:
    """Every byte of the backup against its manifest."""
    with cancellable() as cancel:
        found = read_whole(plan.backup, cancel)
    if found is None:
        words = "the backup has no manifest with checksums"
        return [CheckDone("checksums", Status.NOTE, words)]
    if found.lost or found.others:
        told = wholeness_check(found)
        return [CheckDone("checksums", Status.FAILURE, told.evidence, told.hint)]
    return [CheckDone("checksums", Status.OK, f"right for {found.looked_at:,} files")]
