"""What a step teaches, over the wizard: of the plan or the proposal at hand, with its values.

The lessons of the other steps are one key away, also of those that cannot be entered yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from pitr_tui.errors import PitrError
from pitr_tui.recovery.teaching import Behind, Kind, Lesson, Seen, lessons
from pitr_tui.tui.literal import assemble, lines, literal
from pitr_tui.tui.screens.dialogs import Part, PartsDialog, keys_part, prose
from pitr_tui.tui.widgets.stepper import NAMES

if TYPE_CHECKING:
    from pitr_tui.postgres.version import PostgresVersion
    from pitr_tui.recovery.plan import RecoveryPlan
    from pitr_tui.tui.reach import Place
    from pitr_tui.tui.screens.step import StepPane
    from pitr_tui.tui.session import Session

Keys = list[tuple[str, str]]


class LessonDialog(PartsDialog):
    """One step's lesson. `keys` are those of the step that is shown below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", "Step before", show=False),
        Binding("right", "turn(1)", "Next step", show=False),
        *(
            Binding(str(number), f"show('{name}')", show=False)
            for number, name in enumerate(NAMES, 1)
        ),
    ]
    keys_line = "↑↓ scroll   tab next part   ←→ another step   esc close"

    def __init__(self, every: Mapping[str, Lesson], step: str, keys: Keys) -> None:
        self._every, self._own, self._keys = every, step, keys
        self.step = step
        super().__init__(_title(every[step]), self._parts_of(step))

    def _parts_of(self, step: str) -> tuple[Part, ...]:
        own = (keys_part(self._keys),) if step == self._own else ()
        return (*parts(self._every[step]), *own)

    def action_turn(self, direction: int) -> None:
        place = NAMES.index(self.step) + direction
        if 0 <= place < len(NAMES):
            self.action_show(NAMES[place])

    def action_show(self, step: str) -> None:
        """Read the lesson of another step, from its beginning."""
        self.step = step
        self._parts = self._parts_of(step)
        self.query_one(".dialog-title", Static).update(literal(_title(self._every[step])))
        self.run_worker(self._refill(), exclusive=True)

    async def _refill(self) -> None:
        body = self._body
        async with self.batch():
            await body.remove_children()
            await body.mount(*self.widgets())
        body.scroll_to(y=0, animate=False)


def open_lesson(pane: StepPane, steps: Iterable[StepPane], keys: Keys) -> None:
    """Gather what is known, and show the lesson of a step; a plan may have to ask its engine."""
    session, adds = pane.session, [one.for_lesson() for one in steps]

    def gather(emit: object, cancel: object) -> dict[str, Lesson]:
        seen = seen_of(session)
        for add in adds:
            seen = add(seen)
        plan = _plan(session)
        if plan is not None:
            try:
                return lessons(plan=plan, seen=seen)
            except PitrError as error:  # the lesson is wanted all the same
                seen = replace(seen, hidden=error.what)
        return lessons(_version(session), seen=seen)

    def show(every: dict[str, Lesson]) -> None:
        if pane.screen.is_current:
            pane.app.push_screen(LessonDialog(every, pane.step.value, keys))

    pane.run_job(gather, on_done=show, group="lesson", awaited=False)


def seen_of(session: Session) -> Seen:
    """What the session knows of that a lesson can tell."""
    return Seen(
        facts=session.facts,
        archiving=session.archiving,
        archive=_path(session.archive_directory),
        backups=_path(session.backup_directory),
        target=session.target if session.aim is not None else None,
        action=session.action,
    )


def parts(lesson: Lesson) -> tuple[Part, ...]:
    """A lesson as it is read on the screen."""
    what, why, without = (Part(heading, prose(texts)) for heading, texts in lesson.sections)
    return (
        what,
        why,
        Part("Behind it", (*prose([lesson.source]), *_facts(lesson.behind))),
        without,
        Part(
            f"PostgreSQL {lesson.version.major}'s manual says so",
            tuple(
                block
                for one in lesson.manual
                for block in (("part-fact", literal(one.title)), ("part-meaning", literal(one.url)))
            ),
        ),
        Part(
            "Without the screen",
            (("part-fact -last", lines(*(literal(one) for one in lesson.headless))),),
        ),
    )


def _facts(behind: Sequence[Behind]) -> Iterator[tuple[str, Content]]:
    """What has one meaning is told together."""
    for meaning, group in groupby(behind, key=lambda one: one.meaning):
        rows = []
        for one in group:
            name = "" if one.kind is Kind.COMMAND else one.name
            note = f"  ({one.note})" if one.note else ""
            rest = one.text.removeprefix(name)
            rows.append(assemble((name, "bold"), rest, (note, "$text-accent")))
        yield "part-fact", lines(*rows)
        yield "part-meaning", literal(meaning)


def _title(lesson: Lesson) -> str:
    return f"{NAMES.index(lesson.step) + 1} {lesson.title}"


def _path(place: Place | None) -> str:
    """A directory as commands of this machine take it."""
    return str(place) if isinstance(place, Path) else ""


def _plan(session: Session) -> RecoveryPlan | None:
    standing = session.standing
    return session.plan or session.onward or (standing.plan if standing is not None else None)


def _version(session: Session) -> PostgresVersion | None:
    """For want of a plan and of a primary that answers, the backup tells the major."""
    return session.backup.version if session.facts is None and session.backup else None
