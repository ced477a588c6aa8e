"""`pitr teach`: what each step of a recovery does and why, without the screen."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable
from itertools import groupby

from pitr_tui.cli.output import Output
from pitr_tui.errors import UsageError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.teaching import STEPS, Lesson, lesson

_WIDTH = 78
_CALLED = {"check": "plan", **{str(number): step for number, step in enumerate(STEPS, 1)}}


def teach(parsed: argparse.Namespace, output: Output) -> int:
    """Tell the lesson of a step, or which lessons there are."""
    version = PostgresVersion.parse(parsed.major) if parsed.major else None
    if parsed.step is None:
        _list(version, output)
        return 0
    step = _CALLED.get(parsed.step, parsed.step)
    if step not in STEPS:
        raise UsageError(
            f"there is no step {parsed.step!r}", f"the steps are {', '.join(STEPS)}", "pitr teach"
        )
    told = lesson(step, version)
    output.fact({"event": "Lesson", **told.facts()})
    if not output.as_json:
        _say(told, output)
    return 0


def _list(version: PostgresVersion | None, output: Output) -> None:
    output.say("The steps of a recovery, in their order:")
    output.say()
    for number, step in enumerate(STEPS, 1):
        told = lesson(step, version)
        output.fact({"event": "Step", "step": step, "title": told.title})
        output.say(f"  {number}  {step:<8}  {told.title.partition(': ')[2]}")
    output.say()
    output.say("`pitr teach STEP` tells what it does and why, --version N as version N has it.")


def _say(told: Lesson, output: Output) -> None:
    def part(heading: str, rows: Iterable[str]) -> None:
        output.say()
        output.say(heading.upper())
        for row in rows:
            output.say(row)

    what, why, without = told.sections
    output.say(f"{STEPS.index(told.step) + 1} {told.title} (PostgreSQL {told.version.major})")
    part(what[0], _prose(what[1]))
    part(why[0], _prose(why[1]))
    part("Behind it", (*_prose([told.source]), *_behind(told)))
    part(without[0], _prose(without[1]))
    part(
        f"PostgreSQL {told.version.major}'s manual says so",
        (row for one in told.manual for row in (f"  {one.title}", f"    {one.url}")),
    )
    part("The commands", (f"  {one}" for one in told.headless))


def _prose(paragraphs: Iterable[str]) -> list[str]:
    """Paragraphs with an empty line between two."""
    rows: list[str] = []
    for paragraph in paragraphs:
        rows += ["", *textwrap.wrap(paragraph, _WIDTH, break_on_hyphens=False)]
    return rows[1:]


def _behind(told: Lesson) -> Iterable[str]:
    """What has one meaning is told together. What is to be copied is not wrapped."""
    for meaning, group in groupby(told.behind, key=lambda one: one.meaning):
        yield ""
        for one in group:
            yield f"  {one.text}" + (f"  ({one.note})" if one.note else "")
        yield from textwrap.wrap(
            meaning, _WIDTH, initial_indent="      ", subsequent_indent="      "
        )
