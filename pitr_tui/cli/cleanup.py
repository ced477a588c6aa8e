"""`pitr cleanup`: list what pitr left in a Docker engine, and remove it."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import UTC, datetime

from pitr_tui.cli.confirm import require_yes
from pitr_tui.cli.output import Output
from pitr_tui.containers.engine import Engine, EngineError
from pitr_tui.containers.leftovers import (
    Cleanup,
    Leftover,
    find_leftovers,
    is_open_for_writing,
    plan_cleanup,
    remove_all,
    require_ours,
)
from pitr_tui.wording import count_text, duration_text


def cleanup(parsed: argparse.Namespace, output: Output) -> int:
    """List what has our label, and after a yes remove what nobody needs; or just what is named.

    Exit code 1 when something could not be removed.
    """
    with closing(Engine.connect()) as engine:
        leftovers = find_leftovers(engine)
        require_ours(engine, leftovers, parsed.names)
        plan = plan_cleanup(leftovers, parsed.names)
        output.say(f"Docker {engine.version} at {engine.address}")
        _show(engine, plan, output)
        if not plan.removed:
            output.say("nothing to remove")
            return 0
        if not parsed.yes:
            things = count_text(len(plan.removed), "thing")
            require_yes(f"Remove {things}?", output, "nothing was removed")
        failures = 0
        for one, error in remove_all(engine, plan.removed):
            output.fact(
                {
                    "event": "Removed" if error is None else "NotRemoved",
                    "kind": one.kind,
                    "name": one.name,
                    "why": error.why if error else "",
                }
            )
            output.say(f"  ✓ {one.kind} {one.name}" if error is None else f"  ✗ {error}")
            failures += error is not None
        if failures:
            raise EngineError(
                f"{count_text(failures, 'thing')} could not be removed",
                hint="'pitr cleanup' shows what is left",
            )
    return 0


def _show(engine: Engine, plan: Cleanup, output: Output) -> None:
    now = datetime.now(UTC)
    for one in plan.removed:
        writes = is_open_for_writing(engine, one)
        output.fact(
            {
                "event": "Leftover",
                **_facts(one),
                "remove": True,
                "kept_because": "",
                "open_for_writing": writes,
            }
        )
        output.say(f"  remove  {_line(one, now)}")
        if writes:
            output.say("  ! it runs and is open for writing: what was written there goes with it")
        if one.stays:
            output.say(f"  ! {one.stays}")
    for one, reason in plan.kept:
        output.fact({"event": "Leftover", **_facts(one), "remove": False, "kept_because": reason})
        output.say(f"  keep    {_line(one, now)}: {reason}")


def _line(one: Leftover, now: datetime) -> str:
    age = one.age(now)
    words = [one.kind, one.name, f"({one.role}"]
    words[-1] += f", {one.state}" if one.state else ""
    words[-1] += f", {duration_text(age)} old)" if age is not None else ")"
    return " ".join(words)


def _facts(one: Leftover) -> dict[str, object]:
    return {
        "kind": one.kind,
        "name": one.name,
        "role": one.role,
        "run": one.run,
        "created": one.created.isoformat() if one.created else None,
        "state": one.state,
        "used_by": one.used_by,
        "stays": one.stays,
    }
